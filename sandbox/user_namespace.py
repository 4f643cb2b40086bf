"""The user namespace of instances: root in there is root over the instance, and nobody on this machine.

systemd needs CAP_SYS_ADMIN for what units ask of mounts (ProtectSystem, PrivateTmp). In a user namespace of its own the
capability reaches what belongs to the namespace, and that is the instance (docs/adr/0012).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from sandbox.errors import SandboxError

# Ids of this machine that an instance's 0 to 65535 are. Above those that systemd gives to its own containers, and far
# above those of accounts (UIDS-GIDS in systemd's documentation).
FIRST_ID = 0x70000000
SIZE = 65536
_RUNTIME = Path(__file__).with_name("runtime.sh")
# podman keeps the runtime's path with the container, which may outlive the checkout.
_INSTALLED = Path("/var/lib/flask-sandbox")


def options() -> list[str]:
    """Return podman's options for a container in such a namespace, whose systemd may do all that it does on a server.

    Raises:
        SandboxError: the runtime cannot be installed.
    """
    ids = f"0:{FIRST_ID}:{SIZE}"
    return [
        *("--runtime", _runtime()),
        *("--uidmap", ids, "--gidmap", ids),
        *("--cap-add", "SYS_ADMIN"),
        *("--cgroupns", "private"),
        # podman hides parts of /proc from a root that is this machine's. This one is not, and the kernel lets it mount
        # a /proc (ProtectProc) only where it sees one that is whole.
        *("--security-opt", "unmask=ALL"),
    ]


def give(path: Path) -> None:
    """Make `path`, and all below it, the property of the instance's root."""
    for place in (path, *path.rglob("*")):
        os.chown(place, FIRST_ID, FIRST_ID, follow_symlinks=False)


def _runtime() -> str:
    """Path of the container runtime, installed."""
    text = _RUNTIME.read_text(encoding="utf-8")
    path = _INSTALLED / f"runtime-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    try:
        _INSTALLED.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")
            shutil.copyfile(_RUNTIME, part)
            part.chmod(0o755)
            part.replace(path)
    except OSError as error:
        raise SandboxError(
            f"Could not install the instances' runtime: {path}: {error.strerror}.\nRun it as root."
        ) from error
    return str(path)
