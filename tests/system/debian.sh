#!/bin/sh
# Makes a bare Debian in memory and does there what a new user would: the quick start and the
# installation of the README, tests/run.sh and examples/run.sh, first as root and then as another user
# without a network. Then it compiles the whole header with the g++ and the clang of that Debian, in each
# C++ standard and at -O1 to -O3, with all warnings as errors.
#
# Usage: sh tests/system/debian.sh RELEASE
#   RELEASE   bullseye, bookworm, trixie or sid; or 11, 12, 13 or unstable
#
# Needs root, git, debootstrap, 3 GB of memory, and Debian's packages; installs nothing on this machine.
# Takes the mirror and the proxy of this machine's apt. Goes on after a failure, prints a table of what
# it did, and exits with 1 if something failed, with 77 if it can't run here.
set -eu
PATH=$PATH:/usr/sbin:/sbin

skip() {
  echo "SKIPPED: Debian $release: $1"
  exit 77
}

# ---- On this machine: namespaces, which take all processes, mounts and files with them ----------

on_this_machine() {
  [ "$(uname -s)" = Linux ] || skip "not Linux"
  [ "$(id -u)" = 0 ] || skip "not root"
  for tool in debootstrap git setpriv unshare; do
    command -v $tool >/dev/null || skip "no $tool"
  done
  unshare --mount --pid --fork true 2>/dev/null || skip "no right to make namespaces"
  OCI_STATE_DEBIAN=bootstrap setpriv --pdeathsig KILL \
    unshare --mount --pid --fork --kill-child sh "$0" "$release" &
  trap 'kill $! 2>/dev/null; exit 1' HUP INT PIPE TERM
  wait $!
}

# The mirror of this machine's apt, if this machine is a Debian. Otherwise debootstrap knows one.
mirror() {
  # shellcheck source=/dev/null
  [ ! -e /etc/debian_version ] || [ ! -e /etc/os-release ] || (
    . /etc/os-release
    apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Component: main' \
      "Codename: ${VERSION_CODENAME-}" 2>/dev/null | head -n 1
  )
}

# Makes the system and enters it.
bootstrap() {
  system=/mnt
  mount -t tmpfs -o size=6G tmpfs $system
  mirror=$(mirror)
  if [ -z "${http_proxy-}" ] && command -v apt-config >/dev/null; then
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [ -z "${http_proxy-}" ] || export http_proxy
  fi
  include=''
  case $mirror in https:*) include=--include=ca-certificates ;; esac
  echo "Making a bare Debian $release."
  debootstrap --variant=minbase $include "$release" $system ${mirror:+"$mirror"} \
    >$system/output 2>&1 || {
    cat $system/output
    return 1
  }
  ! command -v apt-config >/dev/null ||
    apt-config dump | grep -iE '^Acquire::(https?|Check|Retries)' >$system/etc/apt/apt.conf.d/90host ||
    true
  cat >$system/etc/apt/apt.conf.d/91unattended <<END
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
END
  for file in resolv.conf hosts; do cp -L /etc/$file $system/etc/$file; done

  mkdir $system/source
  git -c safe.directory='*' -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --null -T - -c | tar -C $system/source --no-same-owner -x
  mount -t proc proc $system/proc
  mount --rbind /sys $system/sys
  mount --rbind /dev $system/dev
  mount -t tmpfs tmpfs $system/dev/shm
  mkdir $system/before
  cd $system
  pivot_root . before
  umount -l /before
  rmdir /before
  enter root ""
}

# Goes on in the system as the user $1, under the command $2.
enter() {
  # shellcheck disable=SC2086  # a command
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive USER="$1" HOME="$(getent passwd "$1" | cut -d: -f6)" \
    OCI_STATE_DEBIAN="as_$1" $2 ${http_proxy:+http_proxy="$http_proxy"} \
    sh /source/tests/system/debian.sh "$release"
}

# ---- In the system -------------------------------------------------------------------------------

# Runs a step and notes its time and its result. It is no part of a condition, where the shell would
# ignore `set -e`.
step() {
  printf '\n==== %s: %s\n' "$USER" "$*"
  start=$(date +%s)
  set +e
  (set -e && "$@") </dev/null
  status=$?
  set -e
  case $status in
    0) result=passed ;;
    77) result=skipped ;;
    *) result=FAILED ;;
  esac
  printf '%7d  %-6s %-40s  %s\n' $(($(date +%s) - start)) "$USER" "$*" $result >>/results
}

# The section of the README with the heading $1.
section() {
  awk -v heading="## $1" '/^## / { inside = $0 == heading } inside' /source/README.md
}

# The block number $2 of the language $1 in the standard input.
block() {
  awk -v language="$1" -v number="$2" '
    /^```/ {
      inside = !inside && $0 == "```" language
      if (inside) ++count
      outside = !outside
      next
    }
    inside && count == number { print; found = 1 }
    END { exit !found }'
}

# Prints what the command prints only if it fails.
quietly() {
  "$@" >"$HOME/output" 2>&1 || {
    cat "$HOME/output"
    return 1
  }
}

# What the section $1 of the README tells to install.
install_of() {
  section "$1" | grep -o "apt-get install [^\`]*" | while read -r command; do
    echo "$command"
    # shellcheck disable=SC2086  # a command
    quietly $command
  done
}

new_directory() {
  mkdir "$HOME/$1"
  cd "$HOME/$1"
}

quick_start() {
  [ "$USER" != root ] || install_of 'Quick start'
  new_directory quick_start
  mkdir -p third_party/oci
  cp /source/include/oci/state.hpp third_party/oci/state.hpp
  section 'Quick start' | block cpp 1 >hook.cpp
  section 'Quick start' | block text 1 >expected
  section 'Quick start' | block sh 1 >run
  sh -ex run >output
  diff -u expected output
}

# A program of the user's with what was installed, by CMake and by pkg-config. The user who is not root
# installs to a directory, and names that.
installation() {
  prefix=''
  if [ "$USER" = root ]; then
    install_of Installation
  else
    prefix=$HOME/prefix
  fi
  cp -r /source "$HOME/repository"
  cd "$HOME/repository"
  rm -rf build
  section Installation | block sh 1 |
    sed "s|^cmake --install .*|&${prefix:+ --prefix $prefix}|" >"$HOME/install"
  sh -ex "$HOME/install"
  rm -r "$HOME/repository"

  new_directory consumer
  cp "$HOME/quick_start/hook.cpp" .
  section Installation | block cmake 1 >CMakeLists.txt
  cmake -B build ${prefix:+-DCMAKE_PREFIX_PATH="$prefix"}
  cmake --build build
  mv build/hook .
  sed '/^c++/d' "$HOME/quick_start/run" >run
  sh run >output
  diff -u "$HOME/quick_start/expected" output
  rm hook

  [ "$USER" != root ] || quietly apt-get install pkg-config
  section Installation | block sh 2 >compile
  PKG_CONFIG_PATH=${prefix:+$prefix/share/pkgconfig} sh -ex compile
  sh run >output
  diff -u "$HOME/quick_start/expected" output
}

tests() {
  cd /source
  sh tests/run.sh "$@"
}

# Without what an earlier build has found.
tests_in_a_new_directory() {
  cd /source
  BUILD_DIR="$HOME/build" sh tests/run.sh -R '^validate$'
}

examples() { sh /source/examples/run.sh; }

# All of the header in each standard, at each level of optimisation, under the project's warnings. g++
# finds some of them only while it optimises; clang finds all of them before.
compilers() {
  quietly apt-get install clang
  cd /source
  warnings=$(sed -n '/^set(warnings/,/)$/{s/^set(warnings//;s/)$//;p;}' CMakeLists.txt | tr '\n' ' ')
  [ -n "$warnings" ]
  for compiler in 'g++ -S -o /dev/null' 'clang++ -fsyntax-only'; do
    ${compiler%% *} --version | head -n 1
    for standard in 17 20 2b 2c; do
      if ! $compiler -std=c++$standard -x c++ /dev/null 2>/dev/null; then
        echo "SKIPPED: Debian $release: ${compiler%% *} knows no C++$standard" >&2
        continue
      fi
      for level in 1 2 3; do echo "$compiler -std=c++$standard -O$level"; done >>"$HOME/compilers"
    done
  done
  # shellcheck disable=SC2016  # the inner shell's arguments
  xargs -P "$(nproc)" -L 1 sh -c '
    start=$(date +%s)
    "$@" -Werror $0 -Iinclude tests/compile/variants.cpp
    status=$?
    echo "$(($(date +%s) - start)) seconds: $*: exit status $status"
    exit $status' "$warnings" <"$HOME/compilers"
}

as_root() {
  : >/results
  chmod 666 /results
  apt-get update >/dev/null
  step quick_start
  step installation
  step tests
  step examples
  useradd --create-home --shell /bin/sh user
  chown -R user /source
  enter user "unshare --net setpriv --reuid user --regid user --init-groups"
  step compilers
  printf '\n==== Debian %s\n%7s  %-6s %-40s  result\n' "$release" seconds user step
  cat /results
  ! grep -q FAILED /results
}

as_user() {
  step quick_start
  step installation
  step tests
  step tests_in_a_new_directory
  step examples
}

case ${1-} in
  11) release=bullseye ;;
  12) release=bookworm ;;
  13) release=trixie ;;
  unstable) release=sid ;;
  '') sed -n 's/^# Usage: /usage: /p' "$0" >&2 && exit 2 ;;
  *) release=$1 ;;
esac
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
${OCI_STATE_DEBIAN:-on_this_machine}
