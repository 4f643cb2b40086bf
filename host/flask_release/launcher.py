"""`slot <slot>`: becomes the uWSGI of a slot. systemd runs it as the service account."""

import contextlib
import os
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple

from flask_release import files, releases, slots
from flask_release import settings as settings_module
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings

# From the unit to uWSGI; all else that systemd sets is not the application's business.
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "PYTHONUNBUFFERED", "NOTIFY_SOCKET")


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
    try:
        os.execve(program, command.arguments, command.environment)
    except OSError as error:
        raise Problem(f"{program} cannot be run: {error}. Release again; that builds what is missing.")


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
    for path in [host.slot_ini, host.units / "flask-app@.service", *drop_ins]:
        with contextlib.suppress(OSError):
            parts.append(f"{path.name} {files.digest(path.read_bytes())}")
    return files.digest("\n".join(parts).encode())
