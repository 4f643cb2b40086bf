#!/usr/bin/env bash
# Makes .venv where there is none that works, and installs a lock file into it: setup/venv.sh LOCK.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
python=${PYTHON:-python3}

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    if ! command -v "$python" >/dev/null; then
        bash setup/packages.sh python3 python3-venv
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "$python is $("$python" --version 2>&1); 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …" >&2
        exit 1
    fi
    # Debian keeps ensurepip in a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || bash setup/packages.sh python3-venv
    rm -rf .venv
    "$python" -m venv .venv
fi

echo "Installing $lock into .venv" >&2
# pulumi-alicloud has some 4000 modules and the program uses four: compiling them all would take a minute.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement "$lock"
# What ./ops imports is: where PYTHONDONTWRITEBYTECODE is set, each run would compile it anew, for more than a second.
# pulumi-alicloud imports its modules when something of theirs is asked for: so something is.
env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=. .venv/bin/python - <<'IMPORTS'
import automation.cli, automation.pulumi_stack, components.firewall, components.flask_service, components.lookups
import components.network, components.server, sandbox.plugins.provider, sandbox.stack
import grpc.aio, pulumi_alicloud, pulumi_command.remote, pulumi_tls

pulumi_alicloud.ecs.Instance, pulumi_alicloud.vpc.Network, pulumi_alicloud.get_zones
pulumi_command.remote.Command, pulumi_tls.PrivateKey
IMPORTS
