#!/bin/sh
# Fuzzes the header with clang's libFuzzer: sh tests/fuzz/run.sh [SECONDS [CORPUS]]. Starts from
# tests/fixtures. SECONDS is 60 unless said otherwise; what it finds new stays in the directory
# CORPUS, if any. Builds outside of the checkout; needs what tests/run.sh brings, and clang++.
# Exits with 1 on a finding, which it prints, and with 77 where it can't run.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
seconds=${1:-60}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
corpus=${2:-$scratch/corpus}
log=$scratch/log
mkdir -p "$corpus"

echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' \
  >"$scratch/probe.cpp"
if ! clang++ -fsanitize=fuzzer,address,undefined "$scratch/probe.cpp" -o "$scratch/probe" \
  2>"$log"; then
  cat "$log" >&2
  echo 'SKIPPED: fuzz: no clang++ with libFuzzer (Debian: clang, libclang-rt-14-dev)'
  exit 77
fi

cmake -S "$root" -B "$scratch" -DCMAKE_CXX_COMPILER=clang++ -DOCI_STATE_BUILD_TESTS=ON >"$log"
cmake --build "$scratch" --target fuzz >"$log" || { cat "$log" && exit 1; }

fixtures=$root/tests/fixtures
"$scratch/tests/fuzz" -max_total_time="$seconds" -max_len=1024 -timeout=20 -print_final_stats=1 \
  -artifact_prefix="$scratch/finding-" -dict="$root/tests/fuzz/json.dict" \
  "$corpus" "$fixtures"/* >"$log" 2>&1 || {
  grep -v '^#[0-9]' "$log"
  for finding in "$scratch"/finding-*; do
    printf '\nThe input, for base64 -d:\n'
    base64 "$finding"
  done
  exit 1
}
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
echo "fuzz: $runs texts in $seconds s, no finding"
