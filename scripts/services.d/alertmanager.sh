# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# alertmanager: Prometheus' Alertmanager, which tells nobody of what it is told. Its address is http://host:port.
SERVICES+=(alertmanager)

alertmanager_answers() { # url: something there says that it is ready
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import sys, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(sys.argv[1] + "/-/ready", timeout=3) as answer:
    sys.exit(answer.status != 200)
PY
}

alertmanager_docker() {
  has_docker || because alertmanager "no Docker engine answers" || return 1
  local port
  for _ in 1 2 3 4 5; do
    port=$(some_port)
    if PENSTOCK_ALERTMANAGER_PORT=$port compose up --detach --wait alertmanager >"$STATE/docker.log" 2>&1 </dev/null; then
      keep alertmanager.url "http://127.0.0.1:$port"
      keep alertmanager.started docker
      return
    fi
    grep -qi 'port is already allocated\|address already in use' "$STATE/docker.log" || break
  done
  because alertmanager "Docker could not start it: $(tail -n 1 "$STATE/docker.log")"
}

alertmanager_pid() { # of the server in our folder, if it runs
  local pid
  pid=$(recall alertmanager/pid) && is_running "$pid" "$STATE/alertmanager/data" && printf '%s' "$pid"
}

alertmanager_native() {
  local program port log=$STATE/alertmanager/log
  if ! has prometheus-alertmanager && ! has alertmanager; then
    can_apt || because alertmanager "no Alertmanager here, and only root on Debian can install it" || return 1
    apt_install prometheus-alertmanager ||
      because alertmanager "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  program=$(command -v prometheus-alertmanager || command -v alertmanager) ||
    because alertmanager "no Alertmanager here" || return 1
  mkdir -p "$STATE/alertmanager"
  printf 'route: {receiver: nobody}\nreceivers: [{name: nobody}]\n' >"$STATE/alertmanager/settings.yml"
  port=$(recall alertmanager.port)
  for _ in 1 2 3 4 5 6 7 8; do
    port=${port:-$(some_port)}
    nohup "$program" "--web.listen-address=127.0.0.1:$port" --cluster.listen-address= \
      "--storage.path=$STATE/alertmanager/data" "--config.file=$STATE/alertmanager/settings.yml" \
      >"$log" 2>&1 </dev/null 9>&- &
    keep alertmanager/pid $!
    if wait_for alertmanager_answers "http://127.0.0.1:$port" $!; then
      keep alertmanager.port "$port"
      keep alertmanager.url "http://127.0.0.1:$port"
      keep alertmanager.started native
      return
    fi
    grep -q 'address already in use' "$log" || break
    port=
  done
  because alertmanager "Alertmanager did not start: $(tail -n 1 "$log")"
}

alertmanager_stop() { # docker|native purge?
  local pid
  if [[ $1 == docker ]]; then
    PENSTOCK_ALERTMANAGER_PORT=0 compose rm --stop --force --volumes alertmanager >/dev/null 2>&1 || return 1
  fi
  if pid=$(alertmanager_pid); then end "$pid" "$STATE/alertmanager/data" || return 1; fi
  rm -f "$STATE/alertmanager/pid"
  if [[ $2 == --purge ]]; then rm -rf "$STATE/alertmanager" "$STATE/alertmanager.port"; fi
}
