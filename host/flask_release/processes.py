"""Processes and timers of the live release's Procfile, as systemd units.

The units are made here, on the host, and follow the live release: written, started anew and removed when another
becomes live. Each runs `flask-release process <name>`, which looks up the live release when it starts.
"""

import time
from typing import Dict, List

from flask_release import files, procfile, releases, slots, units
from flask_release.host import Host
from flask_release.problem import say, warned
from flask_release.procfile import Cron

_PATTERNS = ("flask-worker-*.service", "flask-cron-*.service", "flask-cron-*.timer")
# What a worker has of its own; all else of a slot's unit, its limits and its protection, holds for it, too.
_OWN = (
    "Type", "NotifyAccess", "ExecStart", "TimeoutStartSec", "Restart", "RestartSec", "SyslogIdentifier",
    "StartLimitInterval", "SuccessExitStatus", "RestartPreventExitStatus",
)  # fmt: skip
_HEAD = "# Written by flask-release from the application's Procfile; a change made here is lost.\n"
# A process that cannot start at all ends in this time (seconds).
_SETTLE = 1.0
_POLL = 0.1


def follow(host: Host) -> None:
    """Make the units those of the live release, and restart what runs another one.

    A failure is told, not raised: the release serves already.
    """
    with warned("the Procfile's processes are not all as they should be"):
        _follow(host)


def _follow(host: Host) -> None:
    live = slots.live(host)
    wanted = _wanted(host, live.release) if live else {}
    done = files.read_json(host.processes) or {}
    listed = {name: files.digest(text.encode()) for name, text in wanted.items()}
    if done == {"release": live.release if live else "", "units": listed}:
        return
    gone = [name for name in _present(host) if name not in wanted]
    if not wanted and not gone:
        return
    _replace(host, wanted, gone)
    _start(wanted, done.get("units") or {}, listed)
    files.write_json(host.processes, {"release": live.release if live else "", "units": listed})


def _wanted(host: Host, release: str) -> Dict[str, str]:
    found = procfile.read(releases.folder(host, release) / "app")
    common = _common(host)
    wanted: Dict[str, str] = {}
    for name in found.workers:
        wanted[f"flask-worker-{name}.service"] = _worker(name, common)
    for name, cron in found.crons.items():
        wanted[f"flask-{name}.service"] = _job(name, common)
        wanted[f"flask-{name}.timer"] = _timer(name, cron)
    return wanted


def _present(host: Host) -> List[str]:
    return sorted(path.name for pattern in _PATTERNS for path in host.units.glob(pattern))


def _replace(host: Host, wanted: Dict[str, str], gone: List[str]) -> None:
    for name in gone:
        units.systemctl("disable", name)
        # A job that is at work ends by itself; a process is stopped in its own, graceful way.
        if not name.startswith("flask-cron-") or name.endswith(".timer"):
            units.must("stop", name)
        files.remove(host.units / name)
        say(f"removed {name}")
    changed = [name for name in wanted if files.read_text(host.units / name) != wanted[name]]
    for name in changed:
        files.write(host.units / name, wanted[name].encode())
    if changed or gone:
        units.must("daemon-reload")


def _start(wanted: Dict[str, str], before: Dict[str, str], listed: Dict[str, str]) -> None:
    workers = [name for name in wanted if name.startswith("flask-worker-")]
    for name in workers:
        units.enable(name)
        # Not waited for: a worker may take its time to finish what it has in hand.
        units.must("restart", "--no-block", name)
    for name in wanted:
        if name.endswith(".timer"):
            units.enable(name)
            units.must("start" if before.get(name) == listed[name] else "restart", name)
    end = time.monotonic() + _SETTLE
    while workers and time.monotonic() < end:
        time.sleep(_POLL)
        for name in list(workers):
            if units.state(name).failed:
                say(
                    f"warning: {name} ended at once; its last lines:\n{units.journal(name, time.time() - 5, 10)}"
                )
                workers.remove(name)


def _common(host: Host) -> List[str]:
    """Lines of a slot's [Service] section that hold for every process of the application."""
    lines: List[str] = []
    section = ""
    for raw in files.read_text(host.units / "flask-app@.service").splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")) and "%i" not in line:
            lines += [line] if line.partition("=")[0] not in _OWN else []
    return lines


def _worker(name: str, common: List[str]) -> str:
    return _unit(
        [
            "[Unit]",
            f"Description=Flask application, {name}",
            "After=network.target flask-boot.service",
            "[Service]",
            f"ExecStart=/opt/flask/bin/flask-release process {name}",
            f"SyslogIdentifier=flask-worker-{name}",
            "Restart=always",
            "RestartSec=5",
            *common,
            "[Install]",
            "WantedBy=multi-user.target",
        ]
    )


def _job(name: str, common: List[str]) -> str:
    return _unit(
        [
            "[Unit]",
            f"Description=Flask application, {name}",
            "[Service]",
            "Type=oneshot",
            f"ExecStart=/opt/flask/bin/flask-release process {name}",
            f"SyslogIdentifier=flask-{name}",
            *common,
        ]
    )


def _timer(name: str, cron: Cron) -> str:
    return _unit(
        [
            "[Unit]",
            f"Description=Times of the Flask application's {name}",
            "[Timer]",
            *(f"OnCalendar={calendar}" for calendar in cron.calendars),
            "AccuracySec=1s",
            "[Install]",
            "WantedBy=timers.target",
        ]
    )


def _unit(lines: List[str]) -> str:
    return _HEAD + "\n".join(lines) + "\n"
