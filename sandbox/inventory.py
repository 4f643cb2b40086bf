"""What a sandbox's cloud holds, on disk, for several threads and processes: one at a time may change it."""

from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from sandbox.state import write_atomically

KINDS = ("networks", "vswitches", "groups", "keys", "instances")
Things = dict[str, dict[str, Any]]


class Inventory:
    """Things by kind and id. Entered, it is held, by this thread of this process alone; it may be entered again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._file: IO[str] | None = None
        self._things: Things = {kind: {} for kind in KINDS}

    def __enter__(self) -> Things:
        self._thread.acquire()
        if self._depth == 0:
            self._file = self._path.with_suffix(".lock").open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._path.exists():
                self._things = json.loads(self._path.read_text(encoding="utf-8"))
        self._depth += 1
        return self._things

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file:
            self._file.close()
        self._thread.release()

    @property
    def things(self) -> Things:
        """What there is now."""
        with self as things:
            return things

    def put(self, kind: str, thing_id: str, thing: dict[str, Any]) -> None:
        """Keep a thing; what it has already and is not said here stays."""
        with self as things:
            things[kind][thing_id] = {**things[kind].get(thing_id, {}), **thing}
            self.write()

    def drop(self, kind: str, thing_id: str) -> None:
        """Forget a thing, if it is there."""
        with self as things:
            things[kind].pop(thing_id, None)
            self.write()

    def write(self) -> None:
        """Write down what was changed while this is held."""
        write_atomically(self._path, json.dumps(self._things, indent=1))
