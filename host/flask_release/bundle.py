"""A host bundle against the files on disk: what differs, laying it down, and taking it back.

Before the first file is touched, the old ones are copied to the undo folder, with a list that is written last and
removed when all is done. Whoever finds the list (a run was killed in between, or the host booted) takes the old
files back first.
"""

import os
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from flask_release import files
from flask_release.host import Host
from flask_release.problem import Problem

# Written by the bundle, readable to the service and not to others: settings of the application's own host.
PRIVATE = "etc/flask/"
# Configuration, where the server's address may stand for it (render/host_files.py).
_CONFIGURATION = "etc"
_ADDRESS = b"__SERVER_ADDRESS__"
_LIST = "list.json"


class File(NamedTuple):
    """A file as it is to be: content and mode."""

    content: bytes
    mode: int


class Difference(NamedTuple):
    """Names ("etc/nginx/nginx.conf") of files to write and of files to remove."""

    written: List[str]
    removed: List[str]

    @property
    def names(self) -> List[str]:
        """All of them."""
        return self.written + self.removed

    def touches(self, *prefixes: str) -> bool:
        """Some file under one of these places differs."""
        return any(name.startswith(prefixes) for name in self.names)


def put_address(folder: Path, address: Optional[str]) -> None:
    """Write the host's address into the files of an unpacked bundle that wait for it.

    Raises:
        Problem: some do, and there is none.
    """
    for path in sorted((folder / _CONFIGURATION).rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if _ADDRESS not in content:
            continue
        if not address:
            raise Problem(f"{path} needs the host's address. Give it: configure --address ADDRESS {folder}")
        path.write_bytes(content.replace(_ADDRESS, address.encode("ascii")))


def read(folder: Path) -> Dict[str, File]:
    """The files of an unpacked bundle.

    Raises:
        Problem: there is no bundle.
    """
    found: Dict[str, File] = {}
    for place, folders, names in os.walk(str(folder)):
        # What the tool's own run from the bundle leaves is no part of it.
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in names:
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                raise Problem(f"{path} is no plain file. Make the bundle with the stack's `up`.")
            executable = path.stat().st_mode & 0o100
            relative = path.relative_to(folder).as_posix()
            if relative.startswith(PRIVATE):
                mode = 0o750 if executable else 0o640
            else:
                mode = 0o755 if executable else 0o644
            found[relative] = File(path.read_bytes(), mode)
    if not found:
        raise Problem(f"{folder} holds no files. Unpack the host bundle there.")
    return found


def compare(host: Host, bundle: Dict[str, File], group: str) -> Difference:
    """What differs on disk; files of an earlier bundle that this one lacks are to be removed."""
    written = [name for name in sorted(bundle) if not _same(host, name, bundle[name], group)]
    earlier = files.read_json(host.installed) or {}
    removed = [name for name in sorted(earlier) if name not in bundle and host.place(name).exists()]
    return Difference(written, removed)


def install(host: Host, bundle: Dict[str, File], difference: Difference, group: str) -> None:
    """Lay the differing files down, each at once; `restore` takes all of it back until `done`."""
    _save(host, difference)
    for name in difference.written:
        file = bundle[name]
        private = name.startswith(PRIVATE)
        if private:
            _private_folders(host, name, group)
        files.write(host.place(name), file.content, file.mode, group if private else "root")
    for name in difference.removed:
        files.remove(host.place(name))


def done(host: Host, bundle: Dict[str, File]) -> None:
    """Keep what was installed, and drop the old files."""
    files.remove_tree(host.undo)
    listed = {name: files.digest(file.content) for name, file in bundle.items()}
    if listed != files.read_json(host.installed):
        files.write_json(host.installed, listed)


def unfinished(host: Host) -> bool:
    """An `install` was begun and neither done nor taken back."""
    return isinstance(files.read_json(host.undo / _LIST), dict)


def restore(host: Host) -> List[str]:
    """Take the old files back, if an unfinished `install` is found.

    Returns:
        Names of the files that were put back or removed.
    """
    saved = files.read_json(host.undo / _LIST)
    if not isinstance(saved, dict):
        files.remove_tree(host.undo)
        return []
    for name in sorted(saved):
        _take_back(host, name, saved[name])
    files.remove_tree(host.undo)
    return sorted(saved)


def _same(host: Host, name: str, file: File, group: str) -> bool:
    path = host.place(name)
    try:
        status = os.lstat(str(path))
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != file.mode:
            return False
        if os.geteuid() == 0:
            owner = (0, files.gid(group if name.startswith(PRIVATE) else "root"))
            if (status.st_uid, status.st_gid) != owner:
                return False
        return path.read_bytes() == file.content
    except OSError:
        return False


def _save(host: Host, difference: Difference) -> None:
    files.remove_tree(host.undo)
    files.folder(host.undo, 0o700)
    saved: Dict[str, Any] = {}
    for number, name in enumerate(difference.names):
        path = host.place(name)
        if not path.exists():
            saved[name] = None
            continue
        status = path.stat()
        files.write(host.undo / str(number), path.read_bytes(), 0o600)
        saved[name] = {
            "copy": str(number),
            "mode": stat.S_IMODE(status.st_mode),
            "uid": status.st_uid,
            "gid": status.st_gid,
        }
    files.write_json(host.undo / _LIST, saved, 0o600)


def _take_back(host: Host, name: str, saved: Any) -> None:
    path = host.place(name)
    if saved is None:
        files.remove(path)
        return
    files.write(path, (host.undo / saved["copy"]).read_bytes(), saved["mode"])
    if os.geteuid() == 0:
        shutil.chown(str(path), saved["uid"], saved["gid"])


def _private_folders(host: Host, name: str, group: str) -> None:
    top = host.place(PRIVATE.rstrip("/"))
    files.folder(top, 0o750, "root", group)
    place = host.place(name).parent
    while place != top:
        files.folder(place, 0o750, "root", group)
        place = place.parent
