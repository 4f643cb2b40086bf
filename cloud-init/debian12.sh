#!/bin/bash
# Debian 12: everything from its own archive; Python 3.11 is the system's.

# shellcheck source=cloud-init/common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none

# python3-venv brings pip as well, as the wheel that new environments are made from.
packages=(nginx python3-venv ca-certificates logrotate)
pip_wheels=$root/usr/share/python-wheels
policy=$root/usr/sbin/policy-rc.d

apt() {
  apt-get -y -o APT::Install-Recommends=false -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold "$@"
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || echo "$package"
  done
}

# Only what is missing: upgrading what an image brings is not the bootstrap's business.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  step "packages: ${missing[*]}"
  retry 3 apt update || fail "apt-get update failed; see the log above"
  # A service must not start by being installed.
  if [[ ! -e $policy ]]; then
    mkdir -p "${policy%/*}"
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
  retry 2 apt install "${missing[@]}" || fail "apt-get could not install ${missing[*]}; see the log above"
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || fail "not installed after apt-get: ${missing[*]}"
}

provide_python() {
  step "Python and uWSGI"
  mkdir -p "$opt/python/bin"
  ln -sfn "$root/usr/bin/python3" "$opt/python/bin/python3"
  local pip
  pip=$(compgen -G "$pip_wheels/pip-*.whl" | head -n 1) || fail "no pip wheel in $pip_wheels"
  # A wheel can be run from where it lies.
  download_pyuwsgi "$opt/python/bin/python3" "$pip/pip" ||
    fail "pip could not download uWSGI; see the log above, and /etc/pip.conf for the index it used"
}

begin debian12 debian 12
honour_environment
install_packages
hold_nginx_back
make_accounts www-data
make_folders www-data
provide_python
open_firewall
allow_in_selinux
finish debian12
