#!/usr/bin/env bash
# Docker Engine and Compose v2 on a plain Debian machine, without systemd.
#
#   bash .ci/docker-engine.sh install   packages that are missing (apt; the machine's own mirror)
#   bash .ci/docker-engine.sh start     an engine, when none answers
#   bash .ci/docker-engine.sh stop      the engine that `start` started, and no other
#
# `.ci/run` sources this file and calls the same functions.
set -euo pipefail

DEBIAN_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/tests/integration/image/debian_source.py
# The first Debian suite with an engine that knows `start_interval`, and with Compose v2.
DOCKER_SUITE=trixie
# Only these come from that suite. containerd and runc stay the machine's own: newer ones need
# a newer libc than bookworm has.
DOCKER_PACKAGES=(docker.io docker-cli docker-compose)
DOCKER_SOCKET=unix:///var/run/docker.sock
DOCKER_LOG=${DOCKER_LOG:-/var/log/docker-ci.log}
# dockerd removes its own pid file when it ends, so this one outlives it only after a crash.
DOCKER_PID_FILE=/run/docker-ci.pid
DOCKER_START_LIMIT_S=${DOCKER_START_LIMIT_S:-60}
DOCKER_STOP_LIMIT_S=30
# Set once this very shell has started an engine.
ENGINE_STARTED=

say() { printf '[ci %4ds] %s\n' "$SECONDS" "$*"; }

fail() {
  printf '[ci] error: %s\n' "$*" >&2
  return 1
}

engine_answers() { timeout 10 docker info >/dev/null 2>&1; }
compose_answers() { [[ $(docker compose version --short 2>/dev/null) =~ ^v?([2-9]|[1-9][0-9]) ]]; }

# Runs a command silently; when it fails, shows what it said.
quietly() {
  local said status=0
  said=$("$@" 2>&1) || status=$?
  ((status == 0)) || printf '%s\n' "$said" | tail -n 30 >&2
  return "$status"
}

apt_install() {
  # RUNLEVEL=1: the packages' own scripts must not start a second engine behind our back.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "$@"
}

apt_refresh() { apt-get -qq -o DPkg::Lock::Timeout=120 update; }

# The package lists may be absent (a fresh image) or stale (a file moved on): refresh, try again.
install_packages() {
  apt_install "$@" >/dev/null 2>&1 || { quietly apt_refresh && quietly apt_install "$@"; }
}

# apt with the other suite only, its lists in a folder of their own: what the machine itself
# would install stays as it was.
apt_other_suite() {
  local folder=$1
  shift
  "$1" -qq -o Dir::Etc::SourceList="$folder/suite.sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= \
    -o APT::Sandbox::User=root "${@:2}"
}

download_docker() {
  local folder=$1
  mkdir -p "$folder/lists"
  python3 "$DEBIAN_SOURCE" "$DOCKER_SUITE" >"$folder/suite.sources" || return
  quietly apt_other_suite "$folder" apt-get update || return
  (cd "$folder" && quietly apt_other_suite "$folder" apt-get download "${DOCKER_PACKAGES[@]}")
}

install_docker() {
  local folder status=0
  folder=$(mktemp -d)
  { download_docker "$folder" && install_packages "$folder"/*.deb; } || status=$?
  rm -rf "$folder"
  return "$status"
}

install_missing() {
  local needed=()
  if ! command -v docker >/dev/null ||
    ! compose_answers || { ! command -v dockerd >/dev/null && ! engine_answers; }; then
    say "docker: installing ${DOCKER_PACKAGES[*]} from $DOCKER_SUITE"
    install_docker || fail "cannot install Docker from the machine's own Debian source" || return
  fi
  command -v mmdebstrap >/dev/null || needed+=(mmdebstrap)
  # vLLM's CPU build opens it, and no wheel brings it.
  [[ $(ldconfig -p) == *libnuma.so.1* ]] || needed+=(libnuma1)
  # What images are pulled from in tests.
  command -v docker-registry >/dev/null || needed+=(docker-registry)
  # The other machine that models are copied from.
  command -v rsync >/dev/null || needed+=(rsync)
  # The gateway's rule between machines, which are network namespaces in tests.
  [[ -x /usr/sbin/nft ]] || needed+=(nftables)
  command -v ip >/dev/null || needed+=(iproute2)
  [[ -x /usr/sbin/sshd ]] || needed+=(openssh-server)
  mountpoint -q /sys/fs/cgroup || needed+=(cgroupfs-mount)
  if ((${#needed[@]})); then
    say "packages: installing ${needed[*]}"
    install_packages "${needed[@]}" || fail "cannot install ${needed[*]}" || return
  fi
}

started_pid() {
  local pid
  pid=$(cat "$DOCKER_PID_FILE" 2>/dev/null) || return
  # The number may have passed to another process after a crash.
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]] && printf '%s' "$pid"
}

wait_for_engine() {
  local deadline=$((SECONDS + DOCKER_START_LIMIT_S))
  until engine_answers; do
    if ! started_pid >/dev/null || ((SECONDS >= deadline)); then
      tail -n 30 "$DOCKER_LOG" >&2
      fail "dockerd is not up; the lines above are the end of $DOCKER_LOG"
      return
    fi
    sleep 0.2
  done
}

start_engine() {
  local began=$SECONDS
  if engine_answers; then
    say "docker engine: already up ($(docker info --format '{{.ServerVersion}}'))"
    return
  fi
  mountpoint -q /sys/fs/cgroup || cgroupfs-mount
  # From here on it is this engine and no other that everybody means.
  export DOCKER_HOST=$DOCKER_SOCKET
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  # setsid: Ctrl-C in the terminal must reach the tests first, the engine last and by us.
  setsid dockerd --host="$DOCKER_SOCKET" </dev/null >"$DOCKER_LOG" 2>&1 &
  printf '%s\n' "$!" >"$DOCKER_PID_FILE"
  ENGINE_STARTED=yes
  # The shell has just forked: give it the time to become dockerd.
  sleep 0.3
  wait_for_engine || return
  say "docker engine: $(docker info --format '{{.ServerVersion}}') up in $((SECONDS - began)) s," \
    "pid $(started_pid), log $DOCKER_LOG"
}

stop_engine() {
  local pid deadline=$((SECONDS + DOCKER_STOP_LIMIT_S))
  pid=$(started_pid) || return 0
  kill "$pid"
  while started_pid >/dev/null && ((SECONDS < deadline)); do sleep 0.2; done
  if started_pid >/dev/null; then
    fail "dockerd $pid did not stop in $DOCKER_STOP_LIMIT_S s; see $DOCKER_LOG"
    return
  fi
  rm -f "$DOCKER_PID_FILE"
  say "docker engine: stopped"
}

# An engine that was up before this shell came stays up.
stop_if_started() {
  if [[ -n $ENGINE_STARTED ]]; then stop_engine; fi
}

docker_engine() {
  case ${1:-} in
    install) install_missing ;;
    start) start_engine ;;
    stop) stop_engine ;;
    *) fail "usage: docker-engine.sh install|start|stop" ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then docker_engine "$@"; fi
