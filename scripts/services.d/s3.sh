# shellcheck shell=bash
# s3: an S3 API that keeps two writers of one object apart (If-None-Match). With Docker it is MinIO; without, an emulator
# (moto, from the development dependencies), which keeps everything in memory.
SERVICES+=(s3)

# moto looks whether an object is there, and then writes it: with several threads at once, two would write it.
S3_ONE_BY_ONE='
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
'

s3_python() { # one that has moto
  local python
  # shellcheck disable=SC2153  # PYTHON is set by scripts/services
  for python in "$HERE/../.venv/bin/python" "$PYTHON"; do
    if [[ -x $(command -v "$python") ]] && "$python" -c 'import flask, moto' 2>/dev/null; then
      printf '%s' "$python"
      return
    fi
  done
  return 1
}

s3_answers() { # url: anything that speaks HTTP, and not with an error of its own
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
plain = f"{url.scheme}://{url.hostname}:{url.port or 80}/"
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(plain, timeout=3)
except urllib.error.HTTPError as answer:
    sys.exit(answer.code >= 500)
PY
}

s3_docker() {
  has_docker || because s3 "no Docker engine answers" || return 1
  local port
  PENSTOCK_S3_PASSWORD=$(password_of s3)
  export PENSTOCK_S3_PASSWORD
  for _ in 1 2 3 4 5; do
    port=$(some_port)
    if PENSTOCK_S3_PORT=$port compose up --detach --wait s3 >"$STATE/docker.log" 2>&1 </dev/null; then
      keep s3.url "http://penstock:$PENSTOCK_S3_PASSWORD@127.0.0.1:$port"
      keep s3.started docker
      return
    fi
    grep -qi 'port is already allocated\|address already in use' "$STATE/docker.log" || break
  done
  because s3 "Docker could not start it: $(tail -n 1 "$STATE/docker.log")"
}

s3_native() {
  local python port pid
  python=$(s3_python) || because s3 "moto is not installed: pip install 'moto[s3,server]'" || return 1
  for _ in 1 2 3; do
    port=$(some_port)
    (cd "$STATE" && exec setsid "$python" -c "$S3_ONE_BY_ONE" "$port" moto.server) >"$STATE/s3.log" 2>&1 </dev/null 9>&- &
    pid=$!
    if wait_for s3_answers "http://127.0.0.1:$port" "$pid"; then
      keep s3.pid "$pid"
      keep s3.url "http://penstock:$(password_of s3)@127.0.0.1:$port"
      keep s3.started native
      return
    fi
    kill "$pid" 2>/dev/null || true
  done
  because s3 "moto did not start: $(tail -n 1 "$STATE/s3.log")"
}

s3_stop() { # docker|native purge?
  local pid
  if [[ $1 == docker ]]; then
    PENSTOCK_S3_PASSWORD='' PENSTOCK_S3_PORT=0 compose rm --stop --force --volumes s3 >/dev/null 2>&1 || return 1
  fi
  pid=$(recall s3.pid)
  if [[ -n $pid ]] && is_running "$pid" moto.server; then end "$pid" moto.server || return 1; fi
  rm -f "$STATE"/s3.{pid,log}
  if [[ $2 == --purge ]]; then rm -f "$STATE/s3.password"; fi
}
