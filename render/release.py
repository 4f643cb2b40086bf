"""The two archives a server gets: the application's release and the host's files.

Both are deterministic: the same content gives the same bytes, so a digest tells whether there is something to do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from render import archive
from render.archive import DIGEST_LENGTH, Archive, Member
from render.folder import application_files, check_size
from render.host_files import HostSettings, host_files
from render.messages import name as shown_name
from render.requirements import requirements
from render.revision import revision


@dataclass(frozen=True)
class Release:
    """An application as it goes to a server.

    Attributes:
        archive: app/…, requirements.txt and release.json; its digest names the release.
        lock: digest of the requirements; releases with the same share an environment on the server.
        hashed: every requirement is pinned by hash.
    """

    archive: Archive
    lock: str
    hashed: bool


def host_archive(settings: HostSettings) -> Archive:
    """The rendered files of a host at their absolute places, packed."""
    files = host_files(settings)
    return archive.named_by_content(
        archive.text_member(name, file.content, file.mode) for name, file in files.items()
    )


def application_release(path: Path, module: str, callable_: str, python_path: str = ".") -> Release:
    """Pack the application in folder `path`. Its files are read here, and once more when the archive is written.

    Left out: ALWAYS_LEFT_OUT, and what `.deployignore` names, or `.gitignore` when there is no `.deployignore`.

    Raises:
        ValueError: the folder holds no requirements, too much, what no server can install, what cannot be read, or a
            link to what no release has.
    """
    text = requirements(path)
    hashed = "--hash=" in text
    lock = _digest(text.encode())
    files = application_files(path)
    instance = PurePosixPath(python_path, "instance").as_posix()
    if any(file.name == instance for file in files):
        raise ValueError(
            f"{shown_name(path / instance)} is a file, where a server puts the folder of that name, which the"
            " application's data is in; rename it"
        )
    members = [archive.file_member(f"app/{file.name}", file.path) for file in files]
    members.append(archive.text_member("requirements.txt", text.encode()))
    facts = {
        "module": module,
        "callable": callable_,
        "pythonpath": python_path,
        "lock": lock,
        "hashed": hashed,
    }
    identity = _digest(b"".join(map(_fingerprint, members)) + _json(facts))
    # Beside the identity, not in it: a commit that changes nothing here is no release.
    made = revision(path)
    described = {"id": identity, **facts, "commit": made.commit, "author": made.author}
    members.append(archive.text_member("release.json", _json(described)))
    check_size(path, sum(member.size for member in members), len(members))
    return Release(archive.named(members, identity), lock, hashed)


def _fingerprint(member: Member) -> bytes:
    return f"{member.name}\0{member.mode:o}\0{member.sha256}\n".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
