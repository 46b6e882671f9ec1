#!/usr/bin/env bash
# A Docker Engine of the project's own, for the tests that need a real one.
#
#   tests/engine.sh up       install what is missing, start the engine, wait until it answers
#   tests/engine.sh status   does it run; exit 0 if so, 1 if not
#   tests/engine.sh down     stop the engine that `up` started, and remove its data
#
# Each takes which engine: `installed`, which this system has or gets (Debian 12's: 20.10), or `26.1`, Debian 13's,
# unpacked and never installed. Both may run at once, each with a folder of its own. Without a word it is what
# WATCHDOG_ENGINE_VERSION says, else the installed one.
#
# `up` may be said again at any time: what is there already stays as it is. `up` and `status` print,
# on stdout and for `eval`, the variables by which a client, and this script, find this engine:
#
#   eval "$(tests/engine.sh up)"
#
# It never touches another engine: socket, data, containerd's state and log of this one all lie below
# one folder (WATCHDOG_ENGINE_DIR, else /tmp/watchdog-engine, with -26.1 for that one), what was fetched in
# WATCHDOG_ENGINE_TOOLS (else /tmp/watchdog-engine/tools). No bridge is made, the firewall is left alone,
# and `down` ends one process, by the id that it noted, once it has checked whose it is.
# Needs root and Debian's apt (made for Debian 12).
set -euo pipefail

version=${2:-${WATCHDOG_ENGINE_VERSION:-installed}}
state=${WATCHDOG_ENGINE_DIR:-/tmp/watchdog-engine}
[ "$version" = installed ] || state=${WATCHDOG_ENGINE_DIR:-/tmp/watchdog-engine-$version}
tools=${WATCHDOG_ENGINE_TOOLS:-/tmp/watchdog-engine/tools}
config=$tools/config
socket=$state/docker.sock
pid_file=$state/dockerd.pid
log=$state/dockerd.log
# The group that may use the socket: a number that no host gives away, so that a test which is let in
# was let in by DOCKER_GID and by nothing else.
socket_gid=64733
start_wait_s=60
stop_wait_s=30

main() {
  case "$version" in
    installed) ;;
    26.1) export PATH=$tools/engine-26.1:$PATH ;;
    *) die "there is no engine $version here: say installed or 26.1" ;;
  esac
  case "${1:-}" in
    up) up ;;
    down) down ;;
    status) status ;;
    *)
      echo "usage: tests/engine.sh up|down|status [installed|26.1]" >&2
      exit 64
      ;;
  esac
}

up() {
  if ! answers; then
    [ "$(id -u)" = 0 ] || die "starting an engine needs root"
    own_folder "$state"
    install_engine
    start_engine
  fi
  own_folder "$tools"
  install_compose
  check_memory_controller
  print_variables
}

status() {
  if ! answers; then
    say "no engine of ours answers at $socket"
    exit 1
  fi
  say "engine $(client version --format '{{.Server.Version}}'), pid $(running_pid || echo unknown)"
  print_variables
}

down() {
  local pid
  if pid=$(running_pid); then
    kill -TERM "$pid"
    wait_for "$stop_wait_s" process_gone "$pid" || {
      say "the engine did not end by itself in $stop_wait_s s: killing it"
      kill -KILL "$pid"
      wait_for 5 process_gone "$pid" || die "pid $pid cannot be ended"
    }
    say "engine stopped"
  fi
  end_own_containerd
  unmount_leftovers
  # The tools folder stays: it is a download, not state.
  rm -rf "$state/data" "$state/exec" "$pid_file" "$socket"
}

# Root runs what lies below these folders.
own_folder() {
  install -d -m 755 "$1"
  [ "$(stat -c %u "$1")" = 0 ] || die "$1 belongs to somebody else"
}

install_engine() {
  # iproute2: people look at the network of a test by it. iptables comes along as a dependency.
  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    say "installing docker.io"
    apt_retry update -q
    DEBIAN_FRONTEND=noninteractive apt_retry install -y -q --no-install-recommends docker.io iproute2
  fi
  [ "$version" != 26.1 ] || install_engine_26
}

# Three programs are enough. They need no newer C library than Debian 12's; Debian 13's runc does, so this engine
# starts its containers with the installed one, as it does docker-init.
install_engine_26() {
  local folder=$tools/engine-26.1
  [ -x "$folder/dockerd" ] && return
  say "fetching Debian 13's engine"
  own_folder "$tools"
  fetch_from_trixie docker.io containerd
  install -D -m 755 -t "$folder" "$tools"/apt/unpacked/usr/bin/containerd{,-shim-runc-v2}
  # Last, since its being there says that all is.
  install -m 755 -t "$folder" "$tools/apt/unpacked/usr/sbin/dockerd"
  rm -rf "$tools/apt"
}

# Debian 12's docker-compose is 1.29 and knows no `env_file: required: false`. Debian 13's is 2.26 and
# one static program.
install_compose() {
  local plugins=$config/cli-plugins
  [ -x "$plugins/docker-compose" ] && return
  say "fetching Compose 2"
  fetch_from_trixie docker-compose
  install -D -m 755 -t "$plugins" "$tools/apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose"
  rm -rf "$tools/apt"
}

# Unpacks packages of the suite `trixie` of the same mirror below "$tools/apt/unpacked", with lists of their own.
# Nothing is installed and apt's own sources stay as they are.
fetch_from_trixie() {
  local apt=$tools/apt package
  rm -rf "$apt"
  install -d "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) trixie main" \
    >"$apt/sources.list"
  local options=(
    -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache"
    -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o Acquire::Languages=none
  )
  apt_retry "${options[@]}" update -q
  (cd "$apt" && apt_retry "${options[@]}" download "$@")
  for package in "$apt"/*.deb; do
    dpkg-deb -x "$package" "$apt/unpacked"
  done
}

debian_mirror() {
  local mirrors
  mirrors=$(list_mirrors)
  if [ -z "$mirrors" ]; then
    # On a new machine apt has no lists yet, and so does not know whose mirror is whose.
    apt_retry update -q
    mirrors=$(list_mirrors)
  fi
  [ -n "$mirrors" ] || die "apt knows no mirror of Debian"
  echo "${mirrors%%$'\n'*}"
}

list_mirrors() {
  # shellcheck disable=SC2016 # apt's own variable
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian'
}

start_engine() {
  if running_pid >/dev/null; then
    wait_for 10 answers || die "the engine runs but does not answer: say \`down\` first"
    return
  fi
  say "starting dockerd"
  # dockerd refuses to start while the pid in its file exists, be it a zombie or a stranger's by now.
  rm -f "$pid_file"
  install -d -m 711 "$state/data" "$state/exec"
  # No bridge and no rules: the tests' containers use the host's network or none. A containerd that
  # the system runs already is shared by dockerd, hence names of our own inside it.
  setsid nohup dockerd \
    --data-root "$state/data" --exec-root "$state/exec" --pidfile "$pid_file" \
    --host "unix://$socket" --group "$socket_gid" \
    --containerd-namespace watchdog-tests --containerd-plugins-namespace watchdog-tests-plugins \
    --bridge none --iptables=false --ip-forward=false --ip-masq=false \
    >"$log" 2>&1 </dev/null &
  wait_for "$start_wait_s" answers || {
    tail -n 30 "$log" >&2
    die "dockerd does not answer after $start_wait_s s; its log is $log"
  }
}

# A memory limit must really kill, or the tests of container_oom would test nothing.
check_memory_controller() {
  [ "$(client info --format '{{.MemoryLimit}}')" = true ] ||
    die "this kernel gives the engine no memory controller: no limit would ever kill"
}

print_variables() {
  echo "export DOCKER_HOST=unix://$socket"
  echo "export DOCKER_CONFIG=$config"
  echo "export WATCHDOG_ENGINE_TOOLS=$tools"
  echo "export WATCHDOG_ENGINE_VERSION=$version"
}

answers() {
  [ -S "$socket" ] && command -v docker >/dev/null && client version >/dev/null 2>&1
}

client() {
  DOCKER_HOST=unix://$socket DOCKER_CONFIG=$config timeout 20 docker "$@"
}

# The pid of the engine that `up` started, if it is still that: a pid alone may be somebody else's by now.
running_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [[ "$(command_line "$pid")" == *"dockerd --data-root $state/data"* ]] || return 1
  echo "$pid"
}

# A dockerd that was killed leaves its containerd behind; that one is known by its configuration's path.
end_own_containerd() {
  local pid_path=$state/exec/containerd/containerd.pid pid
  pid=$(cat "$pid_path" 2>/dev/null) || return 0
  if [[ "$(command_line "$pid")" == *"$state/exec/containerd"* ]]; then
    kill -TERM "$pid"
    wait_for 10 process_gone "$pid" || die "containerd, pid $pid, does not end"
  fi
}

command_line() {
  tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" || true
}

# dockerd leaves its namespace file mounted, and rm must never walk into a mount.
unmount_leftovers() {
  local target
  while read -r target; do
    umount "$target"
  done < <(awk -v at="$state/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

process_gone() {
  [ ! -e "/proc/$1" ] || [ "$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)" = Z ]
}

# wait_for SECONDS COMMAND…: true as soon as COMMAND is.
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.2
  done
}

# A mirror hiccups; a test run should not end by it.
apt_retry() {
  local attempt
  for attempt in 1 2 3; do
    apt-get -o Acquire::Retries=3 "$@" >&2 && return
    say "apt-get failed (attempt $attempt)"
    sleep 2
  done
  return 1
}

say() { echo "engine: $*" >&2; }

die() {
  say "$*"
  exit 1
}

main "$@"
