"""nginx and uWSGI run from the files of a host, moved to a folder and to ports of their own.

What is moved is only where things are: each absolute path of ours, the three addresses, the account. No value that
says how something works is touched.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from render.host_files import HostSettings
from tests.host.files.programs import program
from tests.host.files.variants import write
from tests.host.release_tool.fake_host import install_standin, module
from tests.unit.certificates import authority, certificate

PATIENCE = 30.0
# Ours; what the distribution's nginx brings (mime.types, modules) is read where it is.
OWN_PLACES = (
    "/etc/nginx/flask/",
    "/etc/flask/tls/",
    "/run/flask/",
    "/run/nginx.pid",
    "/var/log/flask/",
    "/var/cache/flask",
    "/usr/share/flask/",
    "/srv/flask",
)
TEMPORARY = ("client_body", "uwsgi", "proxy", "fastcgi", "scgi")


@dataclass(frozen=True)
class Host:
    """A host's files below `root`, with the ports that they were moved to."""

    root: Path
    settings: HostSettings
    public: int
    loopback: int
    slot: int
    secure: int

    @property
    def nginx_conf(self) -> Path:
        return self.root / "etc/nginx/nginx.conf"

    @property
    def access_log(self) -> Path:
        return self.root / "var/log/flask/access.log"

    @property
    def error_log(self) -> Path:
        return self.root / "var/log/flask/error.log"

    @property
    def socket(self) -> str:
        """Where slot a listens."""
        return (
            str(self.root / "run/flask/a/app.sock")
            if self.settings.socket == "unix"
            else f"127.0.0.1:{self.slot}"
        )

    @property
    def stats(self) -> Path:
        return self.root / "run/flask/a/stats.sock"


@contextlib.contextmanager
def host(settings: HostSettings) -> Iterator[Host]:
    """Render, move, and remove in the end. The path is short: a unix socket's may have 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="host-"))
    try:
        made = Host(root, settings, *free_ports(4))
        write(settings, root)
        for folder in ("run/flask/a", "run/flask/b", "var/log/flask", "var/cache", "srv/flask", "tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        if settings.tls != "none":
            _certify(made)
        for file in (root / "etc/nginx").rglob("*.*"):
            if file.is_file():
                file.write_text(_moved(made, file.read_text()))
        yield made
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def nginx(made: Host) -> Iterator[None]:
    """nginx in the foreground, until it answers, and stopped in the end."""
    command = [program("nginx"), "-c", str(made.nginx_conf), "-g", "daemon off;"]
    with _started(made, "nginx", [*_scheduled(made, "nginx.service.d/flask.conf"), *command]) as process:
        _until(process, lambda: _listens(made.public) and _listens(made.loopback), made, "nginx")
        yield


@contextlib.contextmanager
def uwsgi(
    made: Host, application: str, *options: str, release: str = "r1"
) -> Iterator[subprocess.Popen[bytes]]:
    """Slot a's uWSGI with the Python text `application` as its module, and as the target of nginx."""
    code = made.root / "code"
    code.mkdir(exist_ok=True)
    (code / "application.py").write_text(application)
    command = [
        program("uwsgi"),
        *("--ini", str(made.root / "etc/flask/uwsgi/slot.ini")),
        *sizes(made),
        *("--socket", made.socket, "--stats", str(made.stats)),
        *("--chdir", str(code), "--pythonpath", str(code), "--module", "application", "--callable", "app"),
        *("--add-header", f"X-Flask-Release: {release}"),
        *options,
    ]
    with _started(made, "uwsgi", [*_scheduled(made, "flask-app@.service"), *command]) as process:
        # The statistics are served once the application is loaded and the workers are forked.
        _until(process, made.stats.exists, made, "uwsgi")
        point_to_slot(made)
        with _as_unit(made, "flask-app@a.service", process.pid):
            yield process


def sizes(made: Host) -> list[str]:
    """The options that the launcher of a slot adds for this machine, by the host's own settings."""
    settings = module("settings").load(module("host").Host(made.root))
    options: list[str] = module("sizing").options(settings)
    return options


@contextlib.contextmanager
def _as_unit(made: Host, unit: str, pid: int) -> Iterator[None]:
    """systemd's answers about a unit, for what the tool asks in this process or below it."""
    fake = made.root / "fake"
    (fake / "units").mkdir(parents=True, exist_ok=True)
    (fake / "fail").mkdir(exist_ok=True)
    (fake / "units" / unit).write_text(f"{pid}\n")
    install_standin("systemctl", fake / "systemctl", {"ROOT": made.root})
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{fake}:{path}"
    try:
        yield
    finally:
        os.environ["PATH"] = path


def _scheduled(made: Host, unit: str) -> list[str]:
    """What goes before a command so that the kernel schedules it as systemd has it for a unit."""
    text = (made.root / "etc/systemd/system" / unit).read_text()
    batch = re.search(r"^CPUSchedulingPolicy=batch$", text, re.MULTILINE)
    return ["chrt", "--batch", "0"] if batch else []


def _certify(made: Host) -> None:
    """What flask-certificate does, with a certificate of the tests' own authority (root/ca.pem)."""
    ca = authority()
    site = certificate(made.settings.server_names[0], signed_by=ca)
    live = made.root / "etc/flask/tls/live"
    live.mkdir(parents=True)
    (made.root / "ca.pem").write_text(ca.pem)
    (live / "fullchain.pem").write_text(site.pem)
    (live / "privkey.pem").write_text(site.key)


def redirect(made: Host) -> None:
    """What flask-certificate does once browsers know the certificate; nginx is to be started, or reloaded, after it."""
    default = made.root / "etc/nginx/flask/certified.conf.default"
    default.with_suffix("").write_text(default.read_text())


def point_to_slot(made: Host) -> None:
    """What flask-release does when slot a goes live."""
    if made.settings.socket == "unix":
        link = made.root / "run/flask/current.sock"
        link.unlink(missing_ok=True)
        link.symlink_to("a/app.sock")
    else:
        default = made.root / "etc/nginx/flask/upstream.conf.default"
        default.with_suffix("").write_text(default.read_text())


def until(happened: Callable[[], bool], complaint: Callable[[], str] = lambda: "it did not happen") -> None:
    """Wait for something that takes its time, up to a limit that only a failure reaches."""
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            pytest.fail(complaint())
        time.sleep(0.02)


def output(made: Host, name: str) -> str:
    """What a program printed."""
    return (made.root / f"{name}.log").read_text(errors="replace")


def _moved(made: Host, text: str) -> str:
    for place in OWN_PLACES:
        text = text.replace(place, f"{made.root}{place}")
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    text = re.sub(r"^user \S+;", f"user {user} {group};", text, flags=re.MULTILINE)
    text = re.sub(r"\blisten 80\b", f"listen 127.0.0.1:{made.public}", text)
    text = re.sub(r"\blisten 443\b", f"listen 127.0.0.1:{made.secure}", text)
    text = re.sub(r"\blisten 127\.0\.0\.1:81\b", f"listen 127.0.0.1:{made.loopback}", text)
    text = re.sub(r"\bserver 127\.0\.0\.1:8080\b", f"server 127.0.0.1:{made.slot}", text)
    paths = "".join(f"    {kind}_temp_path {made.root}/tmp/{kind};\n" for kind in TEMPORARY)
    return re.sub(r"^http \{\n", f"http {{\n{paths}", text, flags=re.MULTILINE)


@contextlib.contextmanager
def _started(made: Host, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with (made.root / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until(process: subprocess.Popen[bytes], ready: Callable[[], bool], made: Host, name: str) -> None:
    until(
        lambda: ready() or process.poll() is not None, lambda: f"{name} did not start:\n{output(made, name)}"
    )
    if process.poll() is not None:
        pytest.fail(f"{name} ended:\n{output(made, name)}")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
