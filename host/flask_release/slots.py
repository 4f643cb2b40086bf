"""Which slot is live.

The record is one symbolic link, /srv/flask/live, replaced by rename(2). A release first moves the traffic
(`traffic.py`), watches it, and then moves this link: that is its commit. Whoever finds traffic and record apart
(a run was killed in between, or the host booted) makes the traffic follow the record: see `repair.py`.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import NamedTuple, Optional

from flask_release import files, listening
from flask_release.host import SLOTS, Host
from flask_release.problem import say
from flask_release.process import run
from flask_release.settings import Settings
from flask_release.uwsgi import Address


class Live(NamedTuple):
    """The slot that serves, and the release in it."""

    slot: str
    release: str


def live(host: Host) -> Optional[Live]:
    """What serves by the record, or None before the first release."""
    target = files.target(host.live)
    slot = Path(target).name if target else ""
    release = occupant(host, slot) if slot in SLOTS else None
    return Live(slot, release) if release else None


def occupant(host: Host, slot: str) -> Optional[str]:
    """Id of the release that the slot points to."""
    target = files.target(host.slots / slot)
    return Path(target).name if target else None


def occupy(host: Host, slot: str, release: str) -> None:
    """Point a slot, which must not run, to a release."""
    files.link(host.slots / slot, "../releases/" + release)


def clear(host: Host, settings: Settings, slot: str) -> None:
    """Empty the folder of a slot that does not run, and free its port: whoever was there could have left anything."""
    folder = host.socket(slot).parent
    if folder.is_dir():
        run(["find", str(folder), "-xdev", "-mindepth", "1", "-delete"])
    address = settings.tcp_address(slot)
    if address is not None:
        for pid in listening.own(address[1], settings.service_user):
            say(f"process {pid} of the application holds port {address[1]}, slot {slot}'s: it is ended")
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def commit(host: Host, slot: str) -> None:
    """Record the slot as live."""
    files.link(host.live, "slots/" + slot)


def other(slot: Optional[str]) -> str:
    """The idle slot beside a live one; a first release takes slot a."""
    return "b" if slot == "a" else "a"


def address(host: Host, settings: Settings, slot: str) -> Address:
    """Where the slot answers."""
    return settings.tcp_address(slot) or str(host.socket(slot))
