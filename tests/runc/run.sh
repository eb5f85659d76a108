#!/bin/sh
# The examples with a real runc: what the hooks of a container are told, what `runc state` writes, a
# hook that refuses a container, and the seccomp agent.
#
# Usage: sh run.sh DIRECTORY: where the examples are built. Exits with 77 where it can't run here.
set -eu
PATH=$PATH:/usr/sbin:/sbin
examples=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/oci-test-XXXXXX")
id=$(basename "$work")
bundle=$work/bundle
agent=''

finish() {
  status=$?
  trap '' EXIT HUP INT PIPE TERM
  runc --root "$work/runc" delete --force "$id" >/dev/null 2>&1 || true
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

skip() {
  echo "SKIPPED: real containers: $1"
  exit 77
}

fail() {
  echo "FAILED: $1"
  exit 1
}

# check WHAT EXPECTED FOUND
check() {
  [ "$2" = "$3" ] || fail "$1
expected: $2
found:    $3"
}

real_runc() { timeout --kill-after=5 60 runc --root "$work/runc" "$@" </dev/null; }

# The fields of a log's lines, without the time.
fields() { cut -d ' ' -f 2- "$1"; }

# A bundle whose process is the shell command $1, with the hooks $2 and the seccomp profile $3.
new_bundle() {
  rm -rf "$bundle"
  mkdir -p "$bundle/rootfs/bin" "$bundle/rootfs/proc" "$bundle/rootfs/log" "$work/log"
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
    {"destination": "/log", "type": "bind", "source": "$work/log", "options": ["bind"]}
  ],
  "annotations": {"com.example.owner": "Web & Söhne"},
  "hooks": {$2},
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}], "seccomp": $3}
}
END
}

[ "$(id -u)" = 0 ] || skip "not root"
command -v runc >/dev/null || skip "no runc (Debian: apt-get install runc)"
busybox=$(command -v busybox) || skip "no busybox (Debian: apt-get install busybox-static)"
new_bundle true '' null
chroot "$bundle/rootfs" /bin/busybox true || skip "$busybox is not static (Debian: busybox-static)"
status=0
chroot "$bundle/rootfs" /bin/hook 2>/dev/null || status=$?
[ $status = 2 ] || skip "the hook is not static, so it can't run in a container"
real_runc run --bundle "$bundle" "$id" >"$work/output" 2>&1 ||
  skip "runc can't run a container here: $(cat "$work/output")"

# ---- The hooks of a container's life, and runc state ---------------------------------------------

# A hook of the stage $1, the program $2 and the directory $3, with a log for the stage and one for
# all.
hook() {
  echo "\"$1\": [{\"path\": \"$2\", \"args\": [\"hook\", \"$3/$1\"]},
             {\"path\": \"$2\", \"args\": [\"hook\", \"$3/all\"]}]"
}
hooks=$(hook startContainer /bin/hook /log)
for stage in prestart createRuntime createContainer poststart poststop; do
  hooks="$hooks, $(hook $stage "$examples/hook" "$work/log")"
done
new_bundle 'sleep 1000' "$hooks" null

real_runc create --bundle "$bundle" --pid-file "$work/pid" "$id" >"$work/output" 2>&1 ||
  fail "runc create: $(cat "$work/output")"
pid=$(cat "$work/pid")
real_runc state "$id" | "$examples/hook" "$work/states"
real_runc start "$id"
real_runc state "$id" | "$examples/hook" "$work/states"

real_runc pause "$id"
paused=$(real_runc state "$id" | "$examples/hook" "$work/states" 2>&1) &&
  fail "the hook takes a paused container's state"
check "a paused container" \
  'hook: /status: expected "creating", "created", "running" or "stopped", found "paused"' "$paused"
real_runc resume "$id"

real_runc kill "$id" KILL
tries=0
until real_runc state "$id" | grep -q '"status": "stopped"'; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || fail "the container does not stop"
  sleep 0.1
done
real_runc state "$id" | "$examples/hook" "$work/states"
real_runc delete "$id"

check "runc state" "\"$id\" created $pid \"$bundle\"
\"$id\" running $pid \"$bundle\"
\"$id\" stopped 0 \"$bundle\"" "$(fields "$work/states")"

# In a PID namespace the container's first process is 1.
told="\"$id\" creating $pid \"$bundle\"
\"$id\" creating $pid \"$bundle\"
\"$id\" creating 1 \"$bundle\""
started="\"$id\" created 1 \"$bundle\""
check prestart "\"$id\" creating $pid \"$bundle\"" "$(fields "$work/log/prestart")"
check createRuntime "\"$id\" creating $pid \"$bundle\"" "$(fields "$work/log/createRuntime")"
check createContainer "\"$id\" creating 1 \"$bundle\"" "$(fields "$work/log/createContainer")"
check startContainer "$started" "$(fields "$work/log/startContainer")"
poststart=$(fields "$work/log/poststart")
case $poststart in
  *' created '*)  # runc up to 1.5, against the specification, as part of `runc create`
    check poststart "\"$id\" created $pid \"$bundle\"" "$poststart"
    told="$told
$poststart
$started"
    ;;
  *)
    check poststart "\"$id\" running $pid \"$bundle\"" "$poststart"
    told="$told
$started
$poststart"
    ;;
esac
check poststop "\"$id\" stopped - \"$bundle\"" "$(fields "$work/log/poststop")"
check "all hooks" "$told
\"$id\" stopped - \"$bundle\"" "$(fields "$work/log/all")"

# ---- A hook that refuses -------------------------------------------------------------------------

for stage in createRuntime createContainer; do
  new_bundle true "\"$stage\": [{\"path\": \"$examples/hook\", \"args\": [\"hook\", \"$work/no/log\"]}]" null
  real_runc create --bundle "$bundle" "$id" >"$work/output" 2>&1 &&
    fail "the $stage hook does not stop the container"
  grep -q "hook: cannot write to $work/no/log: No such file or directory" "$work/output" ||
    fail "runc does not say why the $stage hook refuses: $(cat "$work/output")"
  real_runc state "$id" >/dev/null 2>&1 && fail "the container that the $stage hook refuses is there"
done

# ---- The seccomp agent ---------------------------------------------------------------------------

new_bundle 'busybox mkdir /one && busybox mkdir /two' '' "{
  \"defaultAction\": \"SCMP_ACT_ALLOW\",
  \"listenerPath\": \"$work/agent.sock\",
  \"listenerMetadata\": \"for the agent\",
  \"syscalls\": [{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_NOTIFY\"}]
}"
timeout 60 "$examples/seccomp_agent" "$work/agent.sock" >"$work/agent.log" 2>&1 &
agent=$!
until [ -S "$work/agent.sock" ]; do
  kill -0 $agent || fail "the agent: $(cat "$work/agent.log")"
  sleep 0.1
done
real_runc run --bundle "$bundle" --pid-file "$work/pid" "$id" >"$work/output" 2>&1 ||
  fail "runc run with a seccomp agent: $(cat "$work/output" "$work/agent.log")"
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

echo "passed, with $(runc --version | head -n 1)"
