# What the bootstrap of every system shares. <os>.sh sources it, then works from top to bottom.
# shellcheck shell=bash
#
# Holds to bash 4.2 and to what is on a bare image. May run again at any time: each step looks before it acts.
# FLASK_ROOT is empty on a server; tests set it to a folder, and put stand-ins for the system's commands on PATH.
# Comment lines are left out on the way to the server, so a reworded comment replaces no server: no line inside
# a here-document may begin with #.

set -Eeuo pipefail
umask 022
# cloud-init starts its scripts without HOME, where pip's own configuration may stand.
export HOME=${HOME:-/root} LC_ALL=C

root=${FLASK_ROOT:-}
opt=$root/opt/flask
state=$root/var/lib/flask
log_file=$root/var/log/flask-bootstrap.log
step=start

# Output of commands goes to the log alone; a line of progress goes to cloud-init's own log as well.
begin() { # <os> <ID and VERSION_ID of its os-release>
  mkdir -p "$state" "${log_file%/*}"
  rm -f "$state/ready" "$state/failed"
  touch "$log_file"
  chmod 0640 "$log_file"
  exec 3>&1 >>"$log_file" 2>&1
  trap 'fail "\"$BASH_COMMAND\" ended with status $?"' ERR
  note "bootstrap of $1"
  local found
  # shellcheck disable=SC1091 # the server's own
  found=$(. "$root/etc/os-release" && echo "$ID $VERSION_ID")
  [[ $found == "$2 $3" ]] || fail "the image holds $found, and os is $1. Choose the os of the image, or another image"
}

note() {
  local line
  line="$(date -u +%Y-%m-%dT%H:%M:%SZ) $*"
  echo "$line" >>"$log_file"
  echo "$line" >&3
}

step() {
  step=$1
  note "$step"
}

fail() {
  trap - ERR
  # A command substitution only ends; what it was part of fails next, and tells.
  ((BASH_SUBSHELL == 0)) || exit 1
  note "FAILED: $step: $1"
  echo "$step: $1" >"$state/failed"
  exit 1
}

# Networks and package locks have bad moments. retry <times> <command...>
retry() {
  local times=$1 try
  shift
  for ((try = 1; try <= times; try++)); do
    "$@" && return 0
    ((try == times)) || { note "try $try of $times failed: ${1##*/} ${2:-}"; sleep "${FLASK_RETRY_PAUSE:-5}"; }
  done
  return 1
}

# A system service is not given /etc/environment, where an image says how to get out: certificates, proxies, pip.
honour_environment() {
  local line name value
  [[ -r $root/etc/environment ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line#export }
    name=${line%%=*}
    [[ $line == *=* && $name =~ ^(PIP_[A-Z_]+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(http|https|no)_proxy|(HTTP|HTTPS|NO)_PROXY)$ ]] || continue
    value=${line#*=}
    value=${value#[\"\']}
    value=${value%[\"\']}
    [[ -n ${!name:-} ]] || export "$name=$value"
  done <"$root/etc/environment"
}

make_accounts() { # <account of nginx's workers>
  step "account flask"
  getent group flask >/dev/null || groupadd --system flask
  getent passwd flask >/dev/null ||
    useradd --system --gid flask --home-dir /srv/flask --no-create-home --shell /usr/sbin/nologin flask
  # The sockets of the application are 0660 flask:flask.
  usermod --append --groups flask "$1"
}

make_folders() { # <account of nginx's workers>
  step "folders"
  folder 0755 root:root "$opt" "$opt/bin" "$opt/lib" "$opt/wheels"
  folder 0755 root:root "$root/srv/flask" "$root/srv/flask/releases" "$root/srv/flask/venvs" \
    "$root/srv/flask/slots" "$root/srv/flask/shared"
  folder 0750 flask:flask "$root/srv/flask/shared/instance" "$root/run/flask"
  folder 0755 root:root "$root/etc/flask"
  folder 0750 root:flask "$root/etc/flask/env"
  # nginx's workers reopen their logs after a rotation; the application cannot read who visits.
  folder 0750 "root:$1" "$root/var/log/flask"
  folder 0700 root:root "$state/incoming" "$state/host"
}

folder() { # <mode> <owner:group> <path...>
  local mode=$1 owner=$2
  shift 2
  mkdir -p "$@"
  chown "$owner" "$@"
  chmod "$mode" "$@"
}

# Until `configure` has laid down our nginx.conf, the distribution's welcome page is no answer to give.
hold_nginx_back() {
  [[ -e $root/etc/flask/host.json ]] && return 0
  systemctl disable --now nginx.service
}

open_firewall() {
  command -v firewall-cmd >/dev/null && firewall-cmd --state || return 0
  step "firewalld: http and https"
  firewall-cmd --permanent --add-service=http --add-service=https
  firewall-cmd --reload
}

# Alibaba's images have SELinux off. Where it is on, nginx must reach uWSGI, its own files and the loopback port.
# CIL needs no compiler and is known to policycoreutils 2.5, CentOS 7.9's; a rule is optional where one system's policy
# has a type that the other's lacks.
allow_in_selinux() {
  command -v getenforce >/dev/null && [[ $(getenforce) == Enforcing ]] || return 0
  step "SELinux: nginx to uWSGI"
  setsebool -P httpd_can_network_connect 1
  cat >"$state/flask_nginx.cil" <<'CIL'
(filecon "/var/run/flask(/.*)?" any (system_u object_r httpd_var_run_t ((s0) (s0))))
(filecon "/var/log/flask(/.*)?" any (system_u object_r httpd_log_t ((s0) (s0))))
(filecon "/srv/flask(/.*)?" any (system_u object_r httpd_sys_content_t ((s0) (s0))))
(optional flask_socket_of_service (allow httpd_t unconfined_service_t (unix_stream_socket (connectto))))
(optional flask_socket_of_script (allow httpd_t initrc_t (unix_stream_socket (connectto))))
(optional flask_loopback_port (allow httpd_t unreserved_port_t (tcp_socket (name_bind))))
CIL
  semodule -i "$state/flask_nginx.cil"
  restorecon -R "$root/run/flask" "$root/var/log/flask" "$root/srv/flask"
}

# The last version of pyuwsgi whose wheels hold to glibc 2.17 (later ones want 2.28): cp311 for Debian 12's own
# Python, cp312 for the standalone one.
pyuwsgi_requirement() {
  cat <<'REQUIREMENT'
pyuwsgi==2.0.30 \
  --hash=sha256:e6a0e8758e3af94431fd8045e28e5593e42314f4ec139ed38742c1ef16334f8d \
  --hash=sha256:775aef6be12c0723dc95d2396dd6fab5559e666a2ca4655baa60b634358086a3 \
  --hash=sha256:7fda414c554c27227342464cb27495b46dc201cf0837fe8ee04d0b7878568beb \
  --hash=sha256:fba9cb052e044338890d6f6a510d6102d041527fdd06459cf49b4025b21d2601
REQUIREMENT
}

# Each application's environment installs uWSGI from this wheel, without a network. <pip command...>
download_pyuwsgi() {
  local wheels=$opt/wheels
  if compgen -G "$wheels/pyuwsgi-2.0.30-*.whl" >/dev/null; then return 0; fi
  rm -rf "$wheels.new" && mkdir -p "$wheels.new" || return 1
  pyuwsgi_requirement >"$wheels.new/requirement.txt"
  retry 3 "$@" download --no-deps --only-binary=:all: --require-hashes --disable-pip-version-check \
    --no-cache-dir --quiet --dest "$wheels.new" --requirement "$wheels.new/requirement.txt" || return 1
  put_wheels
}

# One set at a time: what stands in the folder is what gets installed.
put_wheels() {
  rm -f "$opt/wheels/"*.whl && mv "$opt/wheels.new/"*.whl "$opt/wheels/" && rm -rf "$opt/wheels.new"
}

# The last act: whoever finds the marker may use the server.
finish() { # <os>
  step "marker"
  local python nginx_version wheel
  python=$("$opt/python/bin/python3" -c 'import platform; print(platform.python_version())')
  nginx_version=$(nginx -v 2>&1)
  nginx_version=${nginx_version##*/}
  wheel=$(cd "$opt/wheels" && echo *[uU][wW][sS][gG][iI]-*.whl)
  printf '{"os": "%s", "python": "%s", "uwsgi": "%s", "nginx": "%s"}\n' \
    "$1" "$python" "$wheel" "${nginx_version%% *}" >"$state/ready.new"
  mv "$state/ready.new" "$state/ready"
  note "ready: $(cat "$state/ready")"
}
