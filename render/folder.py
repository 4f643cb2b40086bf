"""The files of an application's folder that make up a release, and what a release cannot hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from render.ignored import Ignored
from render.messages import control_character
from render.messages import name as shown_name

# What a server takes (host/flask_release/archive.py), its release.json and requirements.txt included.
MAX_BYTES = 1 << 30
MAX_FILES = 50_000
MAX_DEPTH = 100
# A path on a server has 4096 bytes, of which a release's own folder takes some.
MAX_NAME_BYTES = 3800
_LEAVE_OUT = "leave what is not the application out with a .deployignore file"


@dataclass(frozen=True)
class Found:
    """A file to pack: its name in the folder, with slashes; where its content is; its size in bytes."""

    name: str
    path: Path
    size: int


def application_files(root: Path) -> list[Found]:
    """The files of a folder that go into a release, by name; nothing of them is read.

    Left out: ALWAYS_LEFT_OUT, and what `.deployignore` names, or `.gitignore` when there is no `.deployignore`; and
    what is neither a file nor a folder nor a link, such as a socket.

    Raises:
        ValueError: naming the file or folder that a release cannot hold.
    """
    ignored = Ignored(root)
    found: list[Found] = []
    total = 0
    for file in _walk(root, Path(os.path.realpath(root)), ignored):
        found.append(file)
        total += file.size
        check_size(root, total, len(found))
    return sorted(found, key=lambda file: file.name)


def check_size(root: Path, size: int, count: int) -> None:
    """Refuse what a server would refuse, before anything of it is read.

    Raises:
        ValueError: too many bytes, or files.
    """
    if size > MAX_BYTES:
        raise ValueError(f"{shown_name(root)} holds more than {MAX_BYTES // 2**20} MiB; {_LEAVE_OUT}")
    if count > MAX_FILES:
        raise ValueError(f"{shown_name(root)} holds more than {MAX_FILES} files; {_LEAVE_OUT}")


def _walk(root: Path, real_root: Path, ignored: Ignored) -> Iterator[Found]:
    # A list of what is to be looked into, not a call in a call: folders may be deeper than Python's calls.
    folders = [""]
    while folders:
        folder = folders.pop()
        for name, status in _entries(root, folder):
            kind = status.st_mode
            if stat.S_ISLNK(kind):
                linked = _linked(root, real_root, name, ignored)
                if linked:
                    yield linked
            elif ignored.leaves_out(name, folder=stat.S_ISDIR(kind)):
                continue
            elif stat.S_ISDIR(kind):
                _check_name(root, name)
                if name.count("/") + 1 >= MAX_DEPTH:
                    raise ValueError(
                        f"{shown_name(root / name)} is {MAX_DEPTH} folders deep, and a release holds fewer;"
                        f" {_LEAVE_OUT}"
                    )
                folders.append(name)
            elif stat.S_ISREG(kind):
                _check_name(root, name)
                yield Found(name, real_root / name, status.st_size)


def _entries(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    prefix = f"{folder}/" if folder else ""
    try:
        with os.scandir(root / folder) as entries:
            listed = [entry.name for entry in entries]
        for name in listed:
            yield f"{prefix}{name}", os.lstat(root / folder / name)
    except FileNotFoundError as error:
        raise ValueError(
            f"{shown_name(error.filename)} went away while it was packed; run this again"
        ) from error
    except OSError as error:
        raise ValueError(f"{shown_name(root / folder)} cannot be read: {error.strerror}") from error


def _linked(root: Path, real_root: Path, name: str, ignored: Ignored) -> Found | None:
    """The file that a link leads to, packed under the link's name; None for a link that is left out."""
    link = root / name
    shown = shown_name(link)
    try:
        real = Path(os.path.realpath(link, strict=True))
        status = real.stat()
    except OSError as error:
        if ignored.leaves_out(name):
            return None
        raise ValueError(f"{shown} is a link to nothing") from error
    folder = stat.S_ISDIR(status.st_mode)
    if ignored.leaves_out(name, folder=folder):
        return None
    if folder:
        raise ValueError(f"{shown} is a link to a folder, which a release cannot hold")
    if not real.is_relative_to(real_root):
        raise ValueError(f"{shown} is a link that leads out of the application's folder")
    target = real.relative_to(real_root).as_posix()
    if ignored.leaves_out_on_the_way(target):
        raise ValueError(
            f"{shown} is a link to {shown_name(target)}, which releases leave out; leave the link out as well"
        )
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{shown} is a link to what is no file")
    _check_name(root, name)
    return Found(name, real, status.st_size)


def _check_name(root: Path, name: str) -> None:
    found = control_character(name)
    if found:
        why = "is not written in UTF-8" if found >= "\ud800" else f"has the character U+{ord(found):04X}"
        raise ValueError(
            f"the name of {shown_name(root / name)} {why}, which a release cannot hold; rename it"
        )
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(
            f"the name of {shown_name(root / name)} has more than {MAX_NAME_BYTES} bytes with its folders;"
            " rename it"
        )
