"""The gate: a slot serves only after it answered as expected, several times, on its own socket."""

import time
from typing import Optional

from flask_release import slots, units, uwsgi
from flask_release.host import Host, unit
from flask_release.problem import Problem
from flask_release.settings import Settings

POLL = 0.05
# systemd is asked less often than the socket: each question is a process.
ASK_SYSTEMD = 0.25
LONGEST_REQUEST = 5.0


class Refused(Problem):
    """The slot did not pass."""


def probe(
    host: Host, settings: Settings, slot: str, release: str, timeout: float = LONGEST_REQUEST
) -> Optional[str]:
    """Ask the slot once.

    Returns:
        None for a good answer, else what was wrong with it.

    Raises:
        OSError: nothing listens, or no answer came in time.
    """
    check = settings.check
    address = slots.address(host, settings, slot)
    try:
        answer = uwsgi.get(address, settings.health_path, timeout, check.host, check.scheme)
    except ValueError as error:
        return str(error)
    return judge(settings, answer, release)


def judge(settings: Settings, answer: uwsgi.Answer, release: str) -> Optional[str]:
    """What is wrong with an answer at the health path, or None."""
    check = settings.check
    text = answer.body.decode(errors="replace")
    if answer.status != check.status:
        location = answer.headers.get("location")
        return "status {} instead of {}{}{}".format(
            answer.status, check.status, " to " + location if location else "", _start(text)
        )
    if check.body and check.body not in text:
        return f"status {answer.status}, but no {check.body!r} in the body{_start(text)}"
    if answer.headers.get("x-flask-release", release) != release:
        return "an answer of release {}".format(answer.headers["x-flask-release"])
    return None


def wait(host: Host, settings: Settings, slot: str, release: str, attempts: int, started: float) -> None:
    """Wait until a slot that was just started passes.

    Args:
        host: the host.
        settings: its settings.
        slot: the slot.
        release: the release in it.
        attempts: good answers needed, one after the other.
        started: time of the start, in seconds of the epoch; the journal is shown from there.

    Raises:
        Refused: it did not pass; with the last lines of the slot's journal.
    """
    check = settings.check
    until = time.monotonic() + check.timeout
    asked = time.monotonic()
    good = wrong = 0
    last = "nothing listened"
    time.sleep(check.settle)
    while True:
        now = time.monotonic()
        pause = POLL
        try:
            fault = probe(host, settings, slot, release, min(LONGEST_REQUEST, max(POLL, until - now)))
        except OSError as error:
            good = 0
            last = last if isinstance(error, (FileNotFoundError, ConnectionRefusedError)) else _words(error)
        else:
            good = good + 1 if fault is None else 0
            last = fault or last
            pause = check.interval
            # An application that warms up says 503; anything else it would say again.
            wrong = wrong + 1 if fault and not fault.startswith("status 503") else 0
        if good >= attempts:
            return
        now = time.monotonic()
        if now - asked >= ASK_SYSTEMD:
            asked = now
            state = units.state(unit(slot))
            if state.failed:
                _refuse(
                    settings,
                    slot,
                    f"it ended by itself (systemd says {state.active} {state.sub}){_killed(slot)}",
                    started,
                )
        if wrong >= check.refusals:
            _refuse(settings, slot, f"it answered {wrong} times in a row with {last}", started)
        if now >= until:
            _refuse(settings, slot, f"no good answer within {check.timeout:g} s, last: {last}", started)
        time.sleep(pause)


def _refuse(settings: Settings, slot: str, why: str, started: float) -> None:
    raise Refused(
        f"The new slot did not pass the check at {settings.health_path}: {why}. Nothing was changed: what served"
        " before serves still. Correct the application (above, the end of its log), or healthPath and the check, and"
        " release again.",
        units.journal(unit(slot), started),
    )


def _killed(slot: str) -> str:
    """What to think of an end by a signal."""
    if units.properties(unit(slot), "Result").get("Result") != "signal":
        return ""
    other = unit(slots.other(slot))
    return (
        "; a signal killed it. Where memory is not scarce, look at what serves now: it has the same account. Stopped"
        f" first (`systemctl stop {other}`), it can keep no other release from its start"
    )


def _words(error: OSError) -> str:
    if "timed out" in str(error):
        return "no answer came in time"
    return str(error)


def _start(text: str) -> str:
    line = " ".join(text.split())[:200]
    return ": " + line if line else ""
