# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# prefect: a Prefect server with a database of its own: in the PostgreSQL server, and in a file of SQLite where there is
# none. On SQLite it refuses (503) who reads and then writes while another has written between, so that its workers give
# up runs when much is going on. Its address is that of its API, http://host:port/api.
SERVICES+=(prefect)

prefect_answers() { # url: something there says that it is well
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import sys, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(sys.argv[1] + "/health", timeout=3) as answer:
    sys.exit(answer.read().strip() != b"true")
PY
}

prefect_docker() { # Prefect is a Python package: it is installed with the checkout, and needs no image
  return 1
}

prefect_pid() { # of the server in our folder, if it runs
  local pid
  pid=$(recall prefect/pid) && is_running "$pid" "server start --host 127.0.0.1 --port $(recall prefect.port)" &&
    printf '%s' "$pid"
}

prefect_native() {
  local program port database log=$STATE/prefect/log
  program=$HERE/../.venv/bin/prefect
  [[ -x $program ]] || program=$(command -v prefect) ||
    because prefect "no prefect here (uv pip install 'penstock[prefect]' into .venv)" || return 1
  mkdir -p "$STATE/prefect/home"
  database=sqlite+aiosqlite:///$STATE/prefect/home/prefect.db
  if [[ -n $(that_postgres) ]]; then
    database=$(own_database "$(dirname "$program")/python" prefect 2>"$log") ||
      because prefect "its database could not be made: $(tail -n 1 "$log")" || return 1
    database=postgresql+asyncpg${database#postgresql}
  fi
  port=$(recall prefect.port)
  for _ in 1 2 3 4 5 6 7 8; do
    port=${port:-$(some_port)}
    # Nothing is sent to the makers of Prefect.
    PREFECT_HOME=$STATE/prefect/home PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 \
      PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS=5 PREFECT_SERVER_UI_ENABLED=false \
      PREFECT_SERVER_DATABASE_TIMEOUT=60 PREFECT_SERVER_DATABASE_CONNECTION_URL=$database \
      PREFECT_API_URL="http://127.0.0.1:$port/api" \
      nohup "$program" server start --host 127.0.0.1 --port "$port" >"$log" 2>&1 </dev/null 9>&- &
    keep prefect/pid $!
    if wait_for prefect_answers "http://127.0.0.1:$port/api" $!; then
      keep prefect.port "$port"
      keep prefect.url "http://127.0.0.1:$port/api"
      keep prefect.started native
      return
    fi
    grep -qi 'address already in use\|already in use' "$log" || break
    port=
  done
  because prefect "Prefect did not start: $(tail -n 1 "$log")"
}

prefect_stop() { # docker|native purge?
  local pid
  if pid=$(prefect_pid); then end "$pid" "server start --host 127.0.0.1" || return 1; fi
  rm -f "$STATE/prefect/pid"
  if [[ $2 == --purge ]]; then rm -rf "$STATE/prefect" "$STATE/prefect.port"; fi
}
