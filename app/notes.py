"""The notes, kept in one SQLite file of Flask's instance folder.

On the server the instance folder outlives releases, and while a release goes live the old and the new
one use the file at the same time. So a change of the schema must suit both: add, do not rename or drop.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCHEMA_VERSION = 1
# A public board must not fill the disk: the oldest notes go.
KEPT_NOTES = 1000
# Writers in other workers wait this long for the file's lock before they give up.
LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Note:
    """One note.

    Attributes:
        posted: time in UTC such as `2026-01-31T12:00:00Z`.
        writer: mark of the session it came from; only that one may take it down.
    """

    id: int
    name: str
    text: str
    posted: str
    writer: str


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made and brought to the present schema where needed. One connection a request."""
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
    try:
        # A commit without a sync cannot harm a file in WAL mode; a power cut may cost the last notes.
        connection.execute("PRAGMA synchronous = NORMAL")
        if _schema_version(connection) < SCHEMA_VERSION:
            _create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.Error unless notes can be read and written."""
    connection.execute("SELECT id FROM note LIMIT 1").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def latest(
    connection: sqlite3.Connection, limit: int, *, before: int | None = None, after: int | None = None
) -> list[Note]:
    """Up to `limit` notes, newest first, with ids below `before` and above `after`."""
    rows = connection.execute(
        "SELECT id, name, text, posted, writer FROM note"
        " WHERE (:before IS NULL OR id < :before) AND (:after IS NULL OR id > :after)"
        " ORDER BY id DESC LIMIT :limit",
        {"limit": limit, "before": before, "after": after},
    )
    return [Note(*row) for row in rows]


def add(connection: sqlite3.Connection, *, name: str, text: str, writer: str) -> int:
    """Store a note and return its id."""
    with _transaction(connection):
        cursor = connection.execute(
            "INSERT INTO note (name, text, posted, writer)"
            " VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?)",
            (name, text, writer),
        )
        connection.execute(
            "DELETE FROM note WHERE id <= (SELECT id FROM note ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (KEPT_NOTES,),
        )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def remove(connection: sqlite3.Connection, note_id: int, *, writer: str) -> bool:
    """Take down a note of this writer; false when there is none."""
    return connection.execute("DELETE FROM note WHERE id = ? AND writer = ?", (note_id, writer)).rowcount == 1


def _schema_version(connection: sqlite3.Connection) -> int:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert isinstance(version, int)
    return version


def _create(connection: sqlite3.Connection, path: Path) -> None:
    # Going over to WAL answers "locked" at once when another worker does the same: SQLite's own waiting
    # does not cover it, so workers that start together take turns here.
    with path.with_name(path.name + ".setup").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if _schema_version(connection) >= SCHEMA_VERSION:
            return
        # Readers and a writer do not wait for each other in WAL mode.
        connection.execute("PRAGMA journal_mode = WAL")
        with _transaction(connection):
            # AUTOINCREMENT: the id of a note taken down is not given out again, so "newer than" holds.
            connection.execute(
                "CREATE TABLE IF NOT EXISTS note ("
                " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                " name TEXT NOT NULL, text TEXT NOT NULL, posted TEXT NOT NULL, writer TEXT NOT NULL)"
            )
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
