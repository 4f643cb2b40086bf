"""One change at a time: a lock that says who holds it."""

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator, Optional

from flask_release.host import Host
from flask_release.problem import Problem, say

POLL = 0.05


class Lock:
    """A held lock."""

    def __init__(self, descriptor: int, owner: Dict[str, Any], before: Optional[Dict[str, Any]]) -> None:
        self._descriptor = descriptor
        self._owner = owner
        self._before = before

    def step(self, name: str, **facts: str) -> None:
        """Note what is being done now, for who waits and for the run after a kill."""
        self._owner.update(facts, step=name)
        _fill(self._descriptor, json.dumps(self._owner, sort_keys=True).encode())

    def take_before(self) -> Optional[Dict[str, Any]]:
        """What a run that died under this lock was doing, if one did; told once."""
        before, self._before = self._before, None
        return before

    @property
    def who(self) -> str:
        """Who holds it."""
        return str(self._owner["who"])


@contextlib.contextmanager
def held(host: Host, action: str, who: str, wait: float) -> Iterator[Lock]:
    """Hold the host's lock.

    The kernel drops the lock of a process that dies; its text stays and tells what it was doing.

    Args:
        host: the host.
        action: what it is held for, such as "release".
        who: who does it.
        wait: seconds to wait for another owner.

    Raises:
        Problem: another run still holds it.
    """
    host.lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(str(host.lock), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(host, descriptor, wait)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        before = _owner(descriptor)
        owner: Dict[str, Any] = {"pid": os.getpid(), "who": who, "action": action, "since": time.time()}
        lock = Lock(descriptor, owner, before)
        lock.step("start")
        yield lock
        _fill(descriptor, b"")
    except Exception:
        # A failure that was told and undone: nothing for the next run to take note of.
        _fill(descriptor, b"")
        raise
    finally:
        os.close(descriptor)


def owner(host: Host) -> Optional[Dict[str, Any]]:
    """Who holds the lock now, or None when nobody does."""
    try:
        descriptor = os.open(str(host.lock), os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _owner(descriptor) or {}
    finally:
        os.close(descriptor)
    return None


def describe(holder: Dict[str, Any]) -> str:
    """A holder in words: "process 12 (root from 10.0.0.5), release 3f2a, since 40 s, at: environment"."""
    if not holder:
        return "another process"
    text = "process {} ({}), {}".format(holder.get("pid"), holder.get("who"), holder.get("action"))
    if holder.get("release"):
        text += " " + str(holder["release"])
    text += ", since {:.0f} s".format(max(0.0, time.time() - float(holder.get("since", time.time()))))
    return text + ", at: {}".format(holder.get("step"))


def _acquire(host: Host, descriptor: int, wait: float) -> None:
    end = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        holder = describe(_owner(descriptor) or {})
        if time.monotonic() >= end:
            raise Problem(
                f"{host.lock} is held by {holder}; nothing was changed. Wait until it is done and run this again; if"
                " it hangs, end that process: the next run repairs what it left."
            )
        if not told:
            say(f"waiting for {holder}")
            told = True
        time.sleep(POLL)


def _owner(descriptor: int) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(os.pread(descriptor, 65536, 0).decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _fill(descriptor: int, content: bytes) -> None:
    # Who holds it is for others to read. A full disk keeps nobody from a rollback.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, len(content))
        os.pwrite(descriptor, content, 0)
