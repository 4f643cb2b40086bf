"""Processes that an account left behind: started by something that has ended, in no unit of their own.

What this tool runs as the application's account, such as an import or a migration, and what an operator runs by `run`,
is somebody else's program: it may leave processes that go on. A slot's own end with its unit.
"""

import contextlib
import os
import pwd
import signal
import time
from pathlib import Path
from typing import Dict, NamedTuple, Set

# Rounds of looking and ending: something that forks all the time is stopped first, and has no turn.
_ROUNDS = 50
_PAUSE = 0.01
# Where a login's processes are on a system without sessions.
_LOGINS = ("ssh.service", "sshd.service")


class _Process(NamedTuple):
    parent: int
    uids: Set[int]
    unit: str


def end(user: str) -> int:
    """End all that the account left behind; returns how many processes that were.

    Processes of services are left alone, and so are those whose starter lives.
    """
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return 0
    # In tests, and for root, everything would be one's own.
    if uid in (0, os.geteuid()):
        return 0
    ended: Set[int] = set()
    for _ in range(_ROUNDS):
        found = _found(uid)
        if not found:
            break
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        ended |= found
        time.sleep(_PAUSE)
    return len(ended)


def _found(uid: int) -> Set[int]:
    everybody = _processes()
    own = _unit("self")
    return {
        pid
        for pid, process in everybody.items()
        if uid in process.uids and _left(everybody, pid, uid) and not _in_service(process.unit, own)
    }


def _left(everybody: Dict[int, _Process], pid: int, uid: int) -> bool:
    """No process of another account stands above it but the first."""
    seen: Set[int] = set()
    while pid not in seen:
        seen.add(pid)
        process = everybody.get(pid)
        if process is None or pid == 1:
            return True
        if uid not in process.uids:
            return False
        pid = process.parent
    return True


def _in_service(unit: str, own: str) -> bool:
    return unit.endswith(".service") and unit != own and unit not in _LOGINS


def _processes() -> Dict[int, _Process]:
    found: Dict[int, _Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with Path(f"/proc/{name}/status").open(encoding="utf-8", errors="replace") as file:
                facts = dict(line.partition(":")[::2] for line in file)
            if facts["State"].split()[0] in "ZX":
                continue
            uids = {int(word) for word in facts["Uid"].split()}
            found[int(name)] = _Process(int(facts["PPid"]), uids, _unit(name))
        except (OSError, KeyError, ValueError, IndexError):
            # It ended meanwhile.
            continue
    return found


def _unit(pid: str) -> str:
    """The innermost systemd unit of a process, or ""."""
    try:
        with Path(f"/proc/{pid}/cgroup").open(encoding="utf-8", errors="replace") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return ""
    for group in groups:
        # systemd's own hierarchy: named in version 1, the only one in version 2.
        if len(group) == 3 and group[1] in ("name=systemd", ""):
            units = [part for part in group[2].split("/") if part.endswith((".service", ".scope"))]
            if units:
                return units[-1]
    return ""
