"""Which commit an application is, for the list of releases: told by git, where the folder is in a checkout."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Revision:
    """The last commit that touched a folder, and its author's name; `commit` ends in `+` when files differ from it.

    Both are empty where git does not know the folder.
    """

    commit: str = ""
    author: str = ""


def revision(folder: Path) -> Revision:
    """Return the revision of a folder. The same content in another checkout has the same one."""
    last = _git(folder, "log", "-1", "--format=%H%x00%an", "--", ".")
    if not last:
        return Revision()
    commit, _, author = last.partition("\0")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return Revision(commit[:12] + ("+" if changed else ""), author)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            # A name in an old commit may be written in anything.
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
