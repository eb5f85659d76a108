#!/bin/sh
# Measures what the users of the header wait for: load, parse, dump and save beside the Rust original
# and beside the code by hand over nlohmann, with each kind of text, how they grow, the start of a
# hook, the compiler and what it makes. Exits with 1 if a bar is not held. The figures are ratios of
# what was measured in turn; a machine that does nothing else gives the best.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
# shellcheck source=/dev/null
. "$root/tests/dependencies.sh"
need_build_tools
here=$root/tests/benchmark
cxx=${CXX:-c++}
cc=${CC:-cc}
memory=/dev/shm
[ -d "$memory" ] || memory=${TMPDIR:-/tmp}
scratch=$(mktemp -d)
states=$(mktemp -d "$memory/oci-state-benchmark.XXXXXX")
trap 'rm -rf "$scratch" "$states"' EXIT
trap 'exit 130' INT TERM
status=0

echo "$("$cxx" --version | head -n 1), $(uname -sr), $(getconf _NPROCESSORS_ONLN) cores," \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"

# The Rust original: offline, from the crates that Debian installs as sources.
crates=/usr/share/cargo/registry
missing=''
command -v cargo >/dev/null || missing=' cargo'
for crate in serde serde-derive serde-json; do
  folder=$(echo "$crate" | tr - _)
  for found in "$crates/$folder"-[0-9]*; do
    [ -d "$found" ] || missing="$missing librust-$crate-dev"
  done
done
if [ -z "$missing" ]; then
  cp -R "$here/rust" "$scratch/rust"
  mkdir "$scratch/rust/.cargo"
  cat >"$scratch/rust/.cargo/config.toml" <<EOF
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "$crates"
EOF
  # Aligned, as C++ below: a loop across two cache lines makes dump a quarter slower.
  (cd "$scratch/rust" && CARGO_TARGET_DIR=target \
    RUSTFLAGS='-C llvm-args=-align-all-functions=6 -C llvm-args=-align-loops=64' \
    cargo build --quiet --offline --release)
  rust="-DRUST $scratch/rust/target/release/librust_state.a -pthread -ldl"
  echo "$(rustc --version), $(cd "$crates" && echo serde_json-[0-9]*)"
else
  rust=''
fi
# Callgrind counts instructions, which are the same on a busy machine.
valgrind=''
if ! command -v valgrind >/dev/null || ! has_header valgrind/callgrind.h; then
  valgrind=' valgrind'
fi
say_what_is_missing() {
  [ -z "$missing" ] || echo "SKIPPED: Rust and its bars. Missing here (Debian's names):$missing"
  [ -z "$valgrind" ] ||
    echo "SKIPPED: instructions and their bars. Missing here (Debian's names):$valgrind"
}
say_what_is_missing
echo

# Aligned, as otherwise chance decides: half of the time of save goes into a loop of nlohmann's, each
# side has its own, and where it falls on a cache line makes 15 percent.
"$cc" -O2 -c "$here/replace.c" -o "$scratch/replace.o"
# build PROGRAM [OBJECT]: one of the programs that measure calls.
build() {
  # shellcheck disable=SC2086  # none or several words
  "$cxx" -std=c++17 -O2 -falign-functions=64 -falign-loops=64 -DNDEBUG \
    -DFIXTURES="\"$root/tests/fixtures\"" -I"$root/include" "$here/$1.cpp" ${2-} $rust -o "$scratch/$1"
}
build benchmark "$scratch/replace.o"
build kinds
"$scratch/benchmark" "$states" || status=1

printf '\neach kind of text, in documents of some 7 KB\n'
"$scratch/kinds" "$states" || status=1
if [ -z "$valgrind" ]; then
  printf '\nthe same, and the document of 189 bytes, in instructions\n'
  valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file="$scratch/callgrind" \
    "$scratch/kinds" "$states" "$scratch/callgrind" || status=1
fi

# The start of a hook: spawned by turns, with a state on standard input. Programs are copied, as to
# where they are installed: out of a file that the linker wrote piece by piece, the system loads
# slower.
mkdir "$scratch/bin"
"$cc" -O2 -static "$here/spawn.c" -o "$scratch/spawn"
"$cc" -O2 -static "$here/least.c" -o "$scratch/least"
for link in -static -static-libstdc++ ''; do
  # shellcheck disable=SC2086  # none or one word
  "$cxx" -std=c++17 -O2 -ffunction-sections -Wl,--gc-sections -I"$root/include" \
    "$root/examples/hook.cpp" $link -o "$scratch/hook$link"
done
cp "$scratch/least" "$scratch"/hook* "$scratch/bin"
# start_of_hook WHAT MEMBERS: with the state of some 200 bytes to which MEMBERS are added.
start_of_hook() {
  printf '%s' '{"ociVersion":"1.2.0","id":"web-1","status":"running","pid":4422,' \
    '"bundle":"/run/b/web-1","annotations":{"org.example.owner":"ops",' \
    '"org.example.tier":"frontend, public, and more"}' "$2" '}' >"$scratch/state.json"
  "$scratch/spawn" 500 "$scratch/state.json" -- "$scratch/bin/least" "$states/log" \
    -- "$scratch/bin/hook-static" "$states/log" -- "$scratch/bin/hook-static-libstdc++" \
    "$states/log" -- "$scratch/bin/hook" "$states/log" >"$scratch/hooks"
  printf '\n%-42s %9s %7s %9s\n' "$1" us ratio 'peak KiB'
  printf '%s\n' 'the least: a static C program' 'hook, -static (bars: 1.15, 1192 KiB)' \
    'hook, -static-libstdc++' 'hook, dynamic' | paste -d : - "$scratch/hooks" |
    awk -F '[: ]+' -v OFS=' ' '{
      us = $(NF - 1); peak = $NF; name = $0; sub(/:[0-9.]+ [0-9]+$/, "", name)
      if (NR == 1) least = us
      held = NR != 2 || (us <= 1.15 * least && peak <= 1192)
      printf "%-42s %9.1f %7.2f %9d%s\n", name, us, us / least, peak, held ? "" : "  NOT HELD"
      if (!held) bad = 1
    } END { exit bad }' || status=1
}
start_of_hook 'from exec to exit, a plain state' ''
start_of_hook 'from exec to exit, a member unknown' \
  ',"process":{"terminal":false,"user":{"uid":0,"gid":0},"args":["sleep","60"]}'

# The compiler: the header beside what it includes.
echo '#include <oci/state.hpp>' >"$scratch/header.cpp"
sed -n '/^#include/,/^namespace oci/{/^namespace/!p;}' "$root/include/oci/state.hpp" \
  >"$scratch/includes.cpp"
"$scratch/spawn" 9 /dev/null \
  -- "$cxx" -std=c++17 -O2 -c "$scratch/includes.cpp" -o "$scratch/includes.o" \
  -- "$cxx" -std=c++17 -O2 -I"$root/include" -c "$scratch/header.cpp" -o "$scratch/header.o" \
  >"$scratch/compilations"
echo
awk 'NR == 1 { least = $1 } END {
  bad = ($1 > 1.15 * least)
  printf "compiling: what the header includes %.0f ms, the header %.0f ms, ratio %.2f (bar: 1.15)%s\n",
    least / 1000, $1 / 1000, $1 / least, bad ? "  NOT HELD" : ""
  exit bad
}' "$scratch/compilations" || status=1

# A program that loads and saves, beside the same by hand: the compiler, and its object code.
"$scratch/spawn" 5 /dev/null \
  -- "$cxx" -std=c++17 -O2 -DBY_HAND -c "$here/program.cpp" -o "$scratch/by_hand.o" \
  -- "$cxx" -std=c++17 -O2 -I"$root/include" -c "$here/program.cpp" -o "$scratch/program.o" \
  >"$scratch/compilations"
awk 'NR == 1 { least = $1 } END {
  bad = ($1 > 1.3 * least)
  printf "compiling load and save: by hand %.0f ms, the header %.0f ms, ratio %.2f (bar: 1.3)%s\n",
    least / 1000, $1 / 1000, $1 / least, bad ? "  NOT HELD" : ""
  exit bad
}' "$scratch/compilations" || status=1
size "$scratch/by_hand.o" "$scratch/program.o" | awk 'NR == 2 { by_hand = $1 } END {
  bad = ($1 > 180000)
  printf "object code of load and save: by hand %.0f KB, the header %.0f KB (bar: 180)%s\n",
    by_hand / 1000, $1 / 1000, bad ? "  NOT HELD" : ""
  exit bad
}' || status=1

say_what_is_missing
exit $status
