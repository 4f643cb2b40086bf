"""Memory of this machine, by the kernel's /proc/meminfo."""

from pathlib import Path
from typing import Dict, NamedTuple


class Memory(NamedTuple):
    """In bytes. `available`: what can be had without swapping."""

    total: int
    available: int
    swap: int
    swap_free: int


def read(root: Path = Path("/")) -> Memory:
    """What the kernel says now."""
    values: Dict[str, int] = {}
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        values[name] = int(value.split()[0]) * 1024
    # Kernels before 3.14 have no MemAvailable.
    available = values.get("MemAvailable", values.get("MemFree", 0) + values.get("Cached", 0))
    return Memory(values["MemTotal"], available, values.get("SwapTotal", 0), values.get("SwapFree", 0))
