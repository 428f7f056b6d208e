# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# VictoriaMetrics, which takes the writes of InfluxDB 2. Its address is http://host:port.
SERVICES+=(timeseries)

timeseries_answers() { # url: something there says that it is well
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import sys, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(sys.argv[1] + "/health", timeout=3) as answer:
    sys.exit(answer.status != 200)
PY
}

timeseries_docker() {
  has_docker || because timeseries "no Docker engine answers" || return 1
  local port
  for _ in 1 2 3 4 5; do
    port=$(some_port)
    if PENSTOCK_TIMESERIES_PORT=$port compose up --detach --wait timeseries >"$STATE/docker.log" 2>&1 </dev/null; then
      keep timeseries.url "http://127.0.0.1:$port"
      keep timeseries.started docker
      return
    fi
    grep -qi 'port is already allocated\|address already in use' "$STATE/docker.log" || break
  done
  because timeseries "Docker could not start it: $(tail -n 1 "$STATE/docker.log")"
}

timeseries_pid() { # of the server in our folder, if it runs
  local pid
  pid=$(recall timeseries/pid) && is_running "$pid" "$STATE/timeseries/data" && printf '%s' "$pid"
}

timeseries_native() {
  local program port log=$STATE/timeseries/log
  if ! has victoria-metrics && ! has victoria-metrics-prod; then
    can_apt || because timeseries "no VictoriaMetrics here, and only root on Debian can install it" || return 1
    apt_install victoria-metrics || because timeseries "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  program=$(command -v victoria-metrics || command -v victoria-metrics-prod) ||
    because timeseries "no VictoriaMetrics here" || return 1
  mkdir -p "$STATE/timeseries"
  port=$(recall timeseries.port)
  for _ in 1 2 3 4 5 6 7 8; do
    port=${port:-$(some_port)}
    # A point that is written twice is one point, and any past is kept.
    nohup "$program" "-httpListenAddr=127.0.0.1:$port" "-storageDataPath=$STATE/timeseries/data" \
      -dedup.minScrapeInterval=1ms -retentionPeriod=100y -search.latencyOffset=0s -memory.allowedBytes=128MB \
      -loggerLevel=WARN >"$log" 2>&1 </dev/null 9>&- &
    keep timeseries/pid $!
    if wait_for timeseries_answers "http://127.0.0.1:$port" $!; then
      keep timeseries.port "$port"
      keep timeseries.url "http://127.0.0.1:$port"
      keep timeseries.started native
      return
    fi
    grep -q 'address already in use' "$log" || break
    port=
  done
  because timeseries "VictoriaMetrics did not start: $(tail -n 1 "$log")"
}

timeseries_stop() { # docker|native purge?
  local pid
  if [[ $1 == docker ]]; then
    PENSTOCK_TIMESERIES_PORT=0 compose rm --stop --force --volumes timeseries >/dev/null 2>&1 || return 1
  fi
  if pid=$(timeseries_pid); then end "$pid" "$STATE/timeseries/data" || return 1; fi
  rm -f "$STATE/timeseries/pid"
  if [[ $2 == --purge ]]; then rm -rf "$STATE/timeseries" "$STATE/timeseries.port"; fi
}
