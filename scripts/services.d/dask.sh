# shellcheck shell=bash disable=SC2153,SC2154 # what all servers share is in scripts/services
# dask: a Dask scheduler and two workers of one thread, of the development environment. Its address is tcp://host:port.
# Workers keep the modules that they have imported, whatever becomes of the files; so there is one only where it is asked
# for by name: PENSTOCK_SERVICES_ONLY=dask scripts/services up
if [[ " ${PENSTOCK_SERVICES_ONLY:-} " == *" dask "* || -e $STATE/dask.started ]]; then SERVICES+=(dask); fi

dask_answers() { # address: something there greets as a Dask scheduler does (a length, then its handshake)
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import socket, sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
with socket.create_connection((url.hostname, url.port), timeout=3) as server:
    sys.exit(b"compression" not in server.recv(4096))
PY
}

dask_docker() { because dask "its workers need the development environment"; }

dask_python() { # one that has Dask
  local python
  for python in "$HERE/../.venv/bin/python" "$PYTHON"; do
    if "$python" -c 'import distributed' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  return 1
}

dask_start() { # python arguments: a process of its own, whose id is kept
  local python=$1
  shift
  (
    cd "$STATE/dask" || exit
    exec nohup "$python" -m dask "$@" >>"$STATE/dask/log" 2>&1 </dev/null 9>&-
  ) &
  echo $! >>"$STATE/dask.pids"
}

dask_native() {
  local python port number
  python=$(dask_python) || because dask "no Python here has Dask: make setup" || return 1
  dask_stop native ""
  mkdir -p "$STATE/dask"
  for _ in 1 2 3 4 5 6 7 8; do
    port=$(some_port)
    : >"$STATE/dask/log"
    dask_start "$python" scheduler --host 127.0.0.1 --port "$port" --dashboard-address "127.0.0.1:$((port + 1))"
    if wait_for dask_answers "tcp://127.0.0.1:$port" $!; then
      for number in 1 2; do
        dask_start "$python" worker "tcp://127.0.0.1:$port" --no-nanny --nthreads 1 --memory-limit 0 \
          --host 127.0.0.1 --worker-port $((port + 2 * number)) --dashboard-address "127.0.0.1:$((port + 2 * number + 1))" \
          --local-directory "$STATE/dask"
      done
      keep dask.url "tcp://127.0.0.1:$port"
      keep dask.started native
      return
    fi
    dask_stop native ""
    mkdir -p "$STATE/dask"
  done
  because dask "Dask's scheduler did not start"
}

dask_stop() { # docker|native purge?; nothing of it outlives it
  local pid
  for pid in $(recall dask.pids | sort -r); do
    if is_running "$pid" "-m dask"; then end "$pid" "-m dask" || return 1; fi
  done
  rm -rf "$STATE/dask"
  rm -f "$STATE/dask.pids"
}
