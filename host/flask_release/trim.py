"""A process of a slot that takes more than its share of memory is replaced, before it takes the machine with it.

uWSGI could ask itself after each request (reload-on-rss). With 16 threads in a process that costs a sixth of the
requests of an application that answers at once (measured: Linux adds up the times of all threads to tell the memory);
asked from outside now and then it costs nothing.
"""

import contextlib
import os
import signal
import time
from typing import Dict

from flask_release import counters, members, settings, sizing, uwsgi_stats
from flask_release.host import SLOTS, Host, unit
from flask_release.problem import Problem, say

# Seconds between two looks, and those that a process is left alone after its start: an application that takes more
# than its share from the beginning is not replaced all the time.
INTERVAL = 10.0
YOUNG = 60.0

_MIB = 1 << 20


def trim(host: Host) -> None:
    """Have the largest process of each slot replaced, when it is beyond what sizing.py gives it.

    It takes no new request, ends when its running ones are answered, and uWSGI starts another.
    """
    try:
        current = settings.load(host)
    except Problem:
        # `configure` is about to write it anew, or an operator reads of it elsewhere.
        return
    bound = sizing.of(current, sizing.machine()).memory_bound
    for slot in SLOTS:
        grown = {pid: size for pid, size in _sizes(host, slot).items() if size > bound * _MIB}
        if grown:
            # One at a time: the others answer meanwhile.
            pid = max(grown, key=lambda one: grown[one])
            say(f"slot {slot}: process {pid} takes {grown[pid] // _MIB} of {bound} MiB and is replaced")
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGHUP)


def _sizes(host: Host, slot: str) -> Dict[int, int]:
    """Resident memory in bytes of the slot's processes that are not young."""
    old = time.time() - YOUNG
    try:
        stats = uwsgi_stats.read(host.stats(slot))
    except OSError:
        return {}
    workers = members.of(host, unit(slot)).others if stats else set()
    return {
        worker.pid: counters.resident(worker.pid)
        for worker in (stats.workers if stats else ())
        if worker.pid in workers and worker.started <= old
    }
