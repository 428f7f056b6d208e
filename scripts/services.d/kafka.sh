# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# Kafka: a broker of one node (KRaft). Its address is host:port.
#
# PENSTOCK_KAFKA_JARS  a folder with the jars of a broker, instead of those that Maven fetches
SERVICES+=(kafka)

kafka_answers() { # address: something there speaks Kafka (it answers a question for its versions)
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import socket, struct, sys

host, _, port = sys.argv[1].split(",")[0].rpartition(":")
question = struct.pack("!hhih", 18, 0, 7, -1)
with socket.create_connection((host, int(port)), timeout=3) as server:
    server.sendall(struct.pack("!i", len(question)) + question)
    size, number = struct.unpack("!ii", server.recv(8, socket.MSG_WAITALL))
    sys.exit(number != 7)
PY
}

kafka_docker() {
  has_docker || because kafka "no Docker engine answers" || return 1
  local port
  for _ in 1 2 3 4 5; do
    port=$(some_port)
    if PENSTOCK_KAFKA_PORT=$port compose up --detach --wait kafka >"$STATE/docker.log" 2>&1 </dev/null; then
      keep kafka.url "127.0.0.1:$port"
      keep kafka.started docker
      return
    fi
    grep -qi 'port is already allocated\|address already in use' "$STATE/docker.log" || break
  done
  because kafka "Docker could not start it: $(tail -n 1 "$STATE/docker.log")"
}

has_java() { # 17 or newer
  local version
  has java && version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') && ((${version:-0} >= 17))
}

maven_jars() { # pom folder: the jars that a pom asks for, with theirs; fetched once for all folders of servers
  [[ -d $2 ]] && return
  # Made beside and then renamed: a run killed half-way leaves no half of a server.
  rm -rf "$2.new"
  say "fetching the jars of ${1##*/}"
  mvn --quiet --batch-mode --file "$1" -Dmaven.repo.local="$HERE/../.cache/maven" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$2.new" >"$STATE/maven.log" 2>&1 </dev/null 9>&- && mv "$2.new" "$2"
}

kafka_jars() { # the folder of the jars
  local pom=$HERE/services.d/kafka.pom.xml folder
  folder=$HERE/../.cache/kafka-$(cksum <"$pom" | cut -d ' ' -f 1)
  if [[ -n ${PENSTOCK_KAFKA_JARS:-} ]]; then
    folder=$PENSTOCK_KAFKA_JARS
    [[ -d $folder ]] || because kafka "PENSTOCK_KAFKA_JARS is no folder: $folder" || return 1
  elif [[ ! -d $folder ]]; then
    if ! has mvn; then
      can_apt || because kafka "Maven fetches it, and only root on Debian can install that" || return 1
      apt_install maven || because kafka "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
    fi
    mkdir -p "$HERE/../.cache"
    maven_jars "$pom" "$folder" ||
      because kafka "Maven failed: $(grep -m 1 ERROR "$STATE/maven.log" || tail -n 1 "$STATE/maven.log")" || return 1
  fi
  (cd "$folder" && pwd -P)
}

kafka_pid() { # of the broker in our folder, if it runs
  local pid
  pid=$(recall kafka/pid) && is_running "$pid" "kafka.Kafka $STATE/kafka/server.properties" && printf '%s' "$pid"
}

kafka_properties() { # port, port of the controller
  cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=PLAINTEXT://127.0.0.1:$1
controller.listener.names=CONTROLLER
log.dirs=$STATE/kafka/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=500
EOF
}

kafka_native() {
  local jars port log=$STATE/kafka/log properties=$STATE/kafka/server.properties java
  if ! has_java; then
    can_apt || because kafka "no Java 17 here, and only root on Debian can install it" || return 1
    apt_install openjdk-17-jre-headless || because kafka "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  jars=$(kafka_jars) || return 1
  java=(java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*")
  mkdir -p "$STATE/kafka"
  port=$(recall kafka.port)
  for _ in 1 2 3 4 5 6 7 8; do
    port=${port:-$(some_port)}
    kafka_properties "$port" $((port < 31000 ? port + 1000 : port - 1000)) >"$properties"
    if [[ ! -f $STATE/kafka/data/meta.properties ]]; then
      "${java[@]}" kafka.tools.StorageTool format --cluster-id "$(kafka_id)" --config "$properties" \
        >"$log" 2>&1 </dev/null 9>&- ||
        because kafka "its storage could not be formatted: $(tail -n 1 "$log")" || return 1
    fi
    # Descriptor 9 is the lock: a server that inherited it would hold it for as long as it lives.
    nohup "${java[@]}" kafka.Kafka "$properties" >"$log" 2>&1 </dev/null 9>&- &
    keep kafka/pid $!
    if wait_for kafka_answers "127.0.0.1:$port" $!; then
      keep kafka.port "$port"
      keep kafka.url "127.0.0.1:$port"
      keep kafka.started native
      return
    fi
    grep -q 'Address already in use' "$log" || break
    port=
  done
  because kafka "Kafka did not start: $(grep -m 1 -E 'ERROR|Exception' "$log" || echo 'its log says nothing of it')" \
    "('scripts/services down --purge' makes it start afresh)"
}

kafka_id() { # of a cluster: 16 random bytes
  "$PYTHON" -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22])'
}

kafka_stop() { # docker|native purge?
  local pid
  if [[ $1 == docker ]]; then
    PENSTOCK_KAFKA_PORT=0 compose rm --stop --force --volumes kafka >/dev/null 2>&1 || return 1
  fi
  if pid=$(kafka_pid); then end "$pid" "kafka.Kafka $STATE/kafka/server.properties" || return 1; fi
  rm -f "$STATE/kafka/pid"
  if [[ $2 == --purge ]]; then rm -rf "$STATE/kafka" "$STATE/kafka.port"; fi
}
