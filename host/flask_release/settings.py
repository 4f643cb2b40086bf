"""Settings of the tool: /etc/flask/host.json, with every default in this file."""

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from flask_release.host import Host
from flask_release.problem import Problem


class Check(NamedTuple):
    """When a slot counts as healthy. Times in seconds.

    Attributes:
        status: expected status of the answer at the health path.
        body: text that the answer's body must hold; empty: any.
        attempts: good answers needed, one after the other.
        interval: pause between two good answers.
        timeout: time from the slot's start to the last good answer.
        settle: pause before the first request.
        refusals: wrong answers in a row that end the wait early; 503 is not counted, an application warms up.
        host: Host header of the requests; empty: localhost.
        scheme: what the application is told the request came by.
    """

    status: int = 200
    body: str = ""
    attempts: int = 3
    interval: float = 0.1
    timeout: float = 60.0
    settle: float = 0.0
    refusals: int = 10
    host: str = ""
    scheme: str = "http"


LOADS = ("cpu", "io", "mixed")


class Settings(NamedTuple):
    """What the stack decides about releases. Times in seconds.

    Attributes:
        processes: uWSGI worker processes of a slot; 0: as many as suit the machine (sizing.py).
        threads: in each process; 0: as many as suit `load`.
        load: what the application mostly does: "cpu" (compute), "io" (wait) or "mixed".
        socket: "unix", or the TCP address of slot a; slot b takes the next port.
        health_path: path of the health check, with its query if it has one.
        service_user: account and group that the application runs as.
        web_group: group of the application and of nginx: whose sockets and releases both reach.
        nginx_user: account of nginx's workers.
        build_user: account that builds environments.
        python: interpreter that makes environments; empty: the one of the bootstrap.
        keep_releases: releases on disk, the live one among them.
        check: the gate of a release.
        verify_address: nginx's listener for checks from the host itself; the default is where it was before
            host.json named it.
        watch_seconds: how long errors are counted after the switch.
        watch_ratio: share of 5xx answers, above the share before the switch, that undoes it.
        watch_minimum: fewer answers with 5xx than this undo nothing.
        drain_seconds: longest wait for running requests of the slot that is left (uWSGI's harakiri).
        release_seconds: longest run of the Procfile's `release` command.
        lock_seconds: longest wait for another run of this tool.
    """

    processes: int = 0
    threads: int = 0
    load: str = "mixed"
    socket: str = "unix"
    health_path: str = "/"
    service_user: str = "flask"
    web_group: str = "flask-web"
    nginx_user: str = "nginx"
    build_user: str = "flask-build"
    python: str = ""
    keep_releases: int = 5
    check: Check = Check()
    verify_address: str = "127.0.0.1:8099"
    watch_seconds: float = 1.0
    watch_ratio: float = 0.1
    watch_minimum: int = 3
    drain_seconds: float = 60.0
    release_seconds: float = 600.0
    lock_seconds: float = 120.0

    def tcp_address(self, slot: str) -> Optional[Tuple[str, int]]:
        """Where the slot listens, or None for a unix socket."""
        if self.socket == "unix":
            return None
        name, _, port = self.socket.rpartition(":")
        return name, int(port) + (1 if slot == "b" else 0)

    def interpreter(self, host: Host) -> str:
        """Path of the Python that makes environments."""
        return self.python or str(host.python)


def load(host: Host, path: Optional[Path] = None) -> Settings:
    """Read the settings from `path` (default: the host's own file); a missing file means all defaults.

    Raises:
        Problem: the file is no JSON object, or a value has the wrong type.
    """
    file = path or host.settings
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise Problem(f"{file} cannot be read: {error}. Run the stack's `up`, which writes it anew.")
    if not isinstance(values, dict):
        raise Problem(f"{file} holds no JSON object. Run the stack's `up`, which writes it anew.")
    check = _Reader(file, values.get("check") or {}, "check.").fill(Check())
    settings: Settings = _Reader(file, values, "").fill(Settings())
    settings = settings._replace(check=check)
    address = settings.socket.rpartition(":")
    if settings.socket != "unix" and not (address[0] and address[2].isdigit()):
        raise Problem(
            f"{file}: socket is {settings.socket!r}; it has to be unix, or an address and port such as 127.0.0.1:8080."
        )
    if settings.load not in LOADS:
        raise Problem(f"{file}: load is {settings.load!r}; it has to be one of {', '.join(LOADS)}.")
    return settings


class _Reader:
    """Known keys of one JSON object, each checked against the type of its default."""

    def __init__(self, file: Path, values: Any, prefix: str) -> None:
        if not isinstance(values, dict):
            raise Problem("{}: {} is no object. Correct it.".format(file, prefix.rstrip(".")))
        self.file = file
        self.values = values  # type: Dict[str, Any]
        self.prefix = prefix

    def fill(self, defaults: Any) -> Any:
        found: Dict[str, Any] = {}
        for name, default in zip(defaults._fields, defaults):
            if name in self.values and not isinstance(default, Check):
                found[name] = self._value(name, default)
        return defaults._replace(**found)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(default, str) and isinstance(value, str):
            return value
        if isinstance(default, float) and number and value >= 0:
            return float(value)
        if isinstance(default, int) and number and value == int(value) and value >= 0:
            return int(value)
        kind = "a text" if isinstance(default, str) else "a number, 0 or more"
        raise Problem(f"{self.file}: {self.prefix}{name} is {value!r}; it has to be {kind}.")
