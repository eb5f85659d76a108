# For run.sh here and in examples/: what a build needs, and where it is. Source it, then call
# need_build_tools and find_build_directory.
# shellcheck shell=sh

# Whether the compiler finds the header $1. It only looks: to compile one takes seconds.
has_header() {
  # shellcheck disable=SC2086  # a command, perhaps with arguments
  printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" |
    ${CXX:-c++} -std=c++17 -E -x c++ - >/dev/null 2>&1
}

# Installs what is missing of a C++17 compiler, CMake 3.18, make and nlohmann/json, and with
# `need_build_tools tests` of Catch2 and pkg-config too. It does so with apt-get, through sudo if the
# user is not root. If it cannot, it names the packages, and fails unless CMake can download them.
need_build_tools() {
  tools=''
  libraries=''
  has_header filesystem || tools="$tools g++"
  command -v cmake >/dev/null || tools="$tools cmake"
  command -v make >/dev/null || tools="$tools make"
  has_header nlohmann/json.hpp || libraries="$libraries nlohmann-json3-dev"
  if [ "${1-}" = tests ]; then
    command -v pkg-config >/dev/null || tools="$tools pkg-config"
    has_header catch2/catch_all.hpp || has_header catch2/catch.hpp || libraries="$libraries catch2"
  fi
  [ -n "$tools$libraries" ] || return 0

  sudo=''
  [ "$(id -u)" = 0 ] || sudo=sudo
  if command -v apt-get >/dev/null && command -v ${sudo:-true} >/dev/null; then
    echo "Installing missing packages with ${sudo:+sudo }apt-get (about a minute):$tools$libraries"
    log=$(mktemp)
    # shellcheck disable=SC2086  # lists of words
    if { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends $tools $libraries; } >"$log" 2>&1; then
      rm "$log"
      return 0
    fi
    echo "${sudo:+sudo }apt-get failed. The end of its output:" >&2
    tail -n 3 "$log" >&2
    rm "$log"
  fi
  if [ -n "$tools" ]; then
    echo "Please install these packages first (Debian's names):$tools$libraries" >&2
    return 1
  fi
  echo "Not installed, so CMake will download them (Debian's packages):$libraries"
}

# Sets $build to the build directory of the project in $root: $BUILD_DIR, or else build/ in the project.
# One that was made with another compiler than $CXX begins anew.
find_build_directory() {
  build=${BUILD_DIR:-$root/build}
  if ! mkdir -p "$build" || ! [ -w "$build" ]; then
    echo "Cannot write to $build: BUILD_DIR=DIRECTORY takes another place." >&2
    return 1
  fi
  build=$(CDPATH='' cd -- "$build" && pwd)
  cached=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt" 2>/dev/null || true)
  wanted=${CXX:-c++}
  wanted=$(command -v "${wanted%% *}" || true)
  [ -n "$cached" ] && [ "$cached" != "$wanted" ] || return 0
  if [ -n "${CXX-}" ]; then
    echo "$build was made with $cached, and begins anew with $wanted."
    rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
  else
    echo "The compiler is $cached, as before (CXX=COMPILER takes another one)."
  fi
}
