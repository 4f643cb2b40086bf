"""The slot that was left, asleep: its application is loaded and its master runs, without workers.

A rollback to it answers within milliseconds: the first question wakes it (uWSGI's cheap mode). Nothing else of it runs:
where the application started processes of its own, the slot is stopped instead. Until the next release takes its slot
it costs the memory of one process, of which it is the first to be ended when memory runs out. The file
/run/flask/<slot>.asleep says that it sleeps: gone after a boot, as the slot is.
"""

import os
import time
from typing import Callable, Optional

from flask_release import files, gate, launcher, members, memory, slots, units, untrusted
from flask_release.host import Host, unit
from flask_release.members import Members
from flask_release.problem import say
from flask_release.settings import Settings

# Seconds that its workers get to end; they have nothing to do any more.
PATIENCE = 10.0
POLL = 0.02
# Commands of uWSGI's FIFO: workers end one by one in their own way, for new ones; all workers end, until asked.
_NEW_WORKERS = b"w"
_CHEAP = b"C"


def sleep(host: Host, slot: str) -> bool:
    """Put an idle slot, which nginx asks no more, to sleep; False when it cannot be."""
    before = _members(host, slot)
    if not before.main or not before.others:
        return False
    hindrance = _hindrance(before.main)
    if hindrance:
        return _not_kept(slot, hindrance)
    try:
        # Cheap mode kills workers outright. Those that served end in their own way first (atexit runs).
        _tell(host, slot, _NEW_WORKERS)
        if not _wait(host, slot, lambda now: bool(now.others - before.all) and not now.others & before.all):
            return _not_kept(slot, "processes that it started go on")
        _tell(host, slot, _CHEAP)
        if not _wait(host, slot, lambda now: now.all == {before.main}):
            return _not_kept(slot, "processes that it started go on")
    except OSError:
        return False
    memory.offer_slot(host, slot)
    files.write(host.asleep(slot), b"")
    return True


def sleeps(host: Host, slot: str) -> bool:
    """The slot was put to sleep, and is still there to be woken."""
    return host.asleep(slot).exists() and units.slot_runs(slot)


def wake(host: Host, settings: Settings, slot: str, release: str) -> bool:
    """Have the slot answer, if it sleeps with this release, started with the settings as they are now.

    Returns:
        Whether it did; else the slot is to be started anew, for whatever the application did to its sockets.
    """
    started = files.read_json(host.started) or {}
    if (
        slots.occupant(host, slot) != release
        or started.get(slot) != launcher.settings_digest(host, settings, release)
        or not sleeps(host, slot)
    ):
        return False
    try:
        # The first question wakes it. What it answers is the gate's business.
        gate.probe(host, settings, slot, release)
    except OSError:
        say(f"slot {slot} sleeps and does not wake: it is started anew")
        return False
    forget(host, slot)
    return True


def forget(host: Host, slot: str) -> None:
    """Note that the slot does not sleep any more."""
    files.remove(host.asleep(slot))


def _not_kept(slot: str, why: str) -> bool:
    say(f"slot {slot} is stopped, not kept ready for a rollback: {why}")
    return False


def _hindrance(master: int) -> Optional[str]:
    # Threads that an application starts when it is imported run in the master: a scheduler of the old release would go
    # on beside the new one's.
    try:
        threads = len(os.listdir(f"/proc/{master}/task"))
    except OSError:
        return "its master is gone"
    if threads > 1:
        return "the application starts threads when it is imported"
    if memory.scarce():
        return "memory is scarce"
    return None


def _wait(host: Host, slot: str, reached: Callable[[Members], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if reached(_members(host, slot)):
            return True
        time.sleep(POLL)
    return False


def _members(host: Host, slot: str) -> Members:
    """The slot's processes: uWSGI's master, its workers, and whatever else the application started there."""
    return members.of(host, unit(slot))


def _tell(host: Host, slot: str, command: bytes) -> None:
    descriptor = untrusted.pipe(host.fifo(slot))
    try:
        os.write(descriptor, command)
    finally:
        os.close(descriptor)
