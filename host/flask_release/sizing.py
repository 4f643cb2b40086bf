"""How many processes and threads a slot gets on this machine, and how much memory a process may come to take.

Decided when a slot starts, so that a server of another size needs nothing but its reboot. It depends on what the
machine has and never on what is free: two looks at one machine give the same.
"""

import contextlib
import os
from pathlib import Path
from typing import List, NamedTuple

from flask_release import meminfo
from flask_release.settings import Settings

# Processes for each core, and threads in each, by what the application mostly does. Measured on 2 cores
# (bench/http.py): 36 requests at a time are over four times as many answers as 4 x 2 when they wait. Threads of a
# process that compute only take turns, which costs: 4 x 9 do a few percent more than 3 x 11, and 2 x 2 most.
PROCESSES = {"cpu": 1, "mixed": 2, "io": 1}
THREADS = {"cpu": 2, "mixed": 9, "io": 32}
# MiB: what a process of a common Flask application takes, and what is left to the system, nginx and the journal.
PROCESS = 300
SYSTEM = 300
# MiB: below this a healthy application would begin anew all the time.
LEAST_BOUND = 256

_MIB = 1 << 20


class Machine(NamedTuple):
    """What there is to share: cores that this process may use, and memory in MiB."""

    cores: int
    memory: int


class Size(NamedTuple):
    """Of a slot: processes, threads in each, and the resident MiB at which a process is replaced (trim.py)."""

    processes: int
    threads: int
    memory_bound: int


def options(settings: Settings) -> List[str]:
    """uWSGI's options that give a slot its size on this machine."""
    size = of(settings, machine())
    return [
        "--processes", str(size.processes),
        "--threads", str(size.threads),
    ]  # fmt: skip


def of(settings: Settings, found: Machine) -> Size:
    """The size of a slot; what the settings say counts, and 0 there leaves it to the machine."""
    wanted = found.cores * PROCESSES[settings.load]
    processes = settings.processes or max(1, min(wanted, (found.memory - SYSTEM) // PROCESS))
    return Size(
        processes=processes,
        threads=settings.threads or THREADS[settings.load],
        memory_bound=max(LEAST_BOUND, (found.memory - SYSTEM) // processes),
    )


def machine(root: Path = Path("/")) -> Machine:
    """This machine; in a container with a limit on memory, that limit is its memory."""
    limits = [meminfo.read(root).total]
    # A container's own group is at the top of what it sees (version 2, version 1); a machine has no limit there. Not
    # the group of this process: a slot's, a login's and a timer's are different ones.
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        # The word "max" is no number.
        with contextlib.suppress(OSError, ValueError):
            limits.append(int((root / "sys/fs/cgroup" / file).read_text()))
    return Machine(len(os.sched_getaffinity(0)), min(limits) // _MIB)
