"""What an instance reads from this machine: cloud-init's NoCloud seed, and how pip reaches its index.

A folder of its own for each instance, mounted read-only.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from sandbox import user_namespace
from sandbox.pip_settings import pip_settings

_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def write(
    folder: Path, user_data: bytes, instance_id: str, hostname: str, public_keys: tuple[str, ...]
) -> list[str]:
    """Write the files of an instance, and return what of this machine is mounted where: SOURCE:TARGET:ro."""
    cloud = folder / "nocloud"
    cloud.mkdir(mode=0o700)
    (folder / "pip").mkdir(mode=0o700)
    meta_data = {
        "instance-id": instance_id,
        "local-hostname": hostname,
        "public-keys": list(public_keys),
    }
    _write(cloud / "meta-data", yaml.safe_dump(meta_data).encode(), 0o600)
    _write(cloud / "user-data", user_data, 0o600)
    pip = pip_settings(os.environ, Path.home())
    # Readable by every account in the instance; on this machine the folder around it is not.
    _write(folder / "pip.conf", pip.content.encode(), 0o644)
    mounts = {
        str(cloud): "/var/lib/cloud/seed/nocloud",
        str(folder / "pip.conf"): "/etc/pip.conf",
        _CA_BUNDLE: _CA_BUNDLE,
        **{_readable(Path(source), folder / "pip"): target for source, target in pip.mounts.items()},
    }
    for own in (cloud, folder / "pip"):
        user_namespace.give(own)
    return [f"{source}:{target}:ro" for source, target in mounts.items()]


def _write(file: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)


def _readable(source: Path, folder: Path) -> str:
    """A file of this machine's root (a client's key, say) as a copy that can be the instance's; a folder as it is."""
    if source.is_dir():
        return str(source)
    copy = folder / f"{len(list(folder.iterdir()))}-{source.name}"
    shutil.copy(source, copy)
    return str(copy)
