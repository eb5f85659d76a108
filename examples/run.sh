#!/bin/sh
# Builds the examples in ./build (BUILD_DIR=DIRECTORY: elsewhere), installs what is missing for that
# (see tests/dependencies.sh), and shows the hook logging the life of a container: a real one, if there
# are root, runc or crun, and a static busybox, else what a real runc told of one.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=/dev/null
. "$root/tests/dependencies.sh"
echo "Builds two examples (10 to 30 seconds), then shows a hook that logs the life of a container (a"
echo "second)."
need_build_tools
find_build_directory

# shellcheck disable=SC2154  # find_build_directory sets build
hook=$build/examples/hook
work=$(mktemp -d "${TMPDIR:-/tmp}/oci-demo-XXXXXX")
id=$(basename "$work")
bundle=$work/bundle
log=$work/log
for directory in bin dev log proc sys; do mkdir -p "$bundle/rootfs/$directory"; done
mkdir "$log"
runtime=$(command -v runc || command -v crun || true)
runtime=${runtime##*/}

finish() {
  status=$?
  trap '' EXIT HUP INT PIPE TERM
  [ ! -e "$work/output" ] || run_runtime delete --force "$id" >/dev/null 2>&1 || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

# Says what it does, and prints the output of the command $2... only if that fails.
step() {
  echo "$1"
  shift
  "$@" >"$work/build" 2>&1 || {
    cat "$work/build"
    exit 1
  }
}
step "Looking for the compiler and the libraries ..." \
  cmake -S "$root" -B "$build" -DOCI_STATE_BUILD_TESTS=OFF -DOCI_STATE_BUILD_EXAMPLES=ON
step "Building in $build ..." cmake --build "$build" --parallel 2 --target hook runtime

# Prints a command, and runs it.
exec 3>&1
show() {
  echo "\$ $*" >&3
  "$@"
}

# crun needs cgroup v2 at /sys/fs/cgroup: it gets that in a mount namespace of its own.
run_runtime() {
  if [ "$runtime" = crun ]; then
    unshare -m sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec crun "$@"' crun "$@"
  else
    runc "$@"
  fi
}

# Prints a command of the runtime, and runs it.
show_runtime() {
  echo "\$ $runtime $*" >&3
  run_runtime "$@"
}

# Prints what hooks have logged since the last time, each in a log that has its name.
show_logs() {
  for stage in createRuntime createContainer startContainer poststart poststop; do
    [ -e "$log/$stage" ] || continue
    printf '  %-15s  %s\n' $stage "$(cat "$log/$stage")"
    rm "$log/$stage"
  done
}

# What is missing for a real container.
missing() {
  if [ "$(id -u)" != 0 ]; then
    echo "no root"
  elif [ -z "$runtime" ]; then
    echo "no runc and no crun"
  elif ! cp "$(command -v busybox)" "$bundle/rootfs/bin/busybox" 2>/dev/null ||
    ! chroot "$bundle/rootfs" /bin/busybox true 2>/dev/null; then
    echo "no static busybox"
  fi
}

# The hook $1 of a container, as the program $2 with its log in the directory $3.
hook_entry() {
  echo "\"$1\": [{\"path\": \"$2\", \"args\": [\"hook\", \"$3/$1\"]}]"
}

# A startContainer hook runs in the container: there its program and its log have to be.
make_bundle() {
  cp "$hook" "$bundle/rootfs/bin/hook"
  cat >"$bundle/config.json" <<END
{
  "ociVersion": "1.0.2",
  "process": {
    "user": {"uid": 0, "gid": 0},
    "args": ["/bin/busybox", "echo", "Hello from the container!"],
    "cwd": "/"
  },
  "root": {"path": "rootfs"},
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/log", "type": "bind", "source": "$log", "options": ["bind"]}
  ],
  "hooks": {
    $(hook_entry createRuntime "$hook" "$log"),
    $(hook_entry createContainer "$hook" "$log"),
    $(hook_entry startContainer /bin/hook /log),
    $(hook_entry poststart "$hook" "$log"),
    $(hook_entry poststop "$hook" "$log")
  },
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}
}
END
}

# Fails where the runtime does: $work/output says why.
real_container() {
  show_runtime create --bundle "$bundle" "$id" </dev/null >"$work/output" 2>&1 || return 1
  early=''
  [ ! -e "$log/poststart" ] || early=yes
  show_logs
  [ -z "$early" ] ||
    echo "  ($runtime calls poststart too early: the specification has it after the start.)"
  show_runtime start "$id" >>"$work/output" 2>&1 || return 1
  tries=0
  until run_runtime state "$id" | grep -q '"status": "stopped"'; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || return 1
    sleep 0.1
  done
  grep -q Hello "$work/output" || return 1
  show_logs
  cat "$work/output"
  show_runtime delete "$id" || return 1
  show_logs
}

echo
missing=$(missing)
if [ -z "$missing" ]; then
  make_bundle
  echo "A real container, and what its hooks log:"
  [ "$runtime" != crun ] ||
    echo "  (crun runs in a mount namespace of its own, with cgroup v2 at /sys/fs/cgroup.)"
  if real_container; then
    echo
    echo "That was a real container, run by $runtime. Without root, runc or crun, and a static busybox,"
    echo "this script shows the hook on what a real runc wrote (tests/fixtures/runc), and the runtime"
    echo "example."
    exit
  fi
  missing="$runtime can't run one: $(cat "$work/output")"
  echo "$missing"
  echo
  rm -f "$log"/*
fi

echo "What the hook logs of a container that a real runc told of (tests/fixtures/runc):"
for stage in createRuntime createContainer startContainer poststart poststop; do
  "$hook" "$log/$stage" <"$root/tests/fixtures/runc/hook-$stage.json"
done
show_logs
echo
echo "The runtime example, which keeps the states of containers, through the life of one:"
cd "$build/examples"
show ./runtime --root "$work/root" create web "$bundle" $$
show ./runtime --root "$work/root" start web
show ./runtime --root "$work/root" pause web
show ./runtime --root "$work/root" state web
show ./runtime --root "$work/root" start web 2>&1 || true
show ./runtime --root "$work/root" stop web
show ./runtime --root "$work/root" list
show ./runtime --root "$work/root" delete web
echo
echo "That was no real container. It takes root, runc or crun, and a static busybox to see one (on"
echo "Debian: apt-get install runc busybox-static). Here: $missing"
