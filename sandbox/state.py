"""What a sandbox stack remembers on disk: its resources and outputs, written atomically, used by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from progress import DeploymentError
from sandbox import values

VERSION = 1


class Status(StrEnum):
    """How sure the record of a resource is."""

    CREATING = "creating"
    """Begun, not known to be finished: it is created again under the same id."""
    UNSURE = "unsure"
    """There, but an update or a replacement was begun: the next run applies its inputs again."""
    SETTLED = "settled"


@dataclass(frozen=True)
class Entry:
    """One resource as it was last made. `dependencies` and `deleted_with` are URNs."""

    urn: str
    type: str
    name: str
    id: str
    status: Status
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    deleted_with: str = ""
    protect: bool = False


class State:
    """The record of one stack. Every change is on disk when the method that makes it returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "state.json"
        self._guard = threading.RLock()
        self.entries: dict[str, Entry] = {}
        self.discarded: list[Entry] = []
        self.outputs: dict[str, Any] = {}
        self._read()

    def put(self, entry: Entry) -> None:
        """Remember the resource in place of what was known under its URN."""
        with self._guard:
            self.entries[entry.urn] = entry
            self._write()

    def begin_replacement(self, old: Entry, new: Entry) -> None:
        """Note that `new` is being made in place of `old`: until it is whole, `old` is the one that counts."""
        with self._guard:
            self.entries[old.urn] = replace(old, status=Status.UNSURE)
            self.discarded.append(new)
            self._write()

    def finish_replacement(self, new: Entry) -> None:
        """Note that `new` is whole; the one it replaces is to be deleted."""
        with self._guard:
            self.discarded = [entry for entry in self.discarded if entry.id != new.id]
            self.discarded.append(self.entries[new.urn])
            self.entries[new.urn] = new
            self._write()

    def forget(self, entry: Entry) -> None:
        """Note that the resource is gone."""
        with self._guard:
            if self.entries.get(entry.urn, entry).id == entry.id:
                self.entries.pop(entry.urn, None)
            self.discarded = [other for other in self.discarded if other.id != entry.id]
            self._write()

    def set_outputs(self, outputs: dict[str, Any]) -> None:
        """Remember the stack's outputs."""
        with self._guard:
            self.outputs = outputs
            self._write()

    def _read(self) -> None:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except ValueError as error:
            raise DeploymentError(f"{self._path} cannot be read ({error}).") from error
        if document.get("version") != VERSION:
            raise DeploymentError(f"{self._path} was written by another version of this program.")
        document = values.opened(document, _key(self._folder))
        self.entries = {item["urn"]: _entry(item) for item in document["resources"]}
        self.discarded = [_entry(item) for item in document["discarded"]]
        self.outputs = document["outputs"]

    def _write(self) -> None:
        document = {
            "version": VERSION,
            "resources": [asdict(entry) for entry in self.entries.values()],
            "discarded": [asdict(entry) for entry in self.discarded],
            "outputs": self.outputs,
        }
        write_atomically(self._path, json.dumps(values.sealed(document, _key(self._folder)), indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Replace the file's content so that a reader, or a run after a crash, finds the old or the new, whole."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the stack for one run.

    Raises:
        DeploymentError: another run holds it; says which, and since when.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The kernel gives a flock back when its process dies, so a killed run never blocks the next one.
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise DeploymentError(
                f"stack {folder.name} is in use by {holder}; wait for it to end, or end it."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} since {time.strftime('%H:%M:%S')}")
        file.flush()
        yield
        file.truncate(0)


def _key(folder: Path) -> Fernet:
    path = folder / "key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, Fernet.generate_key().decode())
    return Fernet(path.read_text(encoding="ascii"))


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(**{**item, "status": Status(item["status"]), "dependencies": tuple(item["dependencies"])})
