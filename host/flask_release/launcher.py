"""`slot <slot>` becomes the uWSGI of a slot, `process <name>` a process of the Procfile.

systemd runs both as the service account.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple

from flask_release import files, memory, procfile, releases, sizing, slots
from flask_release import settings as settings_module
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings

# From the unit to uWSGI; all else that systemd sets is not the application's business.
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "PYTHONUNBUFFERED", "NOTIFY_SOCKET")


_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*=\S*\s+)*")
_OPERATORS = re.compile(r"[;&|(){}\n]")


class Command(NamedTuple):
    """A program, its arguments (the program's name first) and its whole environment."""

    arguments: List[str]
    environment: Dict[str, str]


def start(host: Host, slot: str) -> None:
    """Replace this process by the slot's uWSGI; does not return.

    Raises:
        Problem: the slot is empty, or its release cannot be read.
    """
    settings = settings_module.load(host)
    release = slots.occupant(host, slot)
    if release is None:
        raise Problem(f"Slot {slot} holds no release. Run `flask-release release ARCHIVE`.")
    command = compose(host, settings, slot, release, os.environ)
    program = command.arguments[0]
    live = slots.live(host)
    if live is None or live.slot != slot:
        memory.offer()
    try:
        os.execve(program, command.arguments, command.environment)
    except OSError as error:
        raise Problem(f"{program} cannot be run: {error}. Release again; that builds what is missing.")


def start_process(host: Host, name: str) -> None:
    """Replace this process by one of the live release's Procfile; does not return.

    Raises:
        Problem: nothing is live, or its Procfile has no such process.
    """
    live = slots.live(host)
    if live is None:
        raise Problem("There is no release yet. Run `flask-release release ARCHIVE`.")
    commands = procfile.commands(procfile.read(releases.folder(host, live.release) / "app"))
    if name not in commands:
        raise Problem(f"The Procfile of release {live.release} has no {name}. `systemctl disable` its unit.")
    arguments = shell(commands[name])
    environment = process_environment(host, live.slot, live.release, name, os.environ)
    os.chdir(str(releases.folder(host, live.release) / "app"))
    os.execve(arguments[0], arguments, environment)


def shell(command: str) -> List[str]:
    """How a line of a Procfile is run. A single command takes the shell's place, so that it gets SIGTERM itself."""
    assignments = _ASSIGNMENTS.match(command)
    start = assignments.end() if assignments else 0
    if not _OPERATORS.search(command):
        command = f"{command[:start]}exec {command[start:]}"
    return ["/bin/sh", "-c", command]


def process_environment(
    host: Host, slot: str, release: str, name: str, base: Mapping[str, str]
) -> Dict[str, str]:
    """All variables that a process of the Procfile sees: a slot's, and where Python finds the application.

    Raises:
        Problem: the release, or its variables, cannot be read.
    """
    facts = releases.facts(host, release)
    environment = application_environment(host, slot, release, releases.venv(host, facts), base)
    environment.setdefault("FLASK_APP", "{module}:{callable}".format(**facts))
    environment["FLASK_PROCESS"] = name
    environment["PYTHONPATH"] = str(releases.code(host, release, facts))
    return environment


def compose(host: Host, settings: Settings, slot: str, release: str, base: Mapping[str, str]) -> Command:
    """The uWSGI command of a release in a slot, of whose `base` environment KEPT is passed on.

    Raises:
        Problem: the release, or its environment variables, cannot be read.
    """
    facts = releases.facts(host, release)
    venv = releases.venv(host, facts)
    code = str(releases.code(host, release, facts))
    tcp = settings.tcp_address(slot)
    listen = (
        ["--socket", "{}:{}".format(*tcp)]
        if tcp
        else ["--socket", str(host.socket(slot)), "--chmod-socket=660"]
    )
    arguments = [
        str(venv / "bin/uwsgi"),
        "--ini", str(host.slot_ini),
        *sizing.options(settings),
        *listen,
        "--master-fifo", str(host.fifo(slot)),
        "--stats", str(host.stats(slot)),
        "--chdir", code,
        "--pythonpath", code,
        "--module", str(facts["module"]),
        "--callable", str(facts["callable"]),
        "--virtualenv", str(venv),
        # pyuwsgi starts itself anew by this path; without it, it would leave the environment.
        "--binary-path", str(venv / "bin/python"),
        "--add-header", "X-Flask-Release: " + release,
    ]  # fmt: skip
    return Command(arguments, application_environment(host, slot, release, venv, base))


def application_environment(
    host: Host, slot: str, release: str, venv: Path, base: Mapping[str, str]
) -> Dict[str, str]:
    """All variables that the application sees in a slot.

    Raises:
        Problem: the release's variables cannot be read.
    """
    environment = {name: base[name] for name in KEPT if name in base}
    environment.update(variables(host, release))
    environment["PATH"] = "{}:{}".format(
        venv / "bin", environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    )
    environment["FLASK_RELEASE"] = release
    environment["FLASK_SLOT"] = slot
    if "NOTIFY_SOCKET" in base:
        environment["NOTIFY_SOCKET"] = base["NOTIFY_SOCKET"]
    return environment


def variables(host: Host, release: str) -> Dict[str, str]:
    """The user's variables of a release.

    Raises:
        Problem: the file is missing, or not to be read by this account.
    """
    file = host.environment(release)
    value = files.read_json(file)
    if not isinstance(value, dict):
        raise Problem(f"{file} is missing, damaged or closed to this account. Release again; that writes it.")
    return {str(name): str(content) for name, content in value.items()}


def settings_digest(host: Host, settings: Settings, release: str) -> str:
    """Digest of everything but the release and its variables that a running slot depends on.

    When it differs from the digest that the live slot was started with, the slot runs on old settings.
    """
    parts = ["\0".join(compose(host, settings, "a", release, {}).arguments)]
    drop_ins = sorted((host.units / "flask-app@.service.d").glob("*.conf"))
    for path in [host.slot_ini, host.slot_program, host.units / "flask-app@.service", *drop_ins]:
        with contextlib.suppress(OSError):
            parts.append(f"{path.name} {files.digest(path.read_bytes())}")
    return files.digest("\n".join(parts).encode())
