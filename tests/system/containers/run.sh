#!/bin/sh
# The examples with real containers, under runc and under crun: what each hook is told, what
# `state` prints, hooks that refuse a container, and the seccomp agent.
#
# Usage: sh run.sh DIRECTORY [RUNTIME...]: where the examples are built. Runs what it can, says what
# it skips and why, and exits with 77 where no runtime can run.
set -eu
PATH=$PATH:/usr/sbin:/sbin
examples=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/oci-test-XXXXXX")
id=$(basename "$work")
bundle=$work/bundle
log=$work/log
busybox=$(command -v busybox || true)
runtime=''
agent=''

finish() {
  status=$?
  trap '' EXIT HUP INT PIPE TERM
  runtime delete --force "$id" >/dev/null 2>&1 || true
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

fail() {
  echo "FAILED under $runtime: $1"
  exit 1
}

# check WHAT EXPECTED FOUND
check() {
  [ "$2" = "$3" ] || fail "$1
expected: $2
found:    $3"
}

# Waits until the command $1... succeeds, for 10 seconds at most.
wait_until() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "still not so: $*: $(cat "$work/output")"
    sleep 0.1
  done
}

# Runs the command $1... of the runtime under test. crun needs cgroup v2 at /sys/fs/cgroup: it gets
# that in a mount namespace of its own.
runtime() {
  set -- "$runtime" --root "$work/$runtime" "$@"
  # shellcheck disable=SC2016  # $@ is for the inner shell
  [ "$runtime" != crun ] ||
    set -- unshare -m sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh "$@"
  timeout --kill-after=5 60 "$@" </dev/null
}

# A bundle whose process is the shell command $1, with the hooks $2 and the seccomp profile $3.
new_bundle() {
  rm -rf "$bundle" "$log"
  for directory in bin dev log proc sys; do mkdir -p "$bundle/rootfs/$directory"; done
  mkdir "$log"
  cp "$busybox" "$bundle/rootfs/bin/busybox"
  cp "$examples/hook" "$bundle/rootfs/bin/hook"
  cat >"$bundle/config.json" <<END
{
  "ociVersion": "1.0.2",
  "process": {
    "user": {"uid": 0, "gid": 0},
    "args": ["/bin/busybox", "sh", "-c", "$1"],
    "cwd": "/"
  },
  "root": {"path": "rootfs"},
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/log", "type": "bind", "source": "$log", "options": ["bind"]}
  ],
  "annotations": {"com.example.owner": "Web & Söhne"},
  "hooks": {$2},
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}], "seccomp": $3}
}
END
}

# Why the runtime under test can't run here; nothing where it can.
why_not() {
  if [ "$(id -u)" != 0 ]; then
    echo "not root"
  elif ! command -v "$runtime" >/dev/null; then
    echo "no $runtime (Debian: apt-get install $runtime)"
  elif [ -z "$busybox" ]; then
    echo "no busybox (Debian: apt-get install busybox-static)"
  else
    new_bundle true '' null
    status=0
    chroot "$bundle/rootfs" /bin/hook 2>/dev/null || status=$?
    if ! chroot "$bundle/rootfs" /bin/busybox true; then
      echo "$busybox is not static (Debian: busybox-static)"
    elif [ $status != 2 ]; then
      echo "the hook is not static, so it can't run in a container"
    elif ! runtime run --bundle "$bundle" "$id" >"$work/output" 2>&1; then
      echo "$runtime can't run a container here: $(cat "$work/output")"
    fi
  fi
}

# Two hooks of the stage $1, for the program $2 and the directory $3: one has a log for the stage,
# the other one for all stages.
hook() {
  echo "\"$1\": [{\"path\": \"$2\", \"args\": [\"hook\", \"$3/$1\"]},
             {\"path\": \"$2\", \"args\": [\"hook\", \"$3/all\"]}]"
}

# The fields of a log's lines, without the time.
fields() { cut -d ' ' -f 2- "$1"; }

# What the hook logs of the status $1, the pid $2 and the bundle $3.
line() { echo "\"$id\" \"$1\" $2 \"$3\""; }

# expect STAGE STATUS PID BUNDLE: what the stage's hooks logged.
expect() {
  check "$1" "$(line "$2" "$3" "$4")" "$(fields "$log/$1")"
  all="$all$(line "$2" "$3" "$4")
"
}

stopped() { runtime state "$id" | grep -q '"status": "stopped"'; }

# The life of a container: its hooks, and what `state` prints.
test_life() {
  hooks=$(hook startContainer /bin/hook /log)
  for stage in prestart createRuntime createContainer poststart poststop; do
    hooks="$hooks, $(hook $stage "$examples/hook" "$log")"
  done
  new_bundle 'echo >/log/started; sleep 1000' "$hooks" null
  rm -f "$work/states"

  runtime create --bundle "$bundle" --pid-file "$work/pid" "$id" >"$work/output" 2>&1 ||
    fail "create: $(cat "$work/output")"
  pid=$(cat "$work/pid")
  runtime state "$id" | "$examples/hook" "$work/states"
  runtime start "$id"
  wait_until [ -e "$log/started" ]  # crun does not wait for the hook of startContainer
  runtime state "$id" | "$examples/hook" "$work/states"
  runtime pause "$id"
  runtime state "$id" | "$examples/hook" "$work/states"
  runtime resume "$id"
  runtime kill "$id" KILL
  wait_until stopped
  runtime state "$id" | "$examples/hook" "$work/states"
  runtime delete "$id"

  check state "$(line created "$pid" "$bundle"
    line running "$pid" "$bundle"
    line paused "$pid" "$bundle"
    line stopped 0 "$bundle")" "$(fields "$work/states")"

  all=''
  if [ "$runtime" = crun ]; then
    expect prestart created "$pid" "$bundle"
    expect createRuntime created "$pid" "$bundle"
    expect createContainer created 0 "$bundle"
    expect startContainer starting 0 /
    expect poststart running "$pid" "$bundle"
    expect poststop stopped 0 "$bundle"
  else
    expect prestart creating "$pid" "$bundle"
    expect createRuntime creating "$pid" "$bundle"
    expect createContainer creating 1 "$bundle"  # the first process of its PID namespace
    expect startContainer created 1 "$bundle"
    # Against the specification, runc up to 1.5 calls poststart before it starts the container.
    status=running
    grep -q '"running"' "$log/poststart" || status=created
    expect poststart $status "$pid" "$bundle"
    expect poststop stopped - "$bundle"
  fi
  # Sorted: poststart comes before startContainer in runc, and at the same time in crun.
  check "all hooks" "$(printf %s "$all" | sort)" "$(fields "$log/all" | sort)"
}

# refuse STAGE SHELL COMMAND REASON: the hook COMMAND refuses with REASON, and the container's
# process does not start. crun shows nobody what a hook writes: COMMAND's errors go to a file.
refuse() {
  new_bundle 'echo >/log/started' \
    "\"$1\": [{\"path\": \"$2\", \"args\": [\"busybox\", \"sh\", \"-c\", \"$3\"]}]" null
  runtime run --bundle "$bundle" "$id" >"$work/output" 2>&1 &&
    fail "$1: the hook does not stop the container: $3"
  [ ! -e "$log/started" ] || fail "$1: the container has started: $3"
  check "$1: the hook's reason" "$4" "$(cat "$log/reason")"
  runtime state "$id" >/dev/null 2>&1 && fail "$1: the container is still there: $3"
  return 0
}

# A hook that can't write its log, and one that is told of no container.
test_refusal() {
  for stage in createRuntime createContainer startContainer; do
    case $stage in
      startContainer) set -- /bin/busybox /bin/hook /log ;;
      *) set -- "$busybox" "$examples/hook" "$log" ;;
    esac
    refuse $stage "$1" "'$2' '$3/no/log' 2>'$3/reason'" \
      "hook: cannot write to $3/no/log: No such file or directory"
    refuse $stage "$1" "echo {} | '$2' '$3/log' 2>'$3/reason'" 'hook: /ociVersion: expected a version, found ""'
  done
}

test_agent() {
  new_bundle 'busybox mkdir /one && busybox mkdir /two' '' "{
    \"defaultAction\": \"SCMP_ACT_ALLOW\",
    \"listenerPath\": \"$work/agent.sock\",
    \"listenerMetadata\": \"for the agent\",
    \"syscalls\": [{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_NOTIFY\"}]
  }"
  timeout 60 "$examples/seccomp_agent" "$work/agent.sock" >"$work/agent.log" 2>&1 &
  agent=$!
  wait_until [ -S "$work/agent.sock" ]
  runtime run --bundle "$bundle" --pid-file "$work/pid" "$id" >"$work/output" 2>&1 ||
    fail "run with a seccomp agent: $(cat "$work/output" "$work/agent.log")"
  pid=$(cat "$work/pid")
  wait $agent || fail "the agent: $(cat "$work/agent.log")"
  agent=''
  [ -d "$bundle/rootfs/one" ] || fail "the first call did not continue"
  [ -d "$bundle/rootfs/two" ] || fail "the second call did not continue"
  [ ! -e "$work/agent.sock" ] || fail "the agent leaves its socket"
  check "the container process state" "{\"fds\":[\"seccompFd\"],\"pid\":$pid,\
\"metadata\":\"for the agent\",\"state\":{\"id\":\"$id\",\"status\":\"creating\",\"pid\":$pid,\
\"bundle\":\"$bundle\",\"annotations\":{\"com.example.owner\":\"Web & Söhne\"}}}" \
    "$(head -n 1 "$work/agent.log" | sed 's/"ociVersion":"[^"]*",//g')"
  check "the logged calls" 2 "$(grep -c '^process [0-9]*: system call [0-9]*$' "$work/agent.log")"
  check "the agent's log" 3 "$(wc -l <"$work/agent.log")"
}

[ $# != 0 ] || set -- runc crun
ran=''
for runtime in "$@"; do
  reason=$(why_not)
  if [ -n "$reason" ]; then
    echo "SKIPPED: real containers with $runtime: $reason"
    continue
  fi
  test_life
  test_refusal
  test_agent
  ran=yes
  echo "passed: real containers with $(runtime --version | head -n 1)"
done
[ -n "$ran" ] || exit 77
