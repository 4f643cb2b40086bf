"""A certificate authority on this machine: Pebble, Let's Encrypt's own for tests, and the names it looks up.

Built from its Go module into .cache; without a Go toolchain there is none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.deployment import PROJECT
from tests.unit.certificates import authority, certificate

VERSION = "v2.10.1"
_MODULE = "github.com/letsencrypt/pebble/v2/cmd"
_PROGRAMS = ("pebble", "pebble-challtestsrv")
PATIENCE = 30.0


@dataclass(frozen=True)
class Authority:
    """An authority that answers.

    Attributes:
        directory: its address for servers.
        ca: PEM of who signed that address's own certificate.
    """

    directory: str
    ca: str


def programs() -> dict[str, Path]:
    """The programs by name, built where they are not there."""
    folder = PROJECT / ".cache" / f"pebble-{VERSION}"
    found = {name: folder / name for name in _PROGRAMS}
    if all(path.exists() for path in found.values()):
        return found
    if not shutil.which("go"):
        pytest.skip("no Go toolchain on this machine: Pebble, the authority for tests, cannot be built")
    # GOTOOLCHAIN: the one that is here, and no other fetched for it.
    environment = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local"}
    for name in _PROGRAMS:
        built = subprocess.run(
            ["go", "install", f"{_MODULE}/{name}@{VERSION}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert built.returncode == 0, built.stdout
    return found


@contextlib.contextmanager
def running(folder: Path, listen: str, site: str) -> Iterator[Authority]:
    """An authority at address `listen`, for which every name leads to address `site`."""
    found = programs()
    ca = authority("Directory's authority")
    own = certificate(listen, signed_by=ca)
    (folder / "directory.pem").write_text(own.pem)
    (folder / "directory.key").write_text(own.key)
    port, management, dns, changes = _free_port(listen), *(_free_port("127.0.0.1") for _ in range(3))
    config = {
        "pebble": {
            "listenAddress": f"{listen}:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(folder / "directory.pem"),
            "privateKey": str(folder / "directory.key"),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
    }
    (folder / "pebble.json").write_text(json.dumps(config))
    names = [
        *(str(found["pebble-challtestsrv"]), "-dnsserver", f"127.0.0.1:{dns}"),
        *("-management", f"127.0.0.1:{changes}"),
        *("-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""),
        *("-defaultIPv4", site, "-defaultIPv6", ""),
    ]
    pebble = [
        str(found["pebble"]),
        *("-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"),
    ]
    with (folder / "authority.log").open("ab") as log, contextlib.ExitStack() as stack:
        for command in (names, pebble):
            stack.enter_context(_started(command, log.fileno()))
        _until_it_listens("127.0.0.1", dns, folder / "authority.log")
        _until_it_listens(listen, port, folder / "authority.log")
        yield Authority(f"https://{listen}:{port}/dir", ca.pem)


@contextlib.contextmanager
def _started(command: list[str], log: int) -> Iterator[None]:
    # Without the pauses and refusals that Pebble makes up for those who test clients.
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def _until_it_listens(host: str, port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        if time.monotonic() > end:
            pytest.fail(f"Pebble did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def _free_port(host: str) -> int:
    with socket.socket() as held:
        held.bind((host, 0))
        port: int = held.getsockname()[1]
        return port
