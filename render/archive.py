"""Archives that servers get: tar.gz, made while they are written, the same bytes from the same content."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from render.messages import name as shown_name

DIGEST_LENGTH = 12
# Read, hashed and compressed at a time: no file is in memory as a whole.
_CHUNK = 1 << 20
# zlib's number for a gzip header, whose time is 0.
_GZIP = 31


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes:
        name: its place in the archive.
        mode: its permission bits.
        source: its content, or the file that has it, which is read again when the archive is written.
        size: in bytes.
        sha256: of the content, in hex.
    """

    name: str
    mode: int
    source: bytes | Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Archive:
    """Members in the order of their names, and the first hex digits of a SHA-256 that names the archive."""

    members: tuple[Member, ...]
    digest: str

    def write(self, file: IO[bytes]) -> None:
        """Write the tar.gz.

        Raises:
            ValueError: a member's file is not what it was.
            OSError: it cannot be written.
        """
        compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        _write_tar(self.members, lambda part: file.write(compressor.compress(part)))
        file.write(compressor.flush())

    @property
    def content(self) -> bytes:
        """All of the tar.gz, which had better be small."""
        written = io.BytesIO()
        self.write(written)
        return written.getvalue()


def named_by_content(members: Iterable[Member]) -> Archive:
    """An archive whose name is a digest of all its bytes before they are compressed."""
    ordered = _ordered(members)
    sha256 = hashlib.sha256()
    _write_tar(ordered, sha256.update)
    return Archive(ordered, sha256.hexdigest()[:DIGEST_LENGTH])


def named(members: Iterable[Member], digest: str) -> Archive:
    """An archive with a name of its own."""
    return Archive(_ordered(members), digest)


def text_member(name: str, content: bytes, mode: int = 0o644) -> Member:
    """A member whose content is in memory."""
    return Member(name, mode, content, len(content), hashlib.sha256(content).hexdigest())


def file_member(name: str, path: Path) -> Member:
    """A member that is read from a plain file; whoever may run that may run it on the server.

    Raises:
        ValueError: it cannot be read, is no plain file, or changes meanwhile.
    """
    sha256 = hashlib.sha256()
    with opened(path) as file:
        status = os.fstat(file.fileno())
        read = 0
        while part := file.read(_CHUNK):
            sha256.update(part)
            read += len(part)
            if read > status.st_size:
                break
    if read != status.st_size:
        raise _changed(path)
    mode = 0o755 if status.st_mode & 0o100 else 0o644
    return Member(name, mode, path, read, sha256.hexdigest())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A plain file to read; neither a link nor a pipe that took its place is followed or waited for.

    Raises:
        ValueError: it cannot be opened or read, or is no plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError(f"{shown_name(path)} is no plain file")
            yield file
    except OSError as error:
        raise ValueError(f"{shown_name(path)} cannot be read: {error.strerror}") from error


def _ordered(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: member.name))


def _write_tar(members: Iterable[Member], write: Callable[[bytes], object]) -> None:
    with tarfile.open(fileobj=_Sink(write), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode = member.size, member.mode
            entry.uname = entry.gname = "root"
            if isinstance(member.source, bytes):
                tar.addfile(entry, io.BytesIO(member.source))
            else:
                _add_file(tar, entry, member, member.source)
            # It keeps each for a listing that nobody asks for.
            tar.getmembers().clear()


def _add_file(tar: tarfile.TarFile, entry: tarfile.TarInfo, member: Member, path: Path) -> None:
    with opened(path) as file:
        checked = _Hashed(file)
        if os.fstat(file.fileno()).st_size != member.size:
            raise _changed(path)
        tar.addfile(entry, cast(IO[bytes], checked))
    if checked.sha256.hexdigest() != member.sha256:
        raise _changed(path)


def _changed(path: Path) -> ValueError:
    return ValueError(f"{shown_name(path)} changed while it was packed; run this again")


class _Sink(io.RawIOBase):
    """What a tar archive is written to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write

    def write(self, part: bytes) -> int:  # type: ignore[override]
        self._write(part)
        return len(part)


class _Hashed:
    """A file that is hashed while tarfile reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        part = self._file.read(size)
        self.sha256.update(part)
        return part
