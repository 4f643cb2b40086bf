"""Which processes the kernel ends first when memory runs out: those of a release that is not live.

A slot starts as the first choice. When its release becomes live it is one among others again, until it is left; at a
boot, or after a crash, the live slot starts as such.
"""

import contextlib
from pathlib import Path

from flask_release import meminfo
from flask_release.host import Host, unit

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
    _set(host, slot, NONE)


def offer_slot(host: Host, slot: str) -> None:
    """Make the slot's processes, and those that they will start, the kernel's first choice."""
    _set(host, slot, FIRST)


def scarce() -> bool:
    """So little memory is left that nothing should be held that could be started anew."""
    found = meminfo.read()
    return found.available < _SPARE * found.total


def _set(host: Host, slot: str, value: str) -> None:
    # Here: a slot that starts has no use for it.
    from flask_release import members

    # Twice: a process that started in between may have it from its parent as it was.
    for _ in range(2):
        for pid in members.of(host, unit(slot)).all:
            _write(str(pid), value)


def _write(process: str, value: str) -> None:
    # A container may not allow it, and a process may be gone.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/oom_score_adj").write_text(value)
