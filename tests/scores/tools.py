"""Where the judges are: `make scores` installs them, apart from the project's own environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PYTHON_TOOLS = PROJECT / ".cache/scores/bin"
OBSERVATORY = PROJECT / ".cache/observatory/node_modules/@mdn/mdn-http-observatory/src/scan.js"


class MissingToolError(Exception):
    """A judge is not installed; the text says what installs it."""


def tool(name: str) -> str:
    """Path of a Python tool."""
    path = PYTHON_TOOLS / name
    if not path.exists():
        raise MissingToolError(f"{name} is missing: make scores-tools")
    return str(path)


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a judge to its end; its environment has `more`, and nothing of this one but its PATH and home."""
    return subprocess.run(
        command,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(PROJECT / ".cache"), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
