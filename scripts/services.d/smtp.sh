# shellcheck shell=bash disable=SC2154 # what all servers share is in scripts/services
# smtp: a mail server (Exim) that takes messages for anybody from those who sign in, over TLS, and keeps them in one
# maildir. Its address is smtp://user:password@host:port?tls_port=N&ca=FILE&mail=FOLDER. No Docker image does the same.
SERVICES+=(smtp)

smtp_answers() { # url: something there greets as a mail server does
  "$PYTHON" - "$1" <<'PY' 2>/dev/null
import socket, sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
with socket.create_connection((url.hostname, url.port or 25), timeout=3) as server:
    sys.exit(server.recv(4, socket.MSG_WAITALL) not in (b"220 ", b"220-"))
PY
}

smtp_docker() { because smtp "it is not run in Docker"; }

smtp_program() { command -v exim4 || command -v exim; }

smtp_user() { # Exim does not deliver as root
  if [[ $(id -u) == 0 ]]; then printf 'Debian-exim'; else id -un; fi
}

as_exim() {
  if [[ $(id -u) == 0 ]]; then
    (cd / && exec runuser -u "$(smtp_user)" -- "$@")
  else
    "$@"
  fi
}

smtp_folder() { # one that Exim's user can reach: ours, or a temporary one if ours is inside a private home
  local folder
  folder=$(recall smtp.folder)
  if [[ ! -d $folder ]]; then
    folder=$STATE/smtp
    if [[ $(id -u) == 0 ]] && ! as_exim test -x "$STATE"; then
      folder=$(mktemp -d "${TMPDIR:-/tmp}/penstock-smtp-$ID.XXXXXX") || return 1
    fi
    keep smtp.folder "$folder"
  fi
  mkdir -p "$folder" && chmod 700 "$folder" || return 1
  if [[ $(id -u) == 0 ]]; then chown "$(smtp_user)" "$folder" || return 1; fi
  printf '%s' "$folder"
}

smtp_certificate() { # folder: a certificate that vouches for itself
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext keyUsage=critical,digitalSignature,keyCertSign \
    -keyout "$1/key.pem" -out "$1/certificate.pem" >"$STATE/smtp.log" 2>&1 </dev/null || return 1
  if [[ $(id -u) == 0 ]]; then chown "$(smtp_user)" "$1/key.pem" "$1/certificate.pem" || return 1; fi
}

smtp_configuration() { # folder port port-with-tls
  cat <<EOF
primary_hostname = localhost
exim_user = $(smtp_user)
exim_group = $(as_exim id -gn)
spool_directory = $1/spool
log_file_path = $1/log-%s
pid_file_path = $1/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = $2 : $3
tls_on_connect_ports = $3
tls_advertise_hosts = *
tls_certificate = $1/certificate.pem
tls_privatekey = $1/key.pem
rfc1413_query_timeout = 0s
smtp_accept_max = 50
deliver_drop_privilege
keep_environment =
acl_smtp_rcpt = recipients
acl_smtp_data = messages

begin acl
recipients:
  deny local_parts = nobody
       message = there is nobody of this name
  defer local_parts = later
       message = come back later
  accept authenticated = *
  deny message = sign in first
messages:
  accept

begin routers
everybody:
  driver = accept
  transport = mailbox

begin transports
mailbox:
  driver = appendfile
  directory = $1/mail
  maildir_format
  create_directory
  envelope_to_add
  return_path_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = \$auth2
  server_condition = \${if and{{eq{\$auth2}{penstock}}{eq{\$auth3}{$(password_of smtp)}}}}
  server_advertise_condition = \${if def:tls_in_cipher}
EOF
}

smtp_native() {
  local program folder port tls_port pid
  if ! smtp_program >/dev/null; then
    if has sendmail; then because smtp "another mail server is installed, and Exim would take its place" || return 1; fi
    can_apt || because smtp "no Exim here, and only root on Debian can install it" || return 1
    apt_install exim4-daemon-light openssl || because smtp "apt-get failed: $(tail -n 1 "$STATE/apt.log")" || return 1
  fi
  program=$(smtp_program) || because smtp "no Exim here" || return 1
  has openssl || because smtp "no openssl here, which makes its certificate" || return 1
  folder=$(smtp_folder) || because smtp "no folder for its data could be made" || return 1
  smtp_certificate "$folder" || because smtp "no certificate could be made: $(tail -n 1 "$STATE/smtp.log")" || return 1
  port=$(recall smtp.port)
  for _ in 1 2 3 4 5; do
    port=${port:-$(some_port)}
    tls_port=$((port < 31000 ? port + 1000 : port - 1000))
    smtp_configuration "$folder" "$port" "$tls_port" >"$folder/exim.conf"
    # Exim refuses a configuration that others could have written; it holds the password, too.
    chmod 640 "$folder/exim.conf"
    if [[ $(id -u) == 0 ]]; then chgrp "$(as_exim id -gn)" "$folder/exim.conf"; fi
    # Descriptor 9 is the lock: a server that inherited it would hold it for as long as it lives.
    as_exim nohup "$program" -C "$folder/exim.conf" -bdf >"$STATE/smtp.log" 2>&1 </dev/null 9>&- &
    pid=$!
    if wait_for smtp_answers "smtp://127.0.0.1:$port" "$pid"; then
      keep smtp.pid "$(cat "$folder/pid")"
      keep smtp.port "$port"
      keep smtp.url "smtp://penstock:$(password_of smtp)@127.0.0.1:$port?tls_port=$tls_port&ca=$folder/certificate.pem&mail=$folder/mail"
      keep smtp.started native
      return
    fi
    kill "$pid" 2>/dev/null || true
    port=
  done
  because smtp "Exim did not start: $(tail -n 1 "$STATE/smtp.log")"
}

smtp_stop() { # docker|native purge?
  local pid folder
  folder=$(recall smtp.folder)
  pid=$(recall smtp.pid)
  if [[ -n $pid && -n $folder ]] && is_running "$pid" "$folder/exim.conf"; then
    end "$pid" "$folder/exim.conf" || return 1
  fi
  rm -f "$STATE/smtp.pid"
  if [[ $2 == --purge ]]; then
    if [[ -n $folder ]]; then rm -rf "$folder"; fi
    rm -f "$STATE"/smtp.{folder,port,password,log}
  fi
}
