"""The commands.

A command imports what it needs when it runs: `slot` is on the way of every release and rollback, and of every
restart after a crash, and needs little.
"""

import argparse
import contextlib
import ipaddress
import json
import os
import signal
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Iterator, List, Optional, Tuple

from flask_release import settings
from flask_release.host import SLOTS, Host
from flask_release.lock import Lock, held
from flask_release.problem import FAILED, Problem, answer, say
from flask_release.settings import Settings

EPILOG = "exit codes: 0 good; 1 failed, and nothing was changed; 2 wrong usage; 3 refused, --force does it"


def main(arguments: List[str]) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    host = Host(Path(options.root))
    try:
        return int(options.run(host, options))
    except Problem as problem:
        if problem.detail:
            say(problem.detail)
        say("error: " + problem.text)
        return problem.code
    except OSError as error:
        say(f"error: {error}. Look at the disk and the rights of that place, and run this again.")
        return FAILED
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        say(
            f"error: {type(error).__name__} in {Path(where.filename).name}, line {where.lineno}: {error!s:.200}."
            " This is a fault of flask-release: please report it with this line."
        )
        return FAILED


def _configure(host: Host, options: argparse.Namespace) -> int:
    from flask_release import bundle, configure

    folder = Path(options.bundle)
    bundle.put_address(folder, options.address)
    new = settings.load(host, folder / "etc/flask/host.json")
    with _locked(host, "configure", new.lock_seconds) as lock:
        configure.configure(host, lock, folder)
    return 0


def _release(host: Host, options: argparse.Namespace) -> int:
    from flask_release import identity, release

    request = identity.read_request()
    with _repaired(host, "release") as (current, lock):
        result = release.release(host, current, lock, Path(options.archive), request, options.force)
    _print(result)
    return 0


def _rollback(host: Host, options: argparse.Namespace) -> int:
    from flask_release import rollback

    with _repaired(host, "rollback") as (current, lock):
        result = rollback.rollback(host, current, lock, options.release, options.force)
    if result is None:
        return FAILED
    _print(result)
    return 0


def _forgive(host: Host, _options: argparse.Namespace) -> int:
    from flask_release import releases

    with _repaired(host, "forgive"):
        forgiven = releases.forgive(host)
    say("no longer marked bad: {}".format(", ".join(forgiven) or "none was"))
    _print({"forgiven": forgiven})
    return 0


def _prune(host: Host, _options: argparse.Namespace) -> int:
    from flask_release import prune

    with _repaired(host, "prune") as (current, _lock):
        removed = prune.prune(host, current)
    say("removed: {}".format(", ".join(removed) or "nothing"))
    _print({"removed": removed})
    return 0


def _boot(host: Host, _options: argparse.Namespace) -> int:
    from flask_release import configure, lock, repair

    if lock.owner(host) is not None:
        # Started as what a slot requires, by the very run that holds the lock and repairs.
        say("another run is at work; nothing to do")
        return 0
    repair.start_at_boot(host)
    with _locked(host, "boot", 0) as held_lock:
        configure.take_back(host)
        repair.repair(host, settings.load(host), held_lock)
    return 0


def _slot(host: Host, options: argparse.Namespace) -> int:
    from flask_release import launcher

    launcher.start(host, options.slot)
    return FAILED


def _run(host: Host, options: argparse.Namespace) -> int:
    from flask_release import run

    run.become(host, settings.load(host), options.program)
    return FAILED


def _process(host: Host, options: argparse.Namespace) -> int:
    from flask_release import launcher

    launcher.start_process(host, options.name)
    return FAILED


def _status(host: Host, options: argparse.Namespace) -> int:
    from flask_release import status

    state = status.status(host, settings.load(host))
    answer(json.dumps(state, sort_keys=True) if options.json else status.as_text(state))
    return 0 if status.healthy(state) else FAILED


def _releases(host: Host, options: argparse.Namespace) -> int:
    from flask_release import status

    rows = status.listing(host)
    answer(json.dumps(rows, sort_keys=True) if options.json else status.listing_text(rows))
    return 0


def _doctor(host: Host, options: argparse.Namespace) -> int:
    from flask_release import doctor, finding

    findings = doctor.examine(host)
    answer(doctor.as_json(findings) if options.json else doctor.as_text(findings))
    return FAILED if doctor.worst(findings) == finding.BAD else 0


def _metrics(host: Host, options: argparse.Namespace) -> int:
    from flask_release import metrics

    if options.listen is None:
        answer(metrics.text(host).rstrip("\n"))
        return 0
    address, _, port = options.listen.rpartition(":")
    if not address or not port.isdigit():
        raise Problem(f"--listen is {options.listen!r}; give an address and a port, such as 127.0.0.1:9117.")
    metrics.serve(host, (address, int(port)))
    return FAILED


@contextlib.contextmanager
def _repaired(host: Host, action: str) -> Iterator[Tuple[Settings, Lock]]:
    """The lock, on a host that nothing half-done is left on."""
    from flask_release import configure, repair

    with _locked(host, action, settings.load(host).lock_seconds) as lock:
        configure.take_back(host)
        current = settings.load(host)
        repair.repair(host, current, lock)
        yield current, lock


@contextlib.contextmanager
def _locked(host: Host, action: str, wait: float) -> Iterator[Lock]:
    from flask_release import identity

    # Files are readable to all unless their writer says otherwise, whatever the caller's mask is.
    os.umask(0o022)
    # A dropped connection ends no release; being told to end undoes what is not done.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with held(host, action, identity.who(), wait) as lock:
        yield lock


def _stop(number: int, _frame: Optional[FrameType]) -> None:
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    raise Problem(f"Ended by signal {number}; what was not done was undone. Run this again.")


def _print(result: Any) -> None:
    answer(json.dumps(result, sort_keys=True))


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flask-release", description="Releases of the Flask application on this host.", epilog=EPILOG
    )
    parser.add_argument("--root", default="/", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True

    command = commands.add_parser("configure", help="install an unpacked host bundle")
    command.add_argument("bundle")
    command.add_argument(
        "--address", type=_address, help="this host's public address, for a site without a name"
    )
    command.set_defaults(run=_configure)

    command = commands.add_parser("release", help="release an archive; variables come as JSON on stdin")
    command.add_argument("archive")
    command.add_argument("--force", action="store_true", help="also one that was marked bad")
    command.set_defaults(run=_release)

    command = commands.add_parser("rollback", help="go back to the last good release, or to the one named")
    command.add_argument("release", nargs="?")
    command.add_argument("--force", action="store_true", help="also to one that was marked bad")
    command.set_defaults(run=_rollback)

    command = commands.add_parser("status", help="what serves; 1 when the live release does not answer")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_status)

    command = commands.add_parser("releases", help="the releases on this host")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_releases)

    command = commands.add_parser(
        "run", help="run a command inside the live release, as its application would"
    )
    command.add_argument("program", nargs=argparse.REMAINDER, metavar="COMMAND")
    command.set_defaults(run=_run)

    command = commands.add_parser("forgive", help="clear the mark of every release that was marked bad")
    command.set_defaults(run=_forgive)

    command = commands.add_parser("prune", help="remove old releases and environments")
    command.set_defaults(run=_prune)

    command = commands.add_parser("doctor", help="what is wrong with this host; 1 when something is")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_doctor)

    command = commands.add_parser("metrics", help="metrics for Prometheus; flask-metrics.service serves them")
    command.add_argument("--listen", metavar="ADDRESS:PORT", help="serve them there under /metrics")
    command.set_defaults(run=_metrics)

    command = commands.add_parser(
        "boot", help="send traffic to the live slot and start it; flask-boot.service runs this"
    )
    command.set_defaults(run=_boot)

    command = commands.add_parser("slot", help="become the uWSGI of a slot; systemd runs this")
    command.add_argument("slot", choices=SLOTS)
    command.set_defaults(run=_slot)

    command = commands.add_parser("process", help="become a process of the Procfile; systemd runs this")
    command.add_argument("name")
    command.set_defaults(run=_process)
    return parser
