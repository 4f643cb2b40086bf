"""What the kernel lets a service do: run inside of one, it prints as JSON what came of trying.

Standard library alone: the instance's own Python runs this file.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, CLONE_NEWUSER, PER_LINUX32 = 0, 0x10000000, 8
# In bytes and processes: more than flask-metrics.service may have.
MUCH_MEMORY, MANY_PROCESSES = 96 << 20, 40


def tried(action: Callable[[], object]) -> str:
    """Name of the error that the action met, "" when it met none."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def call(function: Callable[..., int], *arguments: int) -> None:
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def in_child(action: Callable[[], object]) -> str:
    """The same in a process of its own; "killed" when it does not come back from it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, tried(action).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    return said if os.waitpid(child, 0)[1] == 0 else "killed"


def write_into(folder: str) -> None:
    path = Path(folder, "written-by-the-probe")
    path.touch()
    path.unlink()


def write_suid() -> None:
    path = Path("/tmp/suid")
    path.touch()
    path.chmod(0o4755)


def processes(most: int) -> int:
    """How many children there may be at a time, `most` at most."""
    children: list[int] = []
    try:
        while len(children) < most:
            child = os.fork()
            if child == 0:
                # Until nobody can write any more: then the parent has counted.
                os.close(release)
                os.read(hold, 1)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    os.close(release)
    for child in children:
        os.waitpid(child, 0)
    return len(children)


def status() -> dict[str, str]:
    lines = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: lines[name] for name in ("NoNewPrivs", "Seccomp_filters", "CapBnd", "Umask")}


def mounts() -> dict[str, dict[str, str]]:
    """The options of what is mounted last at each place."""
    found = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {fields[4]: {"mount": fields[5], "all": " ".join(fields)} for fields in found}


def family(number: int) -> str:
    return tried(
        lambda: socket.socket(
            number, socket.SOCK_DGRAM if number != socket.AF_NETLINK else socket.SOCK_RAW
        ).close()
    )


def ask(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
        stream.sendto(b"x", (address, 9))


places, outside = json.loads(sys.argv[1])
hold, release = os.pipe()
print(
    json.dumps(
        {
            "status": status(),
            "mounts": mounts(),
            "writes": {place: tried(functools.partial(write_into, place)) for place in places},
            "seen": [place for place in ("/tmp/marker", "/var/tmp/marker") if Path(place).exists()],
            "modes": {place: os.lstat(place).st_mode & 0o777 for place in ("/home", "/root", "/proc/kmsg")},
            "families": {
                name: family(getattr(socket, name))
                for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK")
            },
            "ptrace": in_child(lambda: call(libc.ptrace, PTRACE_TRACEME, 0, 0, 0)),
            "nice": in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, 19)),
            "code": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
            "namespace": in_child(lambda: call(libc.unshare, CLONE_NEWUSER)),
            "suid": in_child(write_suid),
            "personality": in_child(lambda: call(libc.personality, PER_LINUX32)),
            "uts": str(Path("/proc/self/ns/uts").readlink()),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "scheduler": os.sched_getscheduler(0),
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
            "packet": tried(lambda: ask(outside)),
            "memory": in_child(lambda: bytearray(b"x" * MUCH_MEMORY)),
            "processes": processes(MANY_PROCESSES),
        }
    )
)
