# shellcheck shell=bash
# ceph: a real S3 store, Ceph's radosgw, which holds everything in memory here. It takes some fifteen seconds to start; so
# that is done only where it is asked for by name: PENSTOCK_SERVICES_ONLY=ceph scripts/services up
if [[ " ${PENSTOCK_SERVICES_ONLY:-} " == *" ceph "* || -e $STATE/ceph.started ]]; then SERVICES+=(ceph); fi

ceph_answers() { # url
  s3_answers "$1"
}

ceph_docker() {
  because ceph "there is no image of it"
}

ceph_run() { # program arguments: with our configuration
  "$1" -c "$STATE/ceph/ceph.conf" "${@:2}" 9>&-
}

ceph_configure() { # folder: a cluster of one of each
  local folder=$1 fsid
  fsid=$("$PYTHON" -c 'import uuid; print(uuid.uuid4())')
  mkdir -p "$folder"/{mon,osd,run}
  cat >"$folder/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$(recall ceph.mon)
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $(($(recall ceph.mon) + 1))
ms bind port max = $(($(recall ceph.mon) + 60))
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $folder/keyring
run dir = $folder/run
admin socket = $folder/run/\$name.asok
log file = $folder/\$name.log
pid file = $folder/run/\$name.pid
crash dir = $folder/run
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 1073741824
osd data = $folder/osd
mon data = $folder/mon
rgw data = $folder/run
rgw enable usage log = false
CONF
  {
    ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool "$folder/keyring" --gen-key -n client.gateway --cap mon 'allow rwx' --cap osd 'allow rwx'
    ceph-authtool "$folder/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    monmaptool --create --fsid "$fsid" --addv a "v2:127.0.0.1:$(recall ceph.mon)" "$folder/monmap"
    ceph_run ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring"
  } >"$folder/setup.log" 2>&1 </dev/null
}

ceph_start() { # name program arguments: in the foreground of a session of its own
  local name=$1
  shift
  setsid "$1" -c "$STATE/ceph/ceph.conf" -f "${@:2}" >>"$STATE/ceph/$name.out" 2>&1 </dev/null 9>&- &
  echo $! >>"$STATE/ceph.pids"
}

ceph_native() {
  local folder=$STATE/ceph port user uuid
  if ! { has radosgw && has ceph-mon && has ceph-osd; }; then
    can_apt || because ceph "no Ceph here, and only root on Debian can install it" || return 1
    apt_install radosgw ceph-mon ceph-osd || because ceph "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  ceph_stop native --purge
  keep ceph.mon "$(($(some_port) - 100))"
  port=$(($(recall ceph.mon) + 80))
  ceph_configure "$folder" || because ceph "it could not be set up: $(tail -n 1 "$folder/setup.log")" || return 1
  uuid=$("$PYTHON" -c 'import uuid; print(uuid.uuid4())')
  ceph_start mon ceph-mon -i a
  {
    timeout 60 ceph -c "$folder/ceph.conf" osd new "$uuid" &&
      timeout 30 ceph -c "$folder/ceph.conf" auth import -i "$folder/keyring" &&
      ceph_run ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
  } >>"$folder/setup.log" 2>&1 </dev/null 9>&- ||
    because ceph "its monitor did not start: $(tail -n 1 "$folder/setup.log")" || return 1
  ceph_start osd ceph-osd -i 0
  ceph_start gateway radosgw -n client.gateway --rgw-frontends "beast endpoint=127.0.0.1:$port"
  if ! wait_for ceph_answers "http://127.0.0.1:$port" "$(tail -n 1 "$STATE/ceph.pids")"; then
    because ceph "its gateway did not start: $(tail -n 1 "$folder/gateway.out")" || return 1
  fi
  user=$(password_of ceph)
  timeout 60 radosgw-admin -c "$folder/ceph.conf" -n client.gateway user create --uid penstock --display-name penstock \
    --access-key penstock --secret-key "$user" >>"$folder/setup.log" 2>&1 </dev/null 9>&- ||
    because ceph "it takes no user: $(tail -n 1 "$folder/setup.log")" || return 1
  keep ceph.url "http://penstock:$user@127.0.0.1:$port"
  keep ceph.started native
}

ceph_stop() { # docker|native purge?; its data does not outlive it
  local pid
  for pid in $(recall ceph.pids | sort -r); do
    if is_running "$pid" "$STATE/ceph/ceph.conf"; then end "$pid" "$STATE/ceph/ceph.conf" || return 1; fi
  done
  rm -rf "$STATE/ceph"
  rm -f "$STATE"/ceph.{pids,mon}
  if [[ $2 == --purge ]]; then rm -f "$STATE/ceph.password"; fi
}
