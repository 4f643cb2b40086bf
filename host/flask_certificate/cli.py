"""Commands: what the stack and the timer call."""

import fcntl
import os
import sys
from pathlib import Path
from typing import List

from flask_certificate import acme, live, own
from flask_certificate.places import Places, load
from flask_certificate.problem import Problem, say

USAGE = """usage: flask-certificate placeholder SETTINGS | own | acme | renew
  placeholder  before nginx gets its files: let it find some certificate
  own          use the certificate and key on standard input
  acme         ask the certificate authority for one
  renew        the timer's: renew what ends soon"""


def main(arguments: List[str], places: Places = Places()) -> int:  # noqa: B008 -- paths, and never changed
    """Run one command; the exit status is 1 where it failed, 2 where there is no such command."""
    # Keys and folders get their own modes; what certbot shows the authority has to be readable.
    os.umask(0o022)
    if not arguments or arguments[0] not in ("placeholder", "own", "acme", "renew"):
        say(USAGE)
        return 2
    try:
        _run(places, arguments[0], arguments[1:])
    except Problem as problem:
        say("flask-certificate: {}".format(problem))
        return 1
    return 0


def _run(places: Places, command: str, rest: List[str]) -> None:
    settings = load(Path(rest[0]) if command == "placeholder" and rest else places.settings)
    if settings is None:
        # The timer of a stack that is on http again.
        say("this site has no certificate (tls is none)")
        return
    given = sys.stdin.read() if command == "own" else ""
    with places.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if command == "placeholder":
            live.provide(places, settings)
        elif command == "own":
            own.install(places, settings, given)
        elif command == "renew":
            if settings.mode == "acme":
                acme.renew(places, settings)
        else:
            acme.obtain(places, settings)
