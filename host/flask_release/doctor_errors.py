"""Examination of the last errors, without secrets."""

import contextlib
import re
import time
from pathlib import Path
from typing import List

from flask_release import launcher, slots
from flask_release import units as systemd
from flask_release.finding import OK, WARN, Finding, Patient
from flask_release.host import Host, identifier, unit
from flask_release.problem import Problem

_ERRORS_SINCE = 24 * 3600
_ERROR_LINES = 3
_QUERY = re.compile(r"\?[^\s\"']*")
_ERROR = re.compile(
    r"\b(error|exception|critical|fatal|traceback|segmentation fault|harakiri)\b|\w(Error|Exception)\b",
    re.IGNORECASE,
)
# What uWSGI says of a client that went in the middle, in words that look like the application's.
_CLIENT_LEFT = re.compile(
    r"^(OSError|IOError): write error$"
    r"|^uwsgi_response_\w+\(\): (Broken pipe|Connection reset by peer)"
    r"|^SIGPIPE: writing to a closed pipe"
    r"|^\[uwsgi-body-read\] .*(Client closed connection|Connection reset by peer|Broken pipe)"
)


def errors(patient: Patient) -> List[Finding]:
    """The last errors of nginx and of the live slot in a day."""
    since = time.time() - _ERRORS_SINCE
    findings = []
    log = patient.host.log / "error.log"
    lines = [line for line in _tail(log) if _nginx_time(line) >= since]
    findings.append(
        _errors("nginx's errors", lines, "see /var/log/flask/error.log; 502 and 504 are the application's")
    )
    live = slots.live(patient.host)
    if live:
        journal = systemd.journal(unit(live.slot), since, 2000)
        secrets = _secrets(patient.host, live.release)
        lines = [_hidden(line, secrets) for line in journal.splitlines() if is_error(line)]
        findings.append(
            _errors(
                "application's errors", lines, f"`journalctl -t {identifier(unit(live.slot))}`, or ./ops logs"
            )
        )
    return findings


def is_error(line: str) -> bool:
    """A line of the application's log tells of an error, and not of a client that left."""
    return bool(_ERROR.search(line)) and not _CLIENT_LEFT.search(line.strip())


def _errors(name: str, lines: List[str], remedy: str) -> Finding:
    if not lines:
        return Finding(name, OK, "none in a day")
    shown = " | ".join(_QUERY.sub("?…", line.strip())[:200] for line in lines[-_ERROR_LINES:])
    return Finding(name, WARN, f"{len(lines)} in a day, last: {shown}", remedy)


def _nginx_time(line: str) -> float:
    try:
        return time.mktime(time.strptime(line[:19], "%Y/%m/%d %H:%M:%S"))
    except ValueError:
        return 0.0


def _tail(path: Path, size: int = 256 << 10) -> List[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _secrets(host: Host, release_id: str) -> List[str]:
    """Values of the application's variables, long enough not to be ordinary words of a log."""
    with contextlib.suppress(Problem):
        values = launcher.variables(host, release_id).values()
        return sorted((value for value in values if len(value) >= 6), key=len, reverse=True)
    return []


def _hidden(line: str, secrets: List[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "[secret]")
    return line
