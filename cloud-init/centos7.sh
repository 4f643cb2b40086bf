#!/bin/bash
# CentOS 7: past its end of life (2024-06-30), so its packages come from archives, tried in order, and Python is a
# build of its own that still gets security fixes (or, with `python: system`, the 3.6 that stopped getting them).

# shellcheck source=cloud-init/common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

# First the mirror inside Alibaba's networks, which costs no traffic and needs no public address; then the public ones.
vaults=(
  http://mirrors.cloud.aliyuncs.com/centos-vault/7.9.2009
  https://mirrors.aliyun.com/centos-vault/7.9.2009
  https://vault.centos.org/7.9.2009
)
epels=(
  http://mirrors.cloud.aliyuncs.com/epel-archive/7/x86_64
  https://mirrors.aliyun.com/epel-archive/7/x86_64
  https://archives.fedoraproject.org/pub/archive/epel/7/x86_64
)
repos=$root/etc/yum.repos.d
keys=$root/etc/pki/rpm-gpg
nginx_packages=(nginx logrotate ca-certificates)
build_packages=(python3 python3-devel gcc)

# python-build-standalone, whose x86_64 builds are checked to need glibc 2.17 at most. The digest is the one in the
# package pbs-installer 2026.10.25, which agrees with what others have pinned for earlier builds.
python_version=3.12.15
python_tag=20261021
python_sha256=6d7521138fd33afddc1ccd08abb007d9a2829e38117c2576f9efdc0ec73ce772
python_file=cpython-$python_version+$python_tag-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz
python_mirrors=(
  https://releases.astral.sh/github/python-build-standalone/releases/download
  https://github.com/astral-sh/python-build-standalone/releases/download
)

require_x86_64() {
  [[ $(uname -m) == x86_64 ]] ||
    fail "the processor is $(uname -m); the CentOS 7 archives are used for x86_64 only. Choose an x86_64 instance type, or os: debian12"
}

missing_packages() {
  local package
  for package in "$@"; do
    rpm -q --quiet "$package" || echo "$package"
  done
}

# Only our own repositories: one dead repository among the image's would fail the whole run. Without the last option
# yum leaves out a name it does not find, and exits 0.
install() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  retry 3 yum -y --disablerepo='*' --enablerepo='flask-*' --disableplugin=fastestmirror \
    --setopt=skip_missing_names_on_install=False install "${missing[@]}" ||
    fail "yum could not install ${missing[*]}; see the log above"
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) || fail "not installed after yum: ${missing[*]}"
}

# Leaves in `archives` those that answer, in order: yum takes the next one when the first fails halfway.
archives=()
probe() { # <repomd> <root...>
  local repomd=$1 archive
  shift
  archives=()
  for archive in "$@"; do
    if curl -fsS --connect-timeout 4 --max-time 8 -o /dev/null "$archive/$repomd"; then
      archives+=("$archive")
    else
      note "no answer from $archive"
    fi
  done
  ((${#archives[@]}))
}

write_repo() { # <file> <key> <id> <path below each archive's root>
  cat >>"$1" <<REPO
[flask-$3]
name=$3 for the Flask server
baseurl=${archives[*]/%/$4}
failovermethod=priority
enabled=0
gpgcheck=1
gpgkey=file://$2
timeout=20
retries=3
REPO
}

use_vault() {
  step "CentOS archive"
  local id
  retry 3 probe os/x86_64/repodata/repomd.xml "${vaults[@]}" ||
    fail "no archive of CentOS 7.9 answers; tried ${vaults[*]}. Look at the instance's way to the internet"
  note "using ${archives[0]}"
  rm -f "$repos/flask-centos.repo"
  for id in os updates extras; do
    write_repo "$repos/flask-centos.repo" /etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7 "$id" "/$id/x86_64/"
  done
}

# The key comes with epel-release, which CentOS signed; nothing else of that package is used.
use_epel() {
  step "EPEL archive"
  local own=$repos/epel.repo
  retry 3 probe repodata/repomd.xml "${epels[@]}" ||
    fail "no archive of EPEL 7 answers; tried ${epels[*]}. Look at the instance's way to the internet"
  note "using ${archives[0]}"
  if [[ ! -e $keys/RPM-GPG-KEY-EPEL-7 ]]; then
    [[ -e $own ]] && own=
    install epel-release
    [[ -e $keys/RPM-GPG-KEY-EPEL-7 ]] || fail "epel-release brought no $keys/RPM-GPG-KEY-EPEL-7"
    # Its list of mirrors is gone, and a dead repository that is enabled stops every other use of yum.
    [[ -z $own || ! -e $own ]] || sed -i 's/^enabled *=.*/enabled=0/' "$own"
  fi
  rm -f "$repos/flask-epel.repo"
  write_repo "$repos/flask-epel.repo" /etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-7 epel /
}

install_packages() {
  local wanted=("${nginx_packages[@]}") missing
  if [[ $FLASK_PYTHON == system ]]; then wanted+=("${build_packages[@]}"); fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]})) || return 0
  use_vault
  use_epel
  step "packages: ${missing[*]}"
  install "${wanted[@]}"
}

download_python() { # <mirror>
  curl -fsSL --retry 2 --connect-timeout 10 --max-time 900 --speed-limit 20000 --speed-time 30 \
    -o "$opt/python.tar.gz" "$1/$python_tag/${python_file/+/%2B}" || return 1
  echo "$python_sha256  $opt/python.tar.gz" | sha256sum --check --status && return 0
  note "wrong checksum: $python_file from $1"
  return 1
}

provide_standalone_python() {
  step "Python $python_version"
  local mirror got='' python=$opt/python
  if [[ $(cat "$python/.archive" 2>/dev/null) == "$python_sha256" ]]; then return 0; fi
  for mirror in ${FLASK_PYTHON_MIRROR:+"$FLASK_PYTHON_MIRROR"} "${python_mirrors[@]}"; do
    if download_python "$mirror"; then got=$mirror; break; fi
    note "no Python from $mirror"
  done
  [[ $got ]] || fail "no mirror has $python_file with the pinned checksum; set pythonMirror to one that does"
  note "from $got"
  rm -rf "$python.new"
  mkdir "$python.new"
  tar -xzf "$opt/python.tar.gz" -C "$python.new" --strip-components=1 --no-same-owner
  "$python.new/bin/python3" -c 'import ensurepip, sqlite3, ssl, venv' || fail "the downloaded Python does not run"
  echo "$python_sha256" >"$python.new/.archive"
  rm -rf "$python" "$opt/python.tar.gz"
  mv "$python.new" "$python"
  # Its OpenSSL looks for the authorities here, where CentOS has them elsewhere.
  [[ -e $root/etc/ssl/cert.pem ]] || ln -sf "$root/etc/pki/tls/cert.pem" "$root/etc/ssl/cert.pem"
  step "uWSGI"
  download_pyuwsgi "$python/bin/python3" -m pip ||
    fail "pip could not download uWSGI; see the log above, and pip's configuration for the index it used"
}

# Nobody builds uWSGI for Python 3.6 any more, and pip 9, which comes with it, knows no wheels of today.
build_requirements() {
  cat <<'REQUIREMENTS'
pip==21.3.1 --hash=sha256:deaf32dcd9ab821e359cd8330786bcd077604b5c5730c0b096eda46f95c24a2d
setuptools==59.6.0 --hash=sha256:4ce92f1e1f8f01233ee9952c04f6b81d1e02939d6e1b488428154974a4d0783e
wheel==0.37.1 --hash=sha256:4bdcd7d840138086126cd09254dc6195fb4fc6f01c050a1d7236f2630db1d22a
REQUIREMENTS
}

provide_system_python() {
  step "Python 3.6 and uWSGI, built here"
  local build=$opt/build wheels=$opt/wheels
  if [[ ! -L $opt/python/bin/python3 ]]; then
    rm -rf "$opt/python"
    mkdir -p "$opt/python/bin"
    ln -s "$root/usr/bin/python3" "$opt/python/bin/python3"
  fi
  if compgen -G "$wheels/uWSGI-2.0.31-*.whl" >/dev/null && compgen -G "$wheels/pip-*.whl" >/dev/null; then return 0; fi
  rm -rf "$build" "$wheels.new"
  mkdir -p "$wheels.new"
  "$opt/python/bin/python3" -m venv "$build"
  build_requirements >"$build/tools.txt"
  echo 'uWSGI==2.0.31 --hash=sha256:e8f8b350ccc106ff93a65247b9136f529c14bf96b936ac5b264c6ff9d0c76257' >"$build/uwsgi.txt"
  retry 3 "$build/bin/python" -m pip install --quiet --require-hashes --requirement "$build/tools.txt" ||
    fail "pip could not install the tools to build uWSGI with; see the log above. Unless index-url in /etc/pip.conf, or PIP_INDEX_URL in /etc/environment, names an index, pip 9 asks the public one by an old host name, which may not answer any more: set one of them in the image"
  # What the server's uWSGI has no use for: XML configuration, and TLS, which ends at nginx. Only the word false turns
  # one off: uWSGI takes any other, such as no, for a demand, and its headers are not there.
  UWSGI_PROFILE_OVERRIDE='xml=false;ssl=false' retry 2 "$build/bin/python" -m pip wheel --quiet --no-deps --no-cache-dir \
    --require-hashes --requirement "$build/uwsgi.txt" --wheel-dir "$wheels.new" ||
    fail "uWSGI could not be built; see the log above"
  # The applications' environments get the newer pip too.
  head -n 1 "$build/tools.txt" >"$build/pip.txt"
  retry 3 "$build/bin/python" -m pip download --quiet --no-deps --require-hashes --requirement "$build/pip.txt" \
    --dest "$wheels.new" || fail "pip could not download pip; see the log above"
  put_wheels
  rm -rf "$build"
}

begin centos7 centos 7
require_x86_64
honour_environment
install_packages
hold_nginx_back
make_accounts nginx
make_folders nginx
case $FLASK_PYTHON in
  standalone) provide_standalone_python ;;
  system) provide_system_python ;;
  *) fail "unknown python: $FLASK_PYTHON" ;;
esac
open_firewall
allow_in_selinux
finish centos7
