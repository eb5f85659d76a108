# For run.sh here and in examples/: brings what a build needs. Source it, then call need_build_tools.
# shellcheck shell=sh

# Whether the compiler finds and can use the header $1.
has_header() {
  printf '#include <%s>\n' "$1" | "${CXX:-c++}" -std=c++17 -fsyntax-only -x c++ - 2>/dev/null
}

# Installs what is missing of a C++17 compiler, CMake 3.16, make and nlohmann/json, and with
# `need_build_tools tests` of Catch2 and pkg-config too. With apt, where there is apt. Elsewhere it
# says what to install; the libraries are then left to CMake, which downloads them.
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
    echo "Missing here:$tools$libraries. Installing them with: $sudo apt-get install"
    # shellcheck disable=SC2086  # lists of words
    $sudo apt-get update -qq &&
      $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $tools $libraries
  elif [ -n "$tools" ]; then
    echo "Please install these first (Debian's names):$tools$libraries" >&2
    return 1
  else
    echo "Not installed here (Debian's names):$libraries. CMake will download them."
  fi
}
