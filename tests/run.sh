#!/bin/sh
# Builds the tests and the examples in ./build (BUILD_DIR=DIRECTORY: elsewhere), and runs all tests.
# Installs missing packages first, see dependencies.sh. Arguments go to ctest, and then only what the
# tests need that it chooses is built: sh tests/run.sh -R validate
# Without arguments it leaves out what takes long and finds little more: sh tests/run.sh -L thorough
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tests/dependencies.sh"
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
need_build_tools tests
[ $# != 0 ] || echo "Builds all tests, then runs them: about three minutes on two cores."
find_build_directory
cmake -S "$root" -B "$build" -DOCI_STATE_BUILD_TESTS=ON -DOCI_STATE_BUILD_EXAMPLES=ON
cd "$build"

if [ $# = 0 ]; then
  cmake --build . --parallel "$jobs"
  set -- -LE thorough
else
  # Nearly each test has a target of its name.
  targets=$(ctest -N "$@" 2>/dev/null | sed -n 's/^ *Test *#[0-9]*: //p' | grep -Fx -f tests/targets) ||
    true
  # shellcheck disable=SC2086  # a list of words
  [ -z "$targets" ] || cmake --build . --parallel "$jobs" --target $targets
fi

status=0
ctest --output-on-failure --no-tests=error --parallel "$jobs" "$@" || status=$?
# What was skipped, and why: tests say it in a line that begins so.
grep '^SKIPPED: ' Testing/Temporary/LastTest.log || true
exit $status
