"""Releases on disk: what each is, and whether it was good.

A release's folder is root's and read-only to the service. It gets its name by rename(2) when it is whole, so a
folder named by an id is a whole release.
"""

import re
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from flask_release import files
from flask_release.host import Host
from flask_release.problem import Problem

ID = re.compile(r"[0-9a-f]{6,64}-[0-9a-f]{6}")


class Entry(NamedTuple):
    """A release and its past.

    Attributes:
        id: its id.
        made: when it was unpacked, in seconds of the epoch.
        served: when it last began to serve, or None when it never did.
        bad: why it was marked bad; empty when it was not.
        author: who made it, as told by the caller.
        commit: its version control id, as told by the caller.
        venv: name of its environment.
    """

    id: str
    made: float
    served: Optional[float]
    bad: str
    author: str
    commit: str
    venv: str


def folder(host: Host, release: str) -> Path:
    """The release's folder."""
    return host.releases / release


def exists(host: Host, release: str) -> bool:
    """The release is on disk, whole."""
    return bool(ID.fullmatch(release)) and (folder(host, release) / "release.json").is_file()


def seal(folder: Path, group: str) -> None:
    """Close a release to everybody but root and the group of the application and nginx."""
    files.folder(folder, 0o750, "root", group)


def facts(host: Host, release: str) -> Dict[str, Any]:
    """The release's release.json.

    Raises:
        Problem: there is no such release, or it is damaged.
    """
    file = folder(host, release) / "release.json"
    value = files.read_json(file)
    if not isinstance(value, dict):
        raise Problem(f"{file} is missing, damaged or closed to this account. Release the application again.")
    return value


def code(host: Host, release: str, release_facts: Dict[str, Any]) -> Path:
    """The folder that Python imports the application from."""
    return folder(host, release) / "app" / str(release_facts.get("pythonpath") or ".")


def venv(host: Host, release_facts: Dict[str, Any]) -> Path:
    """The release's environment."""
    return host.venvs / str(release_facts["venv"])


def entries(host: Host) -> List[Entry]:
    """All releases on disk; the one that served last first, then those that never served, newest first."""
    found = []
    if host.releases.is_dir():
        for path in host.releases.iterdir():
            if exists(host, path.name):
                found.append(_entry(host, path.name))
    return sorted(found, key=lambda entry: (entry.served or 0, entry.made), reverse=True)


def entry(host: Host, release: str) -> Optional[Entry]:
    """One release, or None when it is not on disk."""
    return _entry(host, release) if exists(host, release) else None


def last_good(host: Host, live: Optional[str]) -> Optional[Entry]:
    """The release to go back to: the one that served last, of those that are neither live nor marked bad."""
    for candidate in entries(host):
        if candidate.id != live and candidate.served and not candidate.bad:
            return candidate
    return None


def mark_served(host: Host, release: str) -> None:
    """Note that the release serves from now on, which also clears a mark."""
    # The order counts: a clock that was set back does not make an older release the last one.
    latest = max((entry.served or 0 for entry in entries(host)), default=0)
    _update(host, release, {"served": max(time.time(), latest + 0.001), "bad": ""})


def forgive(host: Host) -> List[str]:
    """Clear all marks; returns the ids of those that had one."""
    marked = [found.id for found in entries(host) if found.bad]
    for release in marked:
        _update(host, release, {"bad": ""})
    return marked


def left_by_rollback(host: Host, release: str) -> None:
    """Mark the release that a rollback left, and count the rollback: the stack's state still has that release."""
    mark_bad(host, release, "left by a rollback")
    try:
        count = int(host.rollbacks.read_text())
    except (FileNotFoundError, ValueError):
        count = 0
    files.write(host.rollbacks, str(count + 1).encode(), 0o644)


def mark_bad(host: Host, release: str, why: str) -> None:
    """Mark the release: a rollback skips it, and releasing it again needs --force."""
    _update(host, release, {"bad": why})


def _entry(host: Host, release: str) -> Entry:
    made = facts(host, release)
    past = files.read_json(folder(host, release) / "state.json") or {}
    return Entry(
        id=release,
        made=float(made.get("made") or 0),
        served=past.get("served"),
        bad=str(past.get("bad") or ""),
        author=str(made.get("author") or ""),
        commit=str(made.get("commit") or ""),
        venv=str(made.get("venv") or ""),
    )


def _update(host: Host, release: str, change: Dict[str, Any]) -> None:
    if exists(host, release):
        file = folder(host, release) / "state.json"
        files.write_json(file, dict(files.read_json(file) or {}, **change))
