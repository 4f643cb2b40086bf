"""Which processes the kernel ends first when memory runs out: those of a release that is not live.

A slot starts as the first choice. When its release becomes live it is one among others again, until it is left; at a
boot, or after a crash, the live slot starts as such.
"""

import contextlib
from pathlib import Path

from flask_release import meminfo
from flask_release.host import Host

# /proc/<pid>/oom_score_adj: before all others, and no preference. Processes pass it on to those they start.
FIRST = "1000"
NONE = "0"

# `flask-release doctor` warns at 0.1.
_SPARE = 0.25


def offer() -> None:
    """Make this process, and all that it becomes and starts, the kernel's first choice."""
    _write("self", FIRST)


def spare(host: Host, slot: str) -> None:
    """Take the slot's processes out of the first choice."""
    # Here: a slot that starts has no use for it.
    from flask_release import uwsgi

    master = uwsgi.known(host.stats(slot)).get("pid")
    if master:
        _write(str(master), NONE)
        # Asked once more: a worker that started in between may have it from the master as it was.
        for worker in uwsgi.workers(uwsgi.known(host.stats(slot))):
            _write(str(worker["pid"]), NONE)


def offer_master(pid: int) -> None:
    """Make a slot's master, and the workers that it will start, the kernel's first choice."""
    _write(str(pid), FIRST)


def scarce() -> bool:
    """So little memory is left that nothing should be held that could be started anew."""
    found = meminfo.read()
    return found.available < _SPARE * found.total


def _write(process: str, value: str) -> None:
    # A container may not allow it, and a process may be gone.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/oom_score_adj").write_text(value)
