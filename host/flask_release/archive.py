"""Release archives: looked into, and unpacked with nothing but plain files under known names."""

import errno
import os
import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Any, Dict, List, NamedTuple, Pattern, Tuple, cast

from flask_release import untrusted
from flask_release.problem import Problem, say

MAX_BYTES = 1 << 30
MAX_FILES = 50000
# Of release.json and requirements.txt, which are read whole; a long lock has some hundred KiB.
_TEXT_LIMIT = 16 << 20
_PATH_LIMIT = 1024
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\(\))?")
_NAME_LIMIT = 255
_ARCHIVE_ID = re.compile(r"[0-9a-f]{6,64}")


class Archive(NamedTuple):
    """A release archive: its release.json, its requirements, and the bytes that its files need on disk."""

    path: Path
    facts: Dict[str, Any]
    requirements: bytes
    size: int


def read(path: Path) -> Archive:
    """Look through the whole archive.

    Raises:
        Problem: it is no archive, damaged, or holds what a release must not.
    """
    try:
        with tarfile.open(str(path), "r:gz") as tar:
            members = _members(path, tar)
            texts: Dict[str, bytes] = {}
            for member, name in members:
                if name in ("release.json", "requirements.txt"):
                    texts[name] = _read(path, tar, member)
    except FileNotFoundError:
        raise Problem(f"{path} is not there. Copy the archive to the host again.")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Problem(f"{path} is no whole tar.gz archive: {error}. Copy it to the host again.")
    for name in ("release.json", "requirements.txt"):
        if name not in texts:
            raise Problem(f"{path} holds no {name}. Make it with the stack's `up`.")
    # A file takes up whole blocks of 4 KiB.
    size = sum((member.size + 4095) // 4096 * 4096 for member, _ in members)
    return Archive(path, _facts(path, texts["release.json"]), texts["requirements.txt"], size)


def check_space(folder: Path, needed: int, what: str) -> None:
    """See to it that a folder's file system has room.

    Raises:
        Problem: it has not.
    """
    free = shutil.disk_usage(str(folder)).free
    if free < needed:
        raise Problem(
            f"{folder} has {free >> 20} MiB free and {what} needs {needed >> 20}; nothing was changed. Make room"
            " (`flask-release prune` removes old releases) and run this again."
        )


def unpack(archive: Archive, folder: Path, instance: str) -> None:
    """Unpack into a new folder, root's and writable to nobody else.

    Args:
        archive: the archive.
        folder: made by this; must not be there.
        instance: where the application's instance folder links to.

    Raises:
        Problem: the disk is full.
    """
    folder.mkdir(parents=True)
    python_path = PurePosixPath("app") / str(archive.facts["pythonpath"])
    instance_folder = python_path / "instance"
    left_out = 0
    try:
        with tarfile.open(str(archive.path), "r:gz") as tar:
            for member, name in _members(archive.path, tar):
                if instance_folder in PurePosixPath(name).parents:
                    left_out += 1
                    continue
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as file:
                    shutil.copyfileobj(_open(tar, member), file, 1 << 20)
                place.chmod(0o755 if member.mode & 0o100 else 0o644)
        (folder / str(python_path)).mkdir(parents=True, exist_ok=True)
        os.symlink(instance, str(folder / str(instance_folder)))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem(
                f"The disk became full while {archive.path} was unpacked; nothing was changed. Make room"
                " (`flask-release prune` removes old releases) and run this again."
            )
        raise
    if left_out:
        say(f"left out {left_out} files in {instance_folder}: data of the application lives in {instance}")


def _members(path: Path, tar: tarfile.TarFile) -> List[Tuple[tarfile.TarInfo, str]]:
    found: List[Tuple[tarfile.TarInfo, str]] = []
    seen = set()
    total = 0
    for member in tar:
        if member.isdir():
            continue
        name = PurePosixPath(member.name).as_posix()
        parts = PurePosixPath(name).parts
        allowed = name in ("release.json", "requirements.txt") or (parts[0] == "app" and len(parts) > 1)
        if not member.isreg() or not allowed or ".." in parts or name in seen:
            raise Problem(
                f"{path} holds {member.name!r}, which a release must not (only plain files under app/, each once,"
                " requirements.txt and release.json). Make the archive with the stack's `up`."
            )
        seen.add(name)
        total += member.size
        if total > MAX_BYTES or len(seen) > MAX_FILES:
            raise Problem(
                f"{path} holds more than {MAX_BYTES >> 20} MiB or {MAX_FILES} files. Leave out what is not the"
                " application."
            )
        found.append((member, name))
    return found


def _is_name(pattern: Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _NAME_LIMIT and bool(pattern.fullmatch(value))


def _is_folder(path: PurePosixPath) -> bool:
    """A folder of the application's."""
    text = str(path)
    return (
        not path.is_absolute() and ".." not in path.parts and text.isprintable() and len(text) <= _PATH_LIMIT
    )


def _read(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _TEXT_LIMIT:
        raise Problem(
            f"{path}: {member.name} has more than {_TEXT_LIMIT >> 20} MiB. Make it with the stack's `up`."
        )
    return _open(tar, member).read()


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    # A plain file always opens; the type allows None for folders and devices.
    return cast(IO[bytes], tar.extractfile(member))


def _facts(path: Path, text: bytes) -> Dict[str, Any]:
    try:
        facts = untrusted.json_object(text)
    except ValueError:
        raise Problem(f"release.json in {path} is no JSON object. Make it with the stack's `up`.")
    facts.setdefault("pythonpath", ".")
    python_path = PurePosixPath(str(facts["pythonpath"]))
    wrong = [
        name
        for name, good in (
            ("id", _ARCHIVE_ID.fullmatch(str(facts.get("id")))),
            ("module", _is_name(_MODULE, facts.get("module"))),
            ("callable", _is_name(_CALLABLE, facts.get("callable"))),
            ("pythonpath", _is_folder(python_path)),
        )
        if not good
    ]
    if wrong:
        raise Problem(
            "release.json in {} has no usable {}. Make it with the stack's `up`.".format(
                path, ", ".join(wrong)
            )
        )
    return dict(facts)
