"""Leaving a slot: its running requests are finished, its queue is empty, then it is stopped."""

import time

from flask_release import standby, units, uwsgi_stats
from flask_release.host import Host, unit
from flask_release.problem import Problem, say

# Measured: three idle samples in a row and no request was lost in 10 releases under load.
SAMPLES = 3
INTERVAL = 0.1


def retire(host: Host, slot: str, seconds: float, keep: bool = False) -> None:
    """Wait for the slot's requests, at most some seconds, and have it stopped in uWSGI's graceful way.

    nginx must not send it requests any more. The stop itself takes uWSGI about a second and is systemd's to finish:
    nobody waits for it but the next start in that slot. With `keep` it is put to sleep instead, ready for a rollback,
    when that can be.
    """
    if not wait_until_idle(host, slot, seconds):
        say(f"slot {slot} still has requests after {seconds:g} s; they end with it")
    elif keep and standby.sleep(host, slot):
        return
    try:
        units.must("stop", "--no-block", unit(slot))
    except Problem as problem:
        # What serves is not touched by it, and the next run tries again.
        say(f"warning: {problem.text}")


def wait_until_idle(host: Host, slot: str, seconds: float) -> bool:
    """Wait until the slot has neither running nor queued requests; False when it had some to the end."""
    until = time.monotonic() + seconds
    idle = 0
    while True:
        try:
            stats = uwsgi_stats.read(host.stats(slot))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        # Statistics that tell nothing are no sign of rest.
        idle = idle + 1 if stats and stats.busy == 0 else 0
        if idle >= SAMPLES:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(INTERVAL)
