"""Files that are whole or not there: everything is written beside its place and renamed over it."""

import contextlib
import grp
import hashlib
import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any, Iterator, Optional

from flask_release.problem import Problem
from flask_release.process import must, run


def write(path: Path, content: bytes, mode: int = 0o644, group: Optional[str] = None) -> None:
    """Replace the file at once. `group` owns it beside root; folders on the way are made (0755)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    # Opened with no right for others, and given its mode before it gets its name: a secret is never readable.
    descriptor = os.open(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if group is not None:
                give(part, "root", group)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(str(part), str(path))
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o644, group: Optional[str] = None) -> None:
    """Replace a JSON file at once."""
    write(path, json.dumps(value, sort_keys=True).encode() + b"\n", mode, group)


def read_json(path: Path) -> Any:
    """The JSON value in a file, or None when there is no such file or no JSON in it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_text(path: Path) -> str:
    """The file's text, or "" when there is none to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def link(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target` at once, over whatever link was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    os.symlink(target, str(part))
    os.rename(str(part), str(path))
    sync_folder(path.parent)


def target(path: Path) -> Optional[str]:
    """Where the link points, or None when there is no link."""
    try:
        return os.readlink(str(path))
    except OSError:
        return None


def remove(path: Path) -> None:
    """Remove a file or link if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def remove_tree(path: Path) -> None:
    """Remove a folder if it is there, so that it is whole or gone whenever this is interrupted."""
    if path.is_symlink() or not path.is_dir():
        remove(path)
        return
    gone = path.with_name(".gone-" + path.name) if not path.name.startswith(".gone-") else path
    if gone != path:
        _remove(gone)
        os.rename(str(path), str(gone))
    _remove(gone)


def _remove(folder: Path) -> None:
    # A program: Python's own gives up at some depth, and other people's code may have filled the folder.
    run(["rm", "-rf", "--", str(folder)])


def leftovers(folder: Path) -> Iterator[Path]:
    """What interrupted runs of this module left in a folder."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith((".gone-", ".part-")):
                yield entry


def folder(path: Path, mode: int, user: str = "root", group: str = "root") -> None:
    """Make a folder with its parents (0755), and see to its mode and owners."""
    path.mkdir(parents=True, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    give(path, user, group)


def give_tree(path: Path, user: str) -> None:
    """Give a folder with all in it to an account, without following links; nobody else writes to it.

    By programs that know no limit of depth: other people's code may have filled it.

    Raises:
        Problem: there is something else than files, folders and links in it, or a file of somebody else's.
    """
    if os.geteuid() != 0:
        return
    odd = ["!", "(", "-type", "f", "-o", "-type", "d", "-o", "-type", "l", ")"]
    foreign = ["-type", "f", "-links", "+1", "-user", "root"]
    listed = run(["find", str(path), "-xdev", "(", *odd, "-o", *foreign, ")", "-print", "-quit"])
    if listed.code != 0 or listed.output:
        raise Problem(
            f"Some package made what is no file of its own: {listed.last(1)!r:.200}. Take it out of the requirements."
        )
    must(["chown", "-hR", f"{user}:", str(path)])
    must(["chmod", "-R", "a-s,u=rwX,go=rX", str(path)])


def give(path: Path, user: str, group: str) -> None:
    """Set owner and group; without root's rights, as in tests, everything stays with who runs this."""
    if os.geteuid() == 0:
        os.chown(str(path), uid(user), gid(group), follow_symlinks=False)


def uid(user: str) -> int:
    """Number of an account.

    Raises:
        Problem: there is no such account.
    """
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise Problem(f"There is no account {user}. The bootstrap makes it: look at its log.")


def gid(group: str) -> int:
    """Number of a group.

    Raises:
        Problem: there is no such group.
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise Problem(f"There is no group {group}. The bootstrap makes it: look at its log.")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(".part-" + path.name)
