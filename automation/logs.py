"""`./ops logs`: the server's logs, as they are or as they grow."""

from __future__ import annotations

import shlex
import subprocess
import sys
from enum import StrEnum

import ssh
from automation import server
from automation.stacks import Stack
from printable import printable


class LogKind(StrEnum):
    """Which logs."""

    APP = "app"
    WEB = "web"
    RELEASE = "release"
    BOOT = "boot"


# Of the journal, by identifiers of units (shell patterns), and files beside it.
_IDENTIFIERS: dict[LogKind, tuple[str, ...]] = {
    LogKind.APP: ("flask-app-a", "flask-app-b", "flask-worker-*", "flask-cron-*"),
    LogKind.WEB: (),
    LogKind.RELEASE: ("flask-boot", "flask-certificate"),
    LogKind.BOOT: (),
}
_FILES: dict[LogKind, tuple[str, ...]] = {
    LogKind.APP: (),
    LogKind.WEB: ("/var/log/flask/access.log", "/var/log/flask/error.log"),
    LogKind.RELEASE: ("/var/log/flask/releases.jsonl",),
    LogKind.BOOT: ("/var/log/flask-bootstrap.log", "/var/log/cloud-init-output.log"),
}


# Makes the arguments of journalctl: what each unit wrote and what systemd said of it, by name, and by identifier as
# well: journald of CentOS 7 forgets the unit of a process that has ended. Which workers there are, the server knows.
_MATCHES = """
set --
units=$(ls /etc/systemd/system | sed -n 's/\\.service$//p')
names=$({{ echo "$units"; journalctl -q -F SYSLOG_IDENTIFIER; }} | sort -u)
for name in {known} $names; do
    unit=$name.service
    case $name in flask-app-[ab]) unit=flask-app@${{name#flask-app-}}.service ;; esac
    case $name in {patterns})
        set -- "$@" + SYSLOG_IDENTIFIER="$name" + _SYSTEMD_UNIT="$unit" + _PID=1 UNIT="$unit" ;;
    esac
done
shift
"""


def script(kind: LogKind, lines: int, *, follow: bool) -> str:
    """Return what the server runs: the last lines of each log, and with `follow` all that comes.

    What follows is ended by the end of its standard input: however this side goes, it leaves nothing behind there.
    """
    commands = []
    matches = ""
    if _IDENTIFIERS[kind]:
        known = [name for name in _IDENTIFIERS[kind] if "*" not in name]
        matches = _MATCHES.format(known=" ".join(known), patterns="|".join(_IDENTIFIERS[kind]))
        # -a: a line with a colour in it is shown, not counted as "[42B blob data]"; this side escapes it.
        journal = ["journalctl", "--no-pager", "-q", "-a", "-o", "short-iso", "-n", str(lines)]
        commands.append(shlex.join([*journal, *(["-f"] if follow else [])]) + ' "$@"')
    if _FILES[kind]:
        tail = ["tail", *(["-F"] if follow else []), "-n", str(lines), *_FILES[kind]]
        # One that is not there yet is waited for; that it is not is no news.
        commands.append(shlex.join(tail) + " 2>/dev/null")
    if not follow:
        return matches + "; ".join(commands) + "; true"
    started = " ".join(f'{command} & running="$running $!";' for command in commands)
    return f"{matches}running=; {started} cat >/dev/null; kill $running"


def show(stack: Stack, kind: LogKind, lines: int, *, follow: bool) -> int:
    """Print the logs of the stack's server, printable; return ssh's exit status. Ctrl-C is the way to end what follows.

    Raises:
        DeploymentError: the stack has no server.
    """
    connection = server.connection(stack)
    with (
        ssh.arguments(connection) as arguments,
        subprocess.Popen(
            [*arguments, "--", script(kind, lines, follow=follow)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                sys.stdout.write(printable(line))
                sys.stdout.flush()
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            process.terminate()
