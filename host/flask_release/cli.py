"""The commands."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Callable, ContextManager, Dict, List, Optional

from flask_release import (
    configure,
    identity,
    launcher,
    lock,
    prune,
    release,
    repair,
    rollback,
    settings,
    status,
)
from flask_release.host import SLOTS, Host
from flask_release.lock import Lock
from flask_release.problem import FAILED, Problem, answer, say

EPILOG = "exit codes: 0 good; 1 failed, and nothing was changed; 2 wrong usage; 3 refused, --force does it"


def main(arguments: List[str]) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    host = Host(Path(options.root))
    # Files are readable to all unless their writer says otherwise, whatever the caller's mask is.
    os.umask(0o022)
    try:
        return _COMMANDS[options.command](host, options)
    except Problem as problem:
        if problem.detail:
            say(problem.detail)
        say("error: " + problem.text)
        return problem.code
    except OSError as error:
        say(f"error: {error}. Look at the disk and the rights of that place, and run this again.")
        return FAILED


def _configure(host: Host, options: argparse.Namespace) -> int:
    folder = Path(options.bundle)
    wait = settings.load(host, folder / "etc/flask/host.json").lock_seconds
    with _held(host, "configure", wait) as held:
        configure.configure(host, held, folder)
    return 0


def _release(host: Host, options: argparse.Namespace) -> int:
    request = identity.read_request()
    current = settings.load(host)
    with _held(host, "release", current.lock_seconds) as held:
        configure.take_back(host)
        repair.repair(host, current, held)
        result = release.release(host, current, held, Path(options.archive), request, options.force)
    answer(json.dumps(result, sort_keys=True))
    return 0


def _rollback(host: Host, options: argparse.Namespace) -> int:
    current = settings.load(host)
    with _held(host, "rollback", current.lock_seconds) as held:
        configure.take_back(host)
        repair.repair(host, current, held)
        result = rollback.rollback(host, current, held, options.release, options.force)
    if result is None:
        return FAILED
    answer(json.dumps(result, sort_keys=True))
    return 0


def _prune(host: Host, options: argparse.Namespace) -> int:
    current = settings.load(host)
    with _held(host, "prune", current.lock_seconds) as held:
        configure.take_back(host)
        repair.repair(host, current, held)
        removed = prune.prune(host, current)
    say("removed: {}".format(", ".join(removed) or "nothing"))
    answer(json.dumps({"removed": removed}))
    return 0


def _boot(host: Host, options: argparse.Namespace) -> int:
    if lock.owner(host) is not None:
        # Started as what a slot requires, by the very run that holds the lock and repairs.
        say("another run is at work; nothing to do")
        return 0
    with _held(host, "boot", 0) as held:
        configure.take_back(host)
        repair.boot(host, settings.load(host), held)
    return 0


def _slot(host: Host, options: argparse.Namespace) -> int:
    launcher.start(host, options.slot)
    return 0


def _status(host: Host, options: argparse.Namespace) -> int:
    state = status.status(host, settings.load(host))
    answer(status.as_json(state) if options.json else status.as_text(state))
    return 0 if status.healthy(state) else FAILED


def _releases(host: Host, options: argparse.Namespace) -> int:
    rows = status.listing(host)
    answer(status.as_json(rows) if options.json else status.listing_text(rows))
    return 0


_COMMANDS = {
    "configure": _configure,
    "release": _release,
    "rollback": _rollback,
    "prune": _prune,
    "boot": _boot,
    "slot": _slot,
    "status": _status,
    "releases": _releases,
}  # type: Dict[str, Callable[[Host, argparse.Namespace], int]]


def _held(host: Host, action: str, wait: float) -> ContextManager[Lock]:
    # A dropped connection ends no release; being told to end undoes what is not done.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    return lock.held(host, action, identity.who(), wait)


def _stop(number: int, frame: Optional[FrameType]) -> None:
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    raise Problem(f"Ended by signal {number}; what was not done was undone. Run this again.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flask-release", description="Releases of the Flask application on this host.", epilog=EPILOG
    )
    parser.add_argument("--root", default="/", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    command = commands.add_parser("configure", help="install an unpacked host bundle")
    command.add_argument("bundle")
    command = commands.add_parser("release", help="release an archive; variables come as JSON on stdin")
    command.add_argument("archive")
    command.add_argument("--force", action="store_true", help="also one that was marked bad")
    command = commands.add_parser("rollback", help="go back to the last good release, or to the one named")
    command.add_argument("release", nargs="?")
    command.add_argument("--force", action="store_true", help="also to one that was marked bad")
    command = commands.add_parser("status", help="what serves; 1 when the live release does not answer")
    command.add_argument("--json", action="store_true")
    command = commands.add_parser("releases", help="the releases on this host")
    command.add_argument("--json", action="store_true")
    commands.add_parser("prune", help="remove old releases and environments")
    commands.add_parser(
        "boot", help="point nginx to the live slot and start it; flask-boot.service runs this"
    )
    command = commands.add_parser("slot", help="become the uWSGI of a slot; systemd runs this")
    command.add_argument("slot", choices=SLOTS)
    return parser
