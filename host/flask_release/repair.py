"""What a run that was killed, or a boot, left: made whole again before anything else is done.

The record (see `slots.py`) decides. A run killed before its commit is undone: traffic goes back to the live slot,
which still runs. One killed after it is finished: the slot that was left is stopped. Files need no repair: folders
and environments get their name, or their marker, when they are whole.
"""

from typing import Any, Dict, Optional, Set

from flask_release import (
    drain,
    files,
    gate,
    memory,
    processes,
    record,
    releases,
    slots,
    standby,
    static,
    strays,
    traffic,
    units,
)
from flask_release.host import SLOTS, Host, unit
from flask_release.lock import Lock
from flask_release.problem import Problem, say, warned
from flask_release.settings import Settings
from flask_release.settings import load as settings_of


def repair(host: Host, settings: Settings, lock: Lock) -> None:
    """Bring the host back to one live slot that has the traffic, and note what was interrupted."""
    before = lock.take_before()
    if before:
        say(
            "the run before ({} by {}) was killed at: {}".format(
                before.get("action"), before.get("who"), before.get("step")
            )
        )
        record.append(
            host,
            action=before.get("action"),
            release=before.get("release"),
            who=before.get("who"),
            outcome="interrupted",
            reason="killed at: {}".format(before.get("step")),
        )
    with warned("what an interrupted run left could not be removed"):
        clear(host)
    for account in (settings.service_user, settings.build_user):
        ended = strays.end(account)
        if ended:
            say(f"{ended} processes of {account} were left over and are ended")
    live = slots.live(host)
    has_traffic = traffic.current(host, settings)
    if (
        live
        and has_traffic
        and has_traffic != live.slot
        and not units.slot_runs(live.slot)
        and units.slot_runs(has_traffic)
    ):
        live = _adopt(host, settings, has_traffic) or live
    workers: Set[int] = set()
    if has_traffic != (live.slot if live else None):
        say(
            "traffic goes to {}, the record says {}".format(
                has_traffic or "no slot", live.slot if live else "none"
            )
        )
        workers = traffic.move(host, settings, live.slot if live else None)
    static.serve_from(host, live.slot if live else None)
    if live:
        with warned("the state of the live release could not be noted"):
            memory.spare(host, live.slot)
            entry = releases.entry(host, live.release)
            if entry and not entry.served:
                releases.mark_served(host, live.release)
            left = (before or {}).get("left")
            if left and live.release == (before or {}).get("release"):
                releases.left_by_rollback(host, left)
    for slot in SLOTS:
        if live and slot not in (live.slot, has_traffic) and standby.sleeps(host, slot):
            continue
        if (live is None or slot != live.slot) and units.slot_runs(slot):
            say(f"slot {slot} runs and is not live: it is stopped")
            if slot != has_traffic and _was_at_the_gate(before or {}, slot):
                # It may still load, or hang: nobody waits for it.
                units.end(unit(slot))
                continue
            traffic.wait_for_exit(workers, settings.drain_seconds)
            drain.retire(host, slot, settings.drain_seconds)
    processes.follow(host)


def _was_at_the_gate(before: Dict[str, Any], slot: str) -> bool:
    """The run before started the slot, and was killed before it sent anybody there."""
    return before.get("slot") == slot and before.get("step") in ("start", "gate")


def clear(host: Host) -> None:
    """Remove what was not finished on disk."""
    for folder in (host.releases, host.venvs, host.slots, host.srv, host.run, host.environments, host.state):
        for path in files.leftovers(folder):
            files.remove_tree(path)


def start_at_boot(host: Host) -> None:
    """Start what is live, after the host started: /run is empty then.

    The slots' units are not enabled: this is the one place that starts a slot at boot, by the record. It comes before
    all else and writes to no disk, so that neither a full one nor anything that the application left keeps it.

    Raises:
        Problem: systemd does not start it.
    """
    live = slots.live(host)
    try:
        settings = settings_of(host)
    except Problem as problem:
        say(f"warning: {problem.text}")
        settings = Settings()
    with warned("the traffic could not be sent to the live slot"):
        _move_at_boot(host, settings, live.slot if live else None)
    if live is None:
        say("no release yet")
    elif not units.slot_runs(live.slot):
        # Not waited for: this runs inside the boot's own transaction, ordered before the slot.
        units.must("start", "--no-block", unit(live.slot))
        say(f"release {live.release} starts in slot {live.slot}")


def _move_at_boot(host: Host, settings: Settings, slot: Optional[str]) -> None:
    if settings.socket == "unix" or units.state("nginx.service").runs:
        traffic.move(host, settings, slot)
    else:
        # nginx starts after this, and reads the file then.
        traffic.write_upstream(host, settings, slot)


def _adopt(host: Host, settings: Settings, slot: str) -> Optional[slots.Live]:
    """Record the slot that passed the gate and has the traffic, when the recorded one is dead."""
    release = slots.occupant(host, slot)
    if release is None:
        return None
    try:
        fault = gate.probe(host, settings, slot, release)
    except (OSError, Problem):
        return None
    if fault:
        return None
    slots.commit(host, slot)
    say(f"slot {slot} has the traffic and the recorded one is dead: it is live now")
    return slots.live(host)
