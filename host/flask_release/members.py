"""The processes of a unit, as the kernel has them in its control group: nobody can leave it or add to it but root."""

from typing import NamedTuple, Set

from flask_release import units
from flask_release.host import Host

# Where systemd keeps its groups: version 2, version 1, both beside each other.
_HIERARCHIES = ("sys/fs/cgroup", "sys/fs/cgroup/systemd", "sys/fs/cgroup/unified")


class Members(NamedTuple):
    """Process ids of a unit: its main process, or 0, and all of them."""

    main: int
    all: Set[int]

    @property
    def others(self) -> Set[int]:
        """All but the main process."""
        return self.all - {self.main}


def of(host: Host, unit: str) -> Members:
    """The unit's processes; none when it does not run."""
    told = units.properties(unit, "MainPID", "ControlGroup")
    group = told.get("ControlGroup", "").lstrip("/")
    everybody: Set[int] = set()
    # Without a group of its own it would be everything that runs.
    for hierarchy in _HIERARCHIES if group else ():
        try:
            text = (host.root / hierarchy / group / "cgroup.procs").read_text()
        except OSError:
            continue
        everybody = {int(pid) for pid in text.split()}
        break
    main = told.get("MainPID", "")
    # A service that reports to systemd may name another process as its main one: systemd 219 takes any.
    number = int(main) if main.isdigit() else 0
    return Members(number if number in everybody else 0, everybody)
