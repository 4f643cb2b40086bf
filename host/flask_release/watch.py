"""After the switch: the share of answers with 5xx is watched for a while."""

import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional

from flask_release import gate, traffic
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings

POLL = 0.1
FLUSH = 0.05
REMEDY = (
    "what served before serves again. Look at the application's log (above), correct it and release again."
)
# What the share of errors before the switch is taken from, at most.
TAIL_BYTES = 256 << 10


class Mark(NamedTuple):
    """A place in the access log, and the share of 5xx answers before it (0 to 1)."""

    inode: int
    offset: int
    ratio: float


class Count(NamedTuple):
    """Answers and, among them, those with 5xx."""

    answers: int
    errors: int

    @property
    def ratio(self) -> float:
        """Share of errors, 0 to 1."""
        return self.errors / self.answers if self.answers else 0.0


def mark(host: Host) -> Mark:
    """Remember where the access log ends, before the switch."""
    # nginx holds lines back: they would be read as the new release's.
    traffic.flush_log(host)
    time.sleep(FLUSH)
    try:
        with host.access_log.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - TAIL_BYTES))
            return Mark(status.st_ino, status.st_size, count(file.read().splitlines(), None).ratio)
    except OSError:
        return Mark(0, 0, 0.0)


def watch(
    host: Host, settings: Settings, start: Mark, slot: str, release: str, failed: Callable[[], bool]
) -> None:
    """Watch the release for the time that the settings give.

    Args:
        host: the host.
        settings: its settings.
        start: the end of the access log before the switch.
        slot: slot of the release.
        release: the release.
        failed: tells whether the slot's unit ended by itself.

    Raises:
        Problem: the share of 5xx rose by more than `watch_ratio`, the slot ended, or it stopped answering well.
    """
    until = time.monotonic() + settings.watch_seconds
    bad = 0
    while True:
        last = time.monotonic() >= until
        if last and settings.watch_seconds:
            # nginx holds lines back for as long as the whole watch.
            traffic.flush_log(host)
            time.sleep(FLUSH)
        _judge(settings, start, count(_new_lines(host.access_log, start), release))
        fault = _ask(host, settings, slot, release)
        bad = bad + 1 if fault else 0
        # One bad answer may be a hiccup under load; three in a row are not.
        if bad >= 3 or (fault and failed()):
            raise Problem(f"After the switch the new slot stopped answering as expected ({fault}); {REMEDY}")
        if last:
            return
        time.sleep(max(0.0, min(POLL, until - time.monotonic())))


def count(lines: Iterable[bytes], release: Optional[str]) -> Count:
    """Count the answers in lines of the access log; those of another release (its key "release") are left out.

    A visitor may have got a kept answer in place of the application's failure: that counts as the failure.
    """
    answers = errors = 0
    for line in lines:
        try:
            entry = json.loads(line.decode(errors="replace"))
            status = int(entry["status"])
            failure = _failure(entry)
        except (ValueError, KeyError, TypeError):
            continue
        # The release in such a line is that of the kept answer; which one failed it does not say.
        if failure > status:
            status = failure
        elif release and entry.get("release") not in (None, "", "-", release):
            continue
        answers += 1
        errors += status >= 500
    return Count(answers, errors)


def _failure(entry: Dict[str, Any]) -> int:
    """The 5xx that the application, or the last server that was tried ("502, 200"), answered nginx with; else 0."""
    last = str(entry.get("upstream_status") or "")[-3:]
    return int(last) if last.isdigit() and last >= "500" else 0


def _judge(settings: Settings, start: Mark, seen: Count) -> None:
    if seen.errors >= settings.watch_minimum and seen.ratio > start.ratio + settings.watch_ratio:
        raise Problem(
            f"After the switch {seen.errors} of {seen.answers} requests were answered with 5xx ({seen.ratio:.0%},"
            f" before: {start.ratio:.0%}); {REMEDY}"
        )


def _new_lines(path: Path, start: Mark) -> List[bytes]:
    try:
        with path.open("rb") as file:
            # A rotated log is a new file, all of which is new.
            if os.fstat(file.fileno()).st_ino == start.inode:
                file.seek(start.offset)
            return file.read().splitlines()
    except OSError:
        return []


def _ask(host: Host, settings: Settings, slot: str, release: str) -> Optional[str]:
    try:
        return gate.probe(host, settings, slot, release)
    except OSError as error:
        return str(error)
