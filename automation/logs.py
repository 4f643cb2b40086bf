"""`./ops logs`: the server's logs, as they are or as they grow."""

from __future__ import annotations

import shlex
import subprocess
from enum import StrEnum

import ssh
from automation import server
from automation.stacks import Stack


class LogKind(StrEnum):
    """Which logs."""

    APP = "app"
    WEB = "web"
    RELEASE = "release"
    BOOT = "boot"


# Of the journal, and files beside it.
_UNITS: dict[LogKind, tuple[str, ...]] = {
    LogKind.APP: ("flask-app@a.service", "flask-app@b.service", "flask-worker-*", "flask-cron-*"),
    LogKind.WEB: (),
    LogKind.RELEASE: ("flask-boot.service", "flask-certificate.service"),
    LogKind.BOOT: (),
}
_FILES: dict[LogKind, tuple[str, ...]] = {
    LogKind.APP: (),
    LogKind.WEB: ("/var/log/flask/access.log", "/var/log/flask/error.log"),
    LogKind.RELEASE: ("/var/log/flask/releases.jsonl",),
    LogKind.BOOT: ("/var/log/flask-bootstrap.log", "/var/log/cloud-init-output.log"),
}


def script(kind: LogKind, lines: int, *, follow: bool) -> str:
    """Return what the server runs: the last lines of each log, and with `follow` all that comes.

    What follows is ended by the end of its standard input: however this side goes, it leaves nothing behind there.
    """
    commands = []
    if _UNITS[kind]:
        units = [part for unit in _UNITS[kind] for part in ("-u", unit)]
        journal = ["journalctl", "--no-pager", "-q", "-o", "short-iso", "-n", str(lines), *units]
        commands.append(shlex.join([*journal, *(["-f"] if follow else [])]))
    if _FILES[kind]:
        tail = ["tail", *(["-F"] if follow else []), "-n", str(lines), *_FILES[kind]]
        # One that is not there yet is waited for; that it is not is no news.
        commands.append(shlex.join(tail) + " 2>/dev/null")
    if not follow:
        return "; ".join(commands) + "; true"
    started = " ".join(f'{command} & running="$running $!";' for command in commands)
    return f"running=; {started} cat >/dev/null; kill $running"


def show(stack: Stack, kind: LogKind, lines: int, *, follow: bool) -> int:
    """Print the logs of the stack's server; return ssh's exit status. Ctrl-C is the way to end what follows.

    Raises:
        DeploymentError: the stack has no server.
    """
    connection = server.connection(stack)
    with (
        ssh.arguments(connection) as arguments,
        subprocess.Popen(
            [*arguments, "--", script(kind, lines, follow=follow)], stdin=subprocess.PIPE
        ) as process,
    ):
        try:
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            process.terminate()
