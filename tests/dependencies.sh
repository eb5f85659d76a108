# For run.sh here and in examples/: installs what a build needs. Source it, then call need_build_tools.
# shellcheck shell=sh

# Whether the compiler finds and can use the header $1.
has_header() {
  printf '#include <%s>\n' "$1" | "${CXX:-c++}" -std=c++17 -fsyntax-only -x c++ - 2>/dev/null
}

# Installs what is missing of a C++17 compiler, CMake 3.16, make and nlohmann/json, and with
# `need_build_tools tests` of Catch2 and pkg-config too. It does so with apt-get, through sudo where the
# user is not root. Elsewhere it names the packages; CMake can download the libraries among them.
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
    if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends $tools $libraries; } >"$log" 2>&1; then
      cat "$log" >&2
      rm "$log"
      return 1
    fi
    rm "$log"
  elif [ -n "$tools" ]; then
    echo "Please install these packages first (Debian's names):$tools$libraries" >&2
    return 1
  else
    echo "Not installed, so CMake will download them (Debian's packages):$libraries"
  fi
}
