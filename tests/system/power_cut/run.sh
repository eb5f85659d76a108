#!/bin/sh
# Cuts the power while states are saved and created, on ext4, xfs and btrfs, and prints a table of what
# is left. power_cut.cpp says how. Needs root, loop devices and FUSE; installs nothing.
#
# Usage: sh tests/system/power_cut/run.sh [--short] [SEED]
#   --short   ext4 and xfs, some hundreds of crash points each, in two minutes at most
#
# The same seed makes the same choices, as far as timing allows. Exits with 1 if a row fails, with 77
# if it can't run here.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
short=''
file_systems='ext4 xfs btrfs'
if [ "${1-}" = --short ]; then
  short=--short
  file_systems='ext4 xfs'
  shift
fi
seed=${1:-$(($(date +%s) % 1000000))}

skip() {
  echo "SKIPPED: power cuts: $1"
  exit 77
}

[ "$(uname -s)" = Linux ] || skip "not Linux"
[ "$(id -u)" = 0 ] || skip "not root"
for tool in "${CXX:-c++}" pkg-config unshare setpriv timeout fallocate; do
  command -v "$tool" >/dev/null || skip "no $tool"
done
pkg-config --exists fuse3 || skip "no libfuse 3 (Debian: libfuse3-dev, pkg-config)"
for device in /dev/fuse /dev/loop-control; do
  [ -c $device ] || skip "no $device"
done
for type in $file_systems; do
  command -v "mkfs.$type" >/dev/null || skip "no mkfs.$type (Debian: e2fsprogs, xfsprogs, btrfs-progs)"
  grep -qw "$type" /proc/filesystems || modprobe "$type" 2>/dev/null ||
    skip "no $type in this kernel"
done
unshare --mount --pid --fork true 2>/dev/null || skip "no right to make namespaces and mounts"

# The rest is done in namespaces. Whatever ends this script ends them, and with them all processes,
# mounts, loop devices and files.
if [ "${OCI_STATE_POWER_CUT-}" != inside ]; then
  trap 'exit 1' HUP INT PIPE TERM
  OCI_STATE_POWER_CUT=inside setpriv --pdeathsig KILL \
    unshare --mount --pid --fork --kill-child sh "$0" ${short:+"$short"} "$seed" &
  wait $!
  exit
fi
scratch=/dev/shm
case $root in $scratch/*) scratch=/mnt ;; esac
mount -t tmpfs tmpfs $scratch
export TMPDIR=$scratch

# shellcheck disable=SC2046  # options
"${CXX:-c++}" -std=c++17 -O1 -I"$root/include" "$root/tests/system/power_cut/power_cut.cpp" \
  $(pkg-config --cflags --libs fuse3) -o "$scratch/power_cut"

# The rows: TYPE;MKFS OPTIONS;MOUNT OPTIONS;WRITER;SAVERS;POINTS;EXPECTED. Linux refuses to mount ext4
# where the first fast commit is torn inside of a block (EFSBADCRC).
for system in 'ext4;;' 'ext4;;data=writeback' 'ext4;;noauto_da_alloc' 'ext4;-O fast_commit;' 'xfs;;' \
  'btrfs;;'; do
  case $short,$system in
    ,*) safe=2000 unsafe=1000 ;;
    '--short,ext4;;' | '--short,xfs;;') safe=200 unsafe=80 ;;
    *) continue ;;
  esac
  case $system in
    *fast_commit*) expected='holds if mounted' ;;
    *) expected=holds ;;
  esac
  for count in 1 2; do
    for writer in save update create; do
      echo "$system;$writer;$count;$safe;$expected"
    done
    [ "$short,$count" != --short,2 ] || continue
    for writer in truncate 'no sync' 'no file sync' 'no directory sync' 'create, no file sync' \
      'create, no directory sync'; do
      echo "$system;$writer;$count;$unsafe;fails"
    done
    [ "$system" != 'ext4;;' ] || echo "ext4;;barrier=0;save;$count;$unsafe;fails"
  done
done >"$scratch/rows"

row() {
  mkdir "$scratch/$1"
  case $2 in
    ext4) size=16M format='-b 4096' ;;
    xfs) size=300M format='' ;;
    btrfs) size=128M format='' ;;
  esac
  truncate -s "$size" "$scratch/$1/disk"
  # shellcheck disable=SC2086  # options
  "mkfs.$2" -q $format $3 "$scratch/$1/disk" >"$scratch/$1/output" 2>&1
  fallocate --dig-holes "$scratch/$1/disk"
  status=0
  cells=$(unshare --mount --pid --fork --kill-child timeout -s KILL 1800 \
    "$scratch/power_cut" "$scratch/$1" "$2" "$4" "$5" "$6" "$7" "$seed" "$8" \
    2>>"$scratch/$1/output") || status=$?
  set -- "$@" "$2${3:+ $3}${4:+ $4}"
  if [ $status = 0 ]; then
    echo "| $9 | $5 | $6 | $cells |"
  else
    echo "| $9 | $5 | $6 | $cells | FAILED, expected: $8"
    head -n 5 "$scratch/$1/output"
    echo "$9, $5, $6" >>"$scratch/failed"
  fi
  rm -r "${scratch:?}/$1"
}

# Eight rows at a time: they wait more than they work. lane NUMBER takes every eighth.
lane() {
  number=0
  while IFS=';' read -r type format options writer savers points expected; do
    number=$((number + 1))
    [ $((number % 8)) != "$1" ] ||
      row $number "$type" "$format" "$options" "$writer" "$savers" "$points" "$expected"
  done <"$scratch/rows"
}

echo "power cuts, seed $seed, Linux $(uname -r)"
echo
echo '| file system | writer | savers | crash points | torn | lost | hindered | owner or mode |' \
  'temporaries | unmountable | saves without a barrier |'
echo '|---|---|---|---|---|---|---|---|---|---|---|'
running=''
for number in 0 1 2 3 4 5 6 7; do
  lane $number &
  running="$running $!"
done
for process in $running; do
  wait "$process" || echo "the script" >>"$scratch/failed"
done
if [ -s "$scratch/failed" ]; then
  echo
  echo "FAILED, seed $seed:"
  cat "$scratch/failed"
  exit 1
fi
