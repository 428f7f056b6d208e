# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# airflow: Airflow 3 (API server, scheduler with the LocalExecutor, DAG processor) in an environment of its own, on a
# database of the PostgreSQL server. Its address is http://user:password@host:port?dags=FOLDER. It is not run in Docker:
# its tasks have to find the Penstock of this checkout.
SERVICES+=(airflow)

AIRFLOW_REQUIRES=(apache-airflow==3.3.2 'psycopg[binary]==3.3.9' fastapi==0.136.3)
AIRFLOW_PARTS=(api-server scheduler dag-processor)

airflow_answers() { # url: its API and its database answer, and its scheduler and DAG processor are alive
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import json
import sys
import urllib.request
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
asked = f"http://{url.hostname}:{url.port}/api/v2/monitor/health"
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=5) as answer:
    parts = json.load(answer)
sys.exit(any(parts[part]["status"] != "healthy" for part in ("metadatabase", "scheduler", "dag_processor")))
PY
}

airflow_docker() { because airflow "it is not run in Docker"; }

airflow_uv() { # the installer of this checkout, or any
  local found
  for found in "$HERE/../.venv/bin/uv" uv; do
    if has "$found"; then
      command -v "$found"
      return
    fi
  done
  return 1
}

airflow_environment() { # made once, again when its requirements change
  local folder=$STATE/airflow/environment uv index
  [[ $(recall airflow/installed) != "${AIRFLOW_REQUIRES[*]}" ]] || return 0
  rm -rf "$folder" "$STATE/airflow/installed"
  say "installing ${AIRFLOW_REQUIRES[0]}"
  {
    if uv=$(airflow_uv); then
      # uv does not read pip's configuration: hand it the index that pip was told to use.
      index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$PYTHON" -m pip config get global.index-url 2>/dev/null || true)}}
      [[ -z $index ]] || export UV_DEFAULT_INDEX=$index
      "$uv" venv --quiet --python "$PYTHON" "$folder" &&
        "$uv" pip install --quiet --compile-bytecode --python "$folder/bin/python" "${AIRFLOW_REQUIRES[@]}"
    else
      "$PYTHON" -m venv "$folder" && "$folder/bin/python" -m pip install --quiet "${AIRFLOW_REQUIRES[@]}"
    fi
  } >"$STATE/airflow/install.log" 2>&1 </dev/null 9>&- || return 1
  keep airflow/installed "${AIRFLOW_REQUIRES[*]}"
}

airflow_with() { # port command: with the settings of our Airflow, in place of this shell
  local port=$1 database
  shift
  database=$(recall airflow/database)
  cd "$STATE/airflow" || exit
  exec env -u PYTHONDONTWRITEBYTECODE \
    AIRFLOW_HOME="$STATE/airflow" \
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="postgresql+psycopg${database#postgresql}" \
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC="postgresql+psycopg${database#postgresql}" \
    AIRFLOW__CORE__DAGS_FOLDER="$STATE/airflow/dags" \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False \
    AIRFLOW__CORE__EXECUTOR=LocalExecutor \
    AIRFLOW__CORE__PARALLELISM=2 \
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=penstock:admin \
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL="http://127.0.0.1:$port/execution/" \
    AIRFLOW__API__BASE_URL="http://127.0.0.1:$port" \
    AIRFLOW__API__SECRET_KEY="$(password_of airflow)" \
    AIRFLOW__API_AUTH__JWT_SECRET="$(password_of airflow)$(password_of airflow)" \
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=1 \
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=600 \
    AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES=1 \
    AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=15 \
    AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL=5 \
    AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC=2 \
    AIRFLOW__LOGGING__LOGGING_LEVEL=INFO \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
    NO_PROXY=127.0.0.1 \
    "$@"
}

airflow_start() { # port part arguments: in a session of its own, so that all it starts can be ended
  local port=$1 part=$2
  shift 2
  # Descriptor 9 is the lock: a server that inherited it would hold it for as long as it lives.
  airflow_with "$port" setsid "$STATE/airflow/environment/bin/airflow" "$part" "$@" \
    >"$STATE/airflow/$part.log" 2>&1 </dev/null 9>&- &
}

airflow_pid() { # part: of its process, if it runs
  local pid
  pid=$(recall "airflow/$1.pid") && is_running "$pid" "$(airflow_title "$1")" && printf '%s' "$pid"
}

airflow_title() { # part: what its command line holds; the API server changes its own
  printf 'airflow %s' "${1%-server}"
}

airflow_native() {
  local port url password part
  mkdir -p "$STATE/airflow/dags"
  airflow_environment || because airflow "Airflow could not be installed: $(tail -n 1 "$STATE/airflow/install.log")" ||
    return 1
  [[ -n $(that_postgres) ]] || because airflow "it keeps its state in PostgreSQL, and there is none" || return 1
  own_database "$STATE/airflow/environment/bin/python" airflow >"$STATE/airflow/database" ||
    because airflow "its database could not be made" || return 1
  airflow_end || return 1
  password=$(password_of airflow)
  (umask 077 && printf '{"penstock": "%s"}' "$password" >"$STATE/airflow/simple_auth_manager_passwords.json.generated")
  port=$(recall airflow.port)
  port=${port:-$(some_port)}
  (airflow_with "$port" "$STATE/airflow/environment/bin/airflow" db migrate) >"$STATE/airflow/migrate.log" 2>&1 </dev/null ||
    because airflow "its tables could not be made: $(tail -n 1 "$STATE/airflow/migrate.log")" || return 1
  for _ in 1 2 3 4; do
    port=${port:-$(some_port)}
    airflow_start "$port" api-server --host 127.0.0.1 --port "$port" --workers 1
    keep airflow/api-server.pid $!
    airflow_start "$port" scheduler --skip-serve-logs
    keep airflow/scheduler.pid $!
    airflow_start "$port" dag-processor
    keep airflow/dag-processor.pid $!
    url="http://penstock:$password@127.0.0.1:$port?dags=$STATE/airflow/dags"
    if wait_for airflow_answers "$url" "$(recall airflow/api-server.pid)"; then
      keep airflow.port "$port"
      keep airflow.url "$url"
      keep airflow.started native
      return
    fi
    airflow_end || return 1
    grep -qi 'address already in use' "$STATE/airflow/api-server.log" || break
    port=
  done
  for part in "${AIRFLOW_PARTS[@]}"; do
    because airflow "$part: $(grep -m 1 -E 'Error|ERROR|error' "$STATE/airflow/$part.log" || echo 'says nothing')" || true
  done
  return 1
}

airflow_end() { # all three, with what they have started
  local part pid running=()
  for part in "${AIRFLOW_PARTS[@]}"; do
    if pid=$(airflow_pid "$part"); then
      running+=("$pid")
      kill "$pid" 2>/dev/null || true
    fi
  done
  for _ in {1..25}; do # its state is in the database, and what it executes is for tests: it need not end by itself
    [[ -n $(for part in "${AIRFLOW_PARTS[@]}"; do airflow_pid "$part" || true; done) ]] || break
    sleep 0.2
  done
  for pid in "${running[@]}"; do kill -9 -- "-$pid" 2>/dev/null || true; done
  rm -f "$STATE"/airflow/*.pid
}

airflow_stop() { # docker|native purge?
  airflow_end || return 1
  if [[ $2 == --purge ]]; then rm -rf "$STATE/airflow" "$STATE"/airflow.{port,password}; fi
}
