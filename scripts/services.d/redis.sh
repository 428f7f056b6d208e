# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# redis: one that keeps everything in memory. Its address is redis://host:port/0.
SERVICES+=(redis)

redis_answers() { # url: something there says PONG
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import socket, sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
with socket.create_connection((url.hostname, url.port or 6379), timeout=3) as server:
    server.sendall(b"PING\r\n")
    sys.exit(server.recv(5) not in (b"+PONG", b"-NOAU"))
PY
}

redis_docker() {
  has_docker || because redis "no Docker engine answers" || return 1
  local port
  for _ in 1 2 3 4 5; do
    port=$(some_port)
    if PENSTOCK_REDIS_PORT=$port compose up --detach --wait redis >"$STATE/docker.log" 2>&1 </dev/null; then
      keep redis.url "redis://127.0.0.1:$port/0"
      keep redis.started docker
      return
    fi
    grep -qi 'port is already allocated\|address already in use' "$STATE/docker.log" || break
  done
  because redis "Docker could not start it: $(tail -n 1 "$STATE/docker.log")"
}

redis_pid() { # of the server that was started here, if it runs; its title says where it listens
  local pid
  pid=$(recall redis/pid) && is_running "$pid" "redis-server 127.0.0.1:$(recall redis.port)" && printf '%s' "$pid"
}

redis_native() {
  local port log=$STATE/redis/log
  if ! has redis-server; then
    can_apt || because redis "no redis-server here, and only root on Debian can install it" || return 1
    apt_install redis-server || because redis "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  mkdir -p "$STATE/redis"
  port=$(recall redis.port)
  for _ in 1 2 3 4 5 6 7 8; do
    port=${port:-$(some_port)}
    nohup redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$STATE/redis" \
      --maxmemory 64mb --maxmemory-policy allkeys-lru >"$log" 2>&1 </dev/null 9>&- &
    keep redis/pid $!
    if wait_for redis_answers "redis://127.0.0.1:$port/0" $!; then
      keep redis.port "$port"
      keep redis.url "redis://127.0.0.1:$port/0"
      keep redis.started native
      return
    fi
    grep -qi 'address already in use' "$log" || break
    port=
  done
  because redis "Redis did not start: $(tail -n 1 "$log")"
}

redis_stop() { # docker|native purge?
  local pid
  if [[ $1 == docker ]]; then
    PENSTOCK_REDIS_PORT=0 compose rm --stop --force --volumes redis >/dev/null 2>&1 || return 1
  fi
  if pid=$(redis_pid); then end "$pid" "redis-server 127.0.0.1:" || return 1; fi
  rm -f "$STATE/redis/pid"
  if [[ $2 == --purge ]]; then rm -rf "$STATE/redis" "$STATE/redis.port"; fi
}
