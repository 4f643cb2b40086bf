"""A deployment on the sandbox that is taken down whatever happens."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from tests.e2e.deployment import Deployment, checkout


@contextlib.contextmanager
def deployment(addresses: str) -> Iterator[Deployment]:
    """A checkout with a sandbox at addresses of its own (CIDR), beside those of the tests; nothing is up yet.

    It is taken down also when this process is told to end.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-")).resolve()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        checkout(folder)
        yield _Deployment(folder, addresses)
    finally:
        # Not interrupted again; `./ops` inherits it.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _take_down(_Deployment(folder, addresses))
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, before)


def _take_down(deployed: Deployment) -> None:
    if (deployed.folder / ".sandbox").exists():
        gone = deployed.destroy()
        # The folder is what a later `./ops destroy` needs.
        assert gone.status == 0, f"{deployed.folder} is left: {gone.text}"
    shutil.rmtree(deployed.folder)


class _Deployment(Deployment):
    def __init__(self, folder: Path, addresses: str) -> None:
        super().__init__(folder)
        self.environment["FLASK_SANDBOX_ADDRESSES"] = addresses


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit("told to end; the deployment is taken down")
