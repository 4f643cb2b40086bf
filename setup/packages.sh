#!/usr/bin/env bash
# Installs the Debian packages named as arguments where some are missing; returns at once where none is.
#
# Nothing that it brings runs on this machine, now or at the next boot: nginx, cloud-init and Lynis are wanted for
# the checkers in them alone (docs/adr/0006-checkers-without-services.md).
set -euo pipefail

missing=()
for package in "$@"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. Install what these Debian packages hold; there is no apt-get here." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing: ${missing[*]}. Run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    exec sudo -- bash "$0" "$@"
fi

is_missing() { [[ " ${missing[*]} " == *" $1 "* ]]; }

# They are held back before they arrive. Who has one of them already keeps it as it is.
if is_missing nginx && [ ! -e /etc/systemd/system/nginx.service ]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null /etc/systemd/system/nginx.service
    echo "nginx comes masked, for its configuration checker; to run it here: systemctl unmask nginx" >&2
fi
if is_missing cloud-init && [ ! -e /etc/cloud/cloud-init.disabled ]; then
    mkdir -p /etc/cloud
    touch /etc/cloud/cloud-init.disabled
    echo "cloud-init comes disabled, for its schema checker; it never configures this machine" >&2
fi

if is_missing lynis && [ ! -e /etc/systemd/system/lynis.timer ]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null /etc/systemd/system/lynis.timer
    echo "Lynis comes with its daily audit masked: it judges the sandbox's servers, not this machine" >&2
fi

# And no service of any package starts while it is installed. A policy that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "apt-get could not install ${missing[*]}; its whole output is in $log" >&2
    exit 1
fi
rm -f "$log"
