"""An application's Procfile: what is run beside its uWSGI.

A line is `name: command`. `web` names the WSGI application, `release` is run once before each release, `cron` (as
often as wanted) at its times; every other name is a process that runs all the time.
"""

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from flask_release import crontab
from flask_release.problem import Problem

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.*)")
# A process becomes a unit of systemd, whose name may have 255 characters with all that is around it; a unit and its
# start take their time, and the limits hold in both.
NAME_LIMIT = 64
COUNT_LIMIT = 100
BYTES_LIMIT = 64 << 10
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_WEB = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\(\))?)")


class Cron(NamedTuple):
    """A command and its times, as values of systemd's `OnCalendar`."""

    calendars: List[str]
    command: str


class Procfile(NamedTuple):
    """A Procfile. Workers and crons by name; `web` is a module and its callable."""

    web: Optional[Tuple[str, str]]
    release: Optional[str]
    workers: Dict[str, str]
    crons: Dict[str, Cron]


EMPTY = Procfile(None, None, {}, {})


def read(app: Path) -> Procfile:
    """The Procfile in an application's folder; an empty one when there is none.

    Raises:
        Problem: a line cannot be understood.
    """
    file = app / "Procfile"
    try:
        with file.open("rb") as opened:
            content = opened.read(BYTES_LIMIT + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return EMPTY
    except (OSError, ValueError) as error:
        raise Problem(f"The application's Procfile cannot be read: {error}. Correct it and release again.")
    if len(content) > BYTES_LIMIT:
        raise Problem(
            f"The application's Procfile has more than {BYTES_LIMIT >> 10} KiB. Put long commands into scripts, and"
            " release again."
        )
    found = EMPTY._replace(workers={}, crons={})
    for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            try:
                found = _add(found, line)
            except ValueError as error:
                raise Problem(
                    f"Line {number} of the application's Procfile, {line[:80]!r}: {error}. Nothing was changed. Correct"
                    " it and release again."
                )
    return found


def commands(procfile: Procfile) -> Dict[str, str]:
    """What each named process runs."""
    return dict(procfile.workers, **{name: cron.command for name, cron in procfile.crons.items()})


def _add(found: Procfile, line: str) -> Procfile:
    if _CONTROL.search(line):
        raise ValueError("it has a control character in it")
    parts = _LINE.fullmatch(line)
    if parts is None or not parts.group(2):
        raise ValueError("it is not of the form `name: command`")
    name, command = parts.groups()
    if len(name) > NAME_LIMIT:
        raise ValueError(f"the name is longer than {NAME_LIMIT} characters")
    if len(found.workers) + len(found.crons) >= COUNT_LIMIT and name not in ("web", "release"):
        raise ValueError(f"there are more than {COUNT_LIMIT} processes")
    if name == "cron":
        time, command = crontab.split(command)
        cron = Cron(crontab.calendars(time), command)
        return found._replace(crons=dict(found.crons, **{f"cron-{len(found.crons) + 1}": cron}))
    if name in found.workers or (name == "web" and found.web) or (name == "release" and found.release):
        raise ValueError(f"{name} is there twice")
    if name == "web":
        return found._replace(web=_web(command))
    if name == "release":
        return found._replace(release=command)
    if name.startswith("cron-"):
        raise ValueError(
            "a name that starts with cron- is taken; a timer is written as `cron: * * * * * command`"
        )
    return found._replace(workers=dict(found.workers, **{name: command}))


def _web(command: str) -> Tuple[str, str]:
    # A Procfile written for another server, such as `gunicorn app:app --workers 4`, names the application as well.
    named = [word for word in map(_WEB.fullmatch, command.split()) if word]
    if len(named) != 1:
        raise ValueError("uWSGI serves `web`, which has to name one application as module:callable")
    return named[0].group(1), named[0].group(2)
