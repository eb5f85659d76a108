#!/bin/sh
# Builds the tests and the examples in ./build, and runs all tests. Installs missing packages first,
# see dependencies.sh. Arguments go to ctest: sh tests/run.sh -R consumer
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tests/dependencies.sh"
echo "Building and running all tests in $root/build, which takes about three minutes on two cores."
need_build_tools tests

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
cmake -S "$root" -B "$root/build" -DOCI_STATE_BUILD_TESTS=ON -DOCI_STATE_BUILD_EXAMPLES=ON
cmake --build "$root/build" --parallel "$jobs"

cd "$root/build"
status=0
ctest --output-on-failure --no-tests=error --parallel "$jobs" "$@" || status=$?
# What was skipped, and why: tests say it in a line that begins so.
grep '^SKIPPED: ' Testing/Temporary/LastTest.log || true
exit $status
