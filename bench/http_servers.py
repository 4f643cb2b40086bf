"""The servers that bench/http.py compares, each from its files in http_files/, on loopback ports of their own.

Of those files only places are changed: paths, ports, the account. The application, its packages and their versions,
Python and nginx are the same for all.
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
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from render.host_files import HostSettings
from tests.host.files import rig

FILES = Path(__file__).with_name("http_files")
MODULE = "measured"
# Newest when this was written; what it needs comes pinned as well, so that a later run measures the same.
GUNICORN = ("gunicorn==27.0.1", "packaging==26.3")
# The application's, in the versions of this Python's environment.
PACKAGES = ("flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "blinker", "click")

_PATIENCE = 30.0
_TEMPORARY = ("client_body", "uwsgi", "proxy", "fastcgi", "scgi")


@dataclass(frozen=True)
class Server:
    """One that answers on a loopback port. `sessions`: ids of the sessions that its processes are in."""

    port: int
    sessions: tuple[int, ...]

    def address(self, path: str) -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def memory(self) -> float:
        """MiB that its processes take: their own, and their part of what several share (PSS)."""
        return sum(map(_proportional_set, _processes_of(self.sessions))) / 1024

    def processor_time(self) -> float:
        """Seconds that its processes have computed, those included that have ended."""
        return sum(map(_processor_ticks, _processes_of(self.sessions))) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def blog(folder: Path, code: Path) -> Iterator[Server]:
    """What the blog post leaves on a server."""
    port, inner = rig.free_ports(2)
    places = {
        "127.0.0.1:8080": f"127.0.0.1:{inner}",
        "/srv/application": str(code),
        "listen       80;": f"listen 127.0.0.1:{port};",
    }
    ini = _laid_down(folder, "blog/uwsgi.ini", places)
    conf = _laid_down(folder, "blog/nginx.conf", places)
    with _started(folder, "uwsgi", [_uwsgi(), str(ini)], inner) as uwsgi, _nginx(folder, conf, port) as nginx:
        yield Server(port, (uwsgi, nginx))


@contextlib.contextmanager
def techempower(folder: Path, code: Path) -> Iterator[Server]:
    """TechEmpower's Flask entry: three processes a core, no threads, a unix socket, one worker of nginx."""
    (port,) = rig.free_ports(1)
    place = folder / "uwsgi.sock"
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    places = {
        "/var/tmp/uwsgi.sock": str(place),  # noqa: S108 -- the place that is left
        "listen 8080": f"listen 127.0.0.1:{port}",
        # uWSGI refuses to start with a longer queue than the kernel's limit. No run here fills the shorter one.
        "listen = 16384": f"listen = {min(16384, allowed)}",
    }
    ini = _laid_down(folder, "techempower/uwsgi.ini", places)
    conf = _laid_down(folder, "techempower/nginx.conf", places)
    processes = str(3 * (os.cpu_count() or 1))
    command = [_uwsgi(), "--ini", str(ini), "--processes", processes, "--wsgi", f"{MODULE}:app"]
    command += ["--pythonpath", str(code)]
    with _started(folder, "uwsgi", command, place) as uwsgi, _nginx(folder, conf, port) as nginx:
        yield Server(port, (uwsgi, nginx))


@contextlib.contextmanager
def gunicorn(folder: Path, code: Path, program: Path, threads: int) -> Iterator[Server]:
    """Gunicorn behind nginx as Flask's documentation has it, 2 x cores + 1 workers as its own advises.

    More than one thread makes its workers gthread ones.
    """
    port, inner = rig.free_ports(2)
    places = {"listen 80;": f"listen 127.0.0.1:{port};", "127.0.0.1:8000": f"127.0.0.1:{inner}"}
    conf = _laid_down(folder, "gunicorn/nginx.conf", places)
    workers = str(2 * (os.cpu_count() or 1) + 1)
    command = [str(program), "--bind", f"127.0.0.1:{inner}", "--workers", workers, "--threads", str(threads)]
    command += ["--chdir", str(code), f"{MODULE}:app"]
    with _started(folder, "gunicorn", command, inner) as gunicorns, _nginx(folder, conf, port) as nginx:
        yield Server(port, (gunicorns, nginx))


@contextlib.contextmanager
def ours(settings: HostSettings, code: Path) -> Iterator[Server]:
    """This project's: its rendered files, with one release."""
    with rig.host(settings) as made:
        _publish(made.root / "srv/flask", code)
        application = f"from {MODULE} import app\n"
        options = ("--pythonpath", str(code))
        with rig.uwsgi(made, application, *options) as uwsgi, rig.nginx(made):
            pid = made.root / "run/nginx.pid"
            # Written a moment after nginx listens.
            rig.until(lambda: bool(pid.read_text().strip()))
            yield Server(made.public, (uwsgi.pid, int(pid.read_text())))


def gunicorn_program(folder: Path) -> Path:
    """Install gunicorn with the application's packages into `folder`, and return its program."""
    pinned = [f"{name}=={metadata.version(name)}" for name in PACKAGES]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *GUNICORN, *pinned], check=True)
    return folder / "bin/gunicorn"


def _publish(place: Path, code: Path) -> None:
    """What the release tool leaves on a server for nginx: the static files of the release that serves."""
    public = place / "releases/r1/public"
    public.mkdir(parents=True)
    (public / "static").symlink_to(code / "static")
    (place / "slots").mkdir()
    (place / "slots/a").symlink_to("../releases/r1")
    (place / "serving").symlink_to("slots/a")


def _laid_down(folder: Path, name: str, places: Mapping[str, str]) -> Path:
    """Copy a file into the server's folder, with its places replaced."""
    text = (FILES / name).read_text(encoding="utf-8")
    for old, new in places.items():
        text = text.replace(old, new)
    if name.endswith("nginx.conf"):
        text = _nginx_moved(folder, text)
    made = folder / Path(name).name
    made.write_text(text, encoding="utf-8")
    return made


def _nginx_moved(folder: Path, text: str) -> str:
    account = f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};\n"
    text = re.sub(r"^user .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("/var/log/nginx/", f"{folder}/").replace("pid /run/nginx.pid;\n", "")
    text = text.replace("include flask/gzip.conf", f"include {folder.parent}/gzip.conf")
    text = re.sub(r"include +uwsgi_params", "include /etc/nginx/uwsgi_params", text)
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in _TEMPORARY)
    return account + f"pid {folder}/nginx.pid;\n" + text.replace("http {\n", "http {\n" + temporary, 1)


def _nginx(folder: Path, conf: Path, port: int) -> contextlib.AbstractContextManager[int]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not nginx:
        raise RuntimeError("nginx is missing: apt-get install nginx-light")
    return _started(folder, "nginx", [nginx, "-c", str(conf), "-g", "daemon off;"], port)


def _uwsgi() -> str:
    return str(Path(sys.executable).with_name("uwsgi"))


@contextlib.contextmanager
def _started(folder: Path, name: str, command: list[str], listens: int | Path) -> Iterator[int]:
    """Run a program in a session of its own, whose id this yields, until it listens; end all of it."""
    output = folder / f"{name}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + _PATIENCE
        while not _listens(listens):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start:\n{output.read_text(errors='replace')}")
            time.sleep(0.05)
        yield process.pid
    finally:
        # All of them understand SIGINT as "stop now", where uWSGI takes SIGTERM for "reload".
        for sign in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


def _listens(place: int | Path) -> bool:
    family = socket.AF_INET if isinstance(place, int) else socket.AF_UNIX
    with socket.socket(family) as client, contextlib.suppress(OSError):
        client.connect(("127.0.0.1", place) if isinstance(place, int) else str(place))
        return True
    return False


def _processes_of(sessions: tuple[int, ...]) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # State, parent, process group, session.
            if int(_state(stat)[3]) in sessions:
                found.append(int(stat.parent.name))
    return found


def _processor_ticks(process: int) -> int:
    with contextlib.suppress(OSError):
        # User and system time, its own and that of children which ended.
        return sum(map(int, _state(Path(f"/proc/{process}/stat"))[11:15]))
    return 0


def _state(stat: Path) -> list[str]:
    """The fields of /proc/<pid>/stat after the program's name, which may hold spaces and parentheses."""
    return stat.read_text().rpartition(")")[2].split()


def _proportional_set(process: int) -> int:
    """KiB."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
