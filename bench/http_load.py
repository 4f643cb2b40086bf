"""One run of wrk."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("http_files") / "report.lua"
# Seconds after which an answer counts as an error.
_PATIENCE = 5


@dataclass(frozen=True)
class Load:
    """What came back.

    Attributes:
        rate: good answers a second.
        p99: seconds that 99 % of the answers took at most.
        errors: answers of 400 and above, broken connections, answers later than _PATIENCE.
    """

    rate: float
    p99: float
    errors: int


def load(url: str, connections: int, seconds: int, headers: tuple[str, ...] = ()) -> Load:
    """Ask for `url` on so many connections at once for so long, each anew as soon as it was answered.

    Raises:
        RuntimeError: wrk is missing, or failed.
    """
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is missing: apt-get install wrk")
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{_PATIENCE}s"]
    command += ["-s", str(_SCRIPT)]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk on {url} failed: {done.stderr or done.stdout}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(
        rate=(result["requests"] - result["statuses"]) / result["seconds"],
        p99=result["p99"] / 1e6,
        errors=result["statuses"] + result["sockets"],
    )
