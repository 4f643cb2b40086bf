"""systemd, through its own programs."""

import time
from typing import Dict, List, NamedTuple

from flask_release import host
from flask_release.problem import Problem
from flask_release.process import Ran, run

# Seconds that a unit gets to end by itself when nobody waits for what it does: uWSGI takes about one.
PATIENCE = 2.0
POLL = 0.1


class State(NamedTuple):
    """A unit's state in systemd's words, such as active and running."""

    active: str
    sub: str

    @property
    def runs(self) -> bool:
        """The unit has processes, or is about to."""
        return self.active in ("active", "activating", "reloading", "deactivating")

    @property
    def stops(self) -> bool:
        """The unit was told to stop and is about to."""
        return self.active == "deactivating"

    @property
    def failed(self) -> bool:
        """The unit ended by itself; waiting for systemd to start it again counts, too."""
        return self.active == "failed" or self.sub == "auto-restart"


def systemctl(*arguments: str) -> Ran:
    """Run systemctl."""
    return run(["systemctl", *arguments])


def must(*arguments: str) -> None:
    """Run systemctl.

    Raises:
        Problem: it failed, with what it printed.
    """
    ran = systemctl(*arguments)
    if ran.code != 0:
        command = "systemctl " + " ".join(arguments)
        raise Problem(
            f"`{command}` failed with {ran.code}. Look at `systemctl status` and `journalctl` of that unit.",
            ran.last(20),
        )


def properties(unit: str, *names: str) -> Dict[str, str]:
    """What systemd says of a unit, by the names of its properties; one that it does not know is not there."""
    asked = [word for name in names for word in ("-p", name)]
    values: Dict[str, str] = {}
    for line in systemctl("show", *asked, unit).output.splitlines():
        name, _, value = line.partition("=")
        values[name] = value
    return values


def state(unit: str) -> State:
    """What systemd says of a unit; inactive when it says nothing."""
    told = properties(unit, "ActiveState", "SubState")
    return State(told.get("ActiveState", "inactive"), told.get("SubState", ""))


def enable(unit: str) -> None:
    """Have a unit started at boot.

    Raises:
        Problem: systemd could not.
    """
    # Asked first: enabling makes systemd read all units again, even when it changes nothing.
    if systemctl("is-enabled", "-q", unit).code != 0:
        must("enable", unit)


def slot_runs(slot: str) -> bool:
    """The slot's unit has processes, and was not told to stop."""
    found = state(host.unit(slot))
    return found.runs and not found.stops


def stop(unit: str) -> None:
    """Stop a unit in its own, graceful way; a failure is forgotten so that it can start again.

    Raises:
        Problem: systemd could not stop it.
    """
    must("stop", unit)
    if state(unit).active == "failed":
        systemctl("reset-failed", unit)


def end(unit: str) -> None:
    """End a unit that nobody was sent to; a failure is forgotten so that it can start again.

    It may stop gracefully for a moment, no longer: uWSGI does not listen to SIGTERM while it loads an application,
    and gives running requests a minute, so that one which hangs would hold everybody up.

    Raises:
        Problem: systemd could not end it.
    """
    must("stop", "--no-block", unit)
    until = time.monotonic() + PATIENCE
    while state(unit).runs and time.monotonic() < until:
        time.sleep(POLL)
    # Told to stop before, it is not started anew by systemd.
    systemctl("kill", "--signal=SIGKILL", unit)
    stop(unit)


def journal(unit: str, since: float, lines: int = 40) -> str:
    """The last lines that a unit wrote after the time `since` (seconds of the epoch)."""
    # Whole local seconds: systemd 219 reads no fractions here.
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    # Not `-n`: with --since, journalctl takes it for the first so many lines.
    command = ["journalctl", "--no-pager", "-q", "-o", "cat", "--since", stamp, *_matches(unit)]
    try:
        return run(command, timeout=20).last(lines)
    except Problem as problem:
        return f"(the journal cannot be read: {problem.text})"


def _matches(unit: str) -> List[str]:
    """What a unit wrote, and what systemd said of it, as `journalctl -u` finds it; and by its identifier as well.

    journald of systemd 219 looks up the unit when it reads a line: of a process that has ended by then it knows none.
    """
    return [
        f"SYSLOG_IDENTIFIER={host.identifier(unit)}",
        "+",
        f"_SYSTEMD_UNIT={unit}",
        "+",
        "_PID=1",
        f"UNIT={unit}",
    ]
