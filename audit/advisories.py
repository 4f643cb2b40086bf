"""A copy of PyPA's advisory database, answering on this machine as OSV does: for who reaches no advisory service."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version


class Database:
    """A checkout of the database: vulns/NAME/ID.yaml, each a record in OSV's format."""

    def __init__(self, folder: Path) -> None:
        self._records = folder / "vulns"
        if not self._records.is_dir():
            raise ValueError(f"{folder} is no checkout of PyPA's advisory database: it has no folder vulns")

    def newest(self) -> datetime.date:
        """Return the day on which its newest record was changed: how old the database is."""
        days = [
            day[1]
            for record in self._records.glob("*/*.yaml")
            if (day := re.search(r"^modified: [\"']?(\d{4}-\d\d-\d\d)", record.read_text(), re.MULTILINE))
        ]
        return datetime.date.fromisoformat(max(days, default="1970-01-01"))

    def about(self, name: str, version: str) -> list[dict[str, Any]]:
        """Return the records about one version of a package."""
        normal = re.sub(r"[-_.]+", "-", name).lower()
        found = []
        for file in sorted((self._records / normal).glob("*.yaml")):
            text = file.read_text()
            record = yaml.load(text, yaml.CBaseLoader)  # noqa: S506 - makes strings alone # nosec B506
            if any(_affects(affected, version) for affected in record.get("affected", [])):
                found.append(record)
        return found


def _affects(affected: dict[str, Any], version: str) -> bool:
    if version in affected.get("versions", []):
        return True
    ranges = [entry for entry in affected.get("ranges", []) if entry["type"] == "ECOSYSTEM"]
    return any(_within(entry["events"], Version(version)) for entry in ranges)


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """As OSV's specification evaluates a range: in the order of the versions, each event opens or closes it."""
    inside = False
    for event in sorted(events, key=lambda event: _version(next(iter(event.values())))):
        ((kind, text),) = event.items()
        at = _version(text)
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        # Of before there were rules for versions: older than all that is installed today.
        return Version("0")


@contextlib.contextmanager
def served(database: Database) -> Iterator[str]:
    """Answer OSV's query for one version of a package, on the loopback; yields the URL to ask."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            records = database.about(query["package"]["name"], query["version"])
            answer = json.dumps({"vulns": records} if records else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()
