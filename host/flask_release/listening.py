"""Which process listens on which TCP port, by /proc: no program has to be installed for it."""

import contextlib
import os
import re
import socket
import struct
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from flask_release import files

_PROC = Path("/proc")
# State 0A in /proc/net/tcp (include/net/tcp_states.h).
_LISTEN = "0A"
_UNIT = re.compile(r"/([^/]+\.(?:service|socket|scope))(?:/|$)", re.MULTILINE)


class Holder(NamedTuple):
    """A process: its id, name and unit. (Not its arguments: they may hold secrets.)"""

    pid: int
    name: str
    unit: str

    def __str__(self) -> str:
        return "{} (process {}{})".format(self.name, self.pid, ", " + self.unit if self.unit else "")


class Listener(NamedTuple):
    """A listening socket. `holder` is None when this account may not see whose it is."""

    address: str
    port: int
    holder: Optional[Holder]

    @property
    def outside(self) -> bool:
        """Other hosts reach it, unless a firewall keeps them."""
        return not self.address.startswith("127.") and self.address != "::1"

    @property
    def place(self) -> str:
        """Address and port in one."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def listeners() -> List[Listener]:
    """All listening TCP sockets, by port."""
    found = []
    sockets = list(_sockets())
    holders = _holders({inode for _, _, inode in sockets})
    for address, port, inode in sockets:
        found.append(Listener(address, port, holders.get(inode)))
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def own(port: int, user: str) -> List[int]:
    """Processes of an account that listen on a port. For root, as in tests, everything would be one's own: none."""
    uid = files.uid(user)
    found = [listener.holder.pid for listener in listeners() if listener.port == port and listener.holder]
    return [pid for pid in found if uid != 0 and _uid(pid) == uid]


def _uid(pid: int) -> Optional[int]:
    try:
        return (_PROC / str(pid)).stat().st_uid
    except OSError:
        return None


def holder(pid: int) -> Holder:
    """What a process is."""
    units = _UNIT.findall(files.read_text(_PROC / str(pid) / "cgroup"))
    return Holder(pid, files.read_text(_PROC / str(pid) / "comm").strip() or "?", units[0] if units else "")


def _sockets() -> Iterator[Tuple[str, int, str]]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in files.read_text(_PROC / "net" / name).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == _LISTEN:
                address, _, port = words[1].partition(":")
                yield _address(address, family), int(port, 16), words[9]


def _address(text: str, family: int) -> str:
    # Groups of four bytes in the machine's own order.
    groups = [struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8)]
    return socket.inet_ntop(family, b"".join(groups))


def _holders(inodes: Set[str]) -> Dict[str, Holder]:
    """Of several processes that share a socket, the first: the master that opened it."""
    found: Dict[str, Holder] = {}
    pids = sorted(int(path.name) for path in _PROC.iterdir() if path.name.isdigit())
    for pid in pids:
        for inode in _open_sockets(pid) & inodes - set(found):
            found[inode] = holder(pid)
        if len(found) == len(inodes):
            break
    return found


def _open_sockets(pid: int) -> Set[str]:
    inodes = set()
    folder = str(_PROC / str(pid) / "fd")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{folder}/{name}")
                if target.startswith("socket:["):
                    inodes.add(target[len("socket:[") : -1])
    return inodes
