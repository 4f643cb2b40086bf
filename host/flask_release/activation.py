"""The heart of a release and of a rollback: from one slot to the other without losing a request.

Before the traffic moves, a failure stops the new slot and nothing changed. After it, and until the record moves,
a failure sends the traffic back to the old slot, which still runs. After the record moved, the new one is live, and
what fails is a warning.
"""

import time
from typing import Callable, NamedTuple, Optional, Set

from flask_release import (
    drain,
    files,
    gate,
    launcher,
    memory,
    processes,
    releases,
    slots,
    standby,
    traffic,
    units,
    watch,
)
from flask_release.host import Host, unit
from flask_release.lock import Lock
from flask_release.problem import Problem, say, warned
from flask_release.settings import Settings


class Activated(NamedTuple):
    """A done switch. `moved` is when traffic moved, in seconds of the monotonic clock."""

    slot: str
    previous: Optional[str]
    moved: float


def activate(
    host: Host,
    settings: Settings,
    lock: Lock,
    release: str,
    attempts: int,
    watch_seconds: float,
    keep: bool = False,
    ready: Callable[[], object] = lambda: None,
) -> Activated:
    """Serve a release that is on disk with its environment, from the idle slot.

    Args:
        host: the host.
        settings: its settings.
        lock: the held lock.
        release: the release.
        attempts: good answers needed before traffic moves.
        watch_seconds: how long errors are watched after it moved.
        keep: the slot that is left sleeps, ready for a rollback, instead of being stopped.
        ready: what else has to be good once the gate is passed; may raise.

    Raises:
        Problem: it does not serve; what served before serves on.
    """
    old = slots.live(host)
    slot = slots.other(old.slot if old else None)
    lock.step("start", release=release, slot=slot)
    started = time.time()
    try:
        if not standby.wake(host, settings, slot, release):
            _start(host, settings, slot, release)
        lock.step("gate")
        gate.wait(host, settings, slot, release, attempts, started)
        ready()
    except BaseException:
        units.end(unit(slot))
        raise
    lock.step("switch")
    try:
        # Answers of before are not the new release's: not even those of a slot that was down until now.
        mark = watch.mark(host)
        workers = traffic.move(host, settings, slot)
        moved = time.monotonic()
        traffic.verify(settings, release)
        lock.step("watch")
        watch.watch(
            host,
            settings._replace(watch_seconds=watch_seconds),
            mark,
            slot,
            release,
            lambda: units.state(unit(slot)).failed,
        )
        lock.step("record")
        slots.commit(host, slot)
    except BaseException as error:
        _move_back(host, settings, slot, old.slot if old else None)
        if isinstance(error, Problem) and not error.detail:
            error.detail = units.journal(unit(slot), started)
        raise
    say(f"release {release} serves from slot {slot}")
    with warned("it could not be noted that the release serves; the next run notes it"):
        releases.mark_served(host, release)
    with warned("the kernel's order in which memory is freed could not be set"):
        memory.spare(host, slot)
    if old:
        lock.step("drain")
        with warned(f"slot {old.slot} could not be left; the next run does it"):
            _leave(host, settings, old.slot, workers, keep)
    lock.step("processes")
    processes.follow(host)
    return Activated(slot, old.release if old else None, moved)


def _start(host: Host, settings: Settings, slot: str, release: str) -> None:
    if standby.sleeps(host, slot):
        # Nobody was sent to it, and what an application has become in its sleep may not listen.
        units.end(unit(slot))
    elif units.state(unit(slot)).runs:
        # Nearly always the stop of the release before, still on its way.
        units.stop(unit(slot))
    standby.forget(host, slot)
    slots.clear(host, settings, slot)
    slots.occupy(host, slot, release)
    started = files.read_json(host.started) or {}
    digest = launcher.settings_digest(host, settings, release)
    with warned("the slot's settings could not be noted; the next `up` starts it anew"):
        files.write_json(host.started, dict(started, **{slot: digest}))
    units.systemctl("reset-failed", unit(slot))
    # Without waiting: an application that hangs at its start is the gate's business, and its time limit's.
    units.must("start", "--no-block", unit(slot))


def _move_back(host: Host, settings: Settings, slot: str, old: Optional[str]) -> None:
    try:
        workers = traffic.move(host, settings, old)
    except Problem as problem:
        # Stopping the slot that the traffic goes to would be worse than leaving it.
        say(f"warning: the traffic could not be moved back: {problem.text}")
        return
    _leave(host, settings, slot, workers, keep=False)


def _leave(host: Host, settings: Settings, slot: str, workers: Set[int], keep: bool) -> None:
    traffic.wait_for_exit(workers, settings.drain_seconds)
    drain.retire(host, slot, settings.drain_seconds, keep)
