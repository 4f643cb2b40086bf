"""Small Flask applications for tests of failures. Each says its own name at `/`, and is well or not at `/healthz`."""

from __future__ import annotations

# Name of the module that holds one.
MODULE = "site_app"
# What a broken application holds on to at most, should nothing stop it.
MOST_MEMORY = 1 << 30

_APPLICATION = """
import sys
import time

from flask import Flask

app = Flask(__name__)
# flask-release imports the application before uWSGI does.
SERVES = "uwsgi" in sys.modules
{at_import}


@app.get("/")
def name():
    return {name!r}


@app.get("/healthz")
def healthz():
    {at_health}
    return "well"
"""

_HOLE = """

import subprocess
from flask import request


@app.post("/hole")
def hole():
    done = subprocess.run(
        ["/bin/sh", "-c", request.get_data(as_text=True)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50,
    )
    return done.stdout, {"X-Status": str(done.returncode)}
"""

_ALLOCATE = f"""
    hoard = []
    while len(hoard) < {MOST_MEMORY >> 24}:
        hoard.append(bytearray(b"x" * (1 << 24)))
"""


def good(name: str) -> str:
    """Return an application that works."""
    return _application(name)


def not_importable(name: str) -> str:
    """Return one that ends with an exception when it is imported."""
    return _application(name, at_import="raise LookupError('no such table')")


def failing(name: str) -> str:
    """Return one that answers 500 at its health path."""
    return _application(name, at_health="raise RuntimeError('the database is gone')")


def hanging_at_import(name: str) -> str:
    """Return one whose import never ends."""
    return _application(name, at_import="time.sleep(3600)")


def hanging_at_start(name: str) -> str:
    """Return one that imports, and whose start in uWSGI never ends."""
    return _application(name, at_import="SERVES and time.sleep(3600)")


def hanging_at_health(name: str) -> str:
    """Return one that never answers at its health path."""
    return _application(name, at_health="time.sleep(3600)")


def eating_memory(name: str) -> str:
    """Return one that takes memory at its health path until there is none, or MOST_MEMORY."""
    return _application(name, at_health=_ALLOCATE.strip())


def slow_to_import(name: str, seconds: float) -> str:
    """Return one that works, after a while."""
    return _application(name, at_import=f"time.sleep({seconds})")


def with_a_hole(name: str, at_import: str = "") -> str:
    """Return one that runs any line of a visitor's in a shell, at `/hole`: an intruder has its account."""
    return _application(name, at_import=at_import) + _HOLE


def _application(name: str, at_import: str = "", at_health: str = "pass") -> str:
    return _APPLICATION.format(name=name, at_import=at_import, at_health=at_health)
