"""A host for one test: a root folder, stand-ins for the system's programs, and a front in nginx's place."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[3]
TOOL = PROJECT / "host/flask_release"
STANDINS = Path(__file__).with_name("standins")
# As the tool's wrapper calls it; compiled modules are kept out of the project (Python 3.6 knows no such option and
# ignores it).
COMPILED = tempfile.TemporaryDirectory(prefix="fr-compiled-")
FLAGS = ("-I", "-S", "-X", f"pycache_prefix={COMPILED.name}")
ME = pwd.getpwuid(os.geteuid()).pw_name

UNIT = "[Service]\nExecStart=/opt/flask/bin/flask-slot %i\n"
UPSTREAM = "upstream flask {\n    server 127.0.0.1:8080 fail_timeout=0;\n}\n"

FACTORY = """
def %s():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"made"]
    return app
"""
APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from %s"]
"""


def module(name: str) -> Any:
    """A module of the tool, for what is better tested alone."""
    if str(TOOL.parent) not in sys.path:
        sys.path.insert(0, str(TOOL.parent))
    return importlib.import_module(f"flask_release.{name}")


def archive_id(text: str) -> str:
    """An id as the stack would make it."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Ran:
    """How a run of the tool ended; `code` is 255 when it ran on a server and the connection broke."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON on the last line of stdout."""
        value: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return value


@dataclass
class FakeHost:
    """See the module."""

    root: Path
    front: ThreadingHTTPServer
    python: str = sys.executable
    flags: tuple[str, ...] = FLAGS
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    # what the operator does

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run the tool to its end."""
        process = self.start(*arguments, stdin=stdin)
        out, err = process.communicate(timeout=60)
        return Ran(process.returncode, out, err)

    def start(self, *arguments: str, stdin: str = "") -> subprocess.Popen[str]:
        """Start the tool."""
        given = self.root / "fake/stdin"
        given.write_text(stdin, encoding="utf-8")
        with given.open() as file:
            return subprocess.Popen(
                [self.python, *self.flags, str(TOOL), "--root", str(self.root), *arguments],
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                env={
                    "PATH": f"{self.root}/fake/bin:/usr/bin:/bin",
                    "USER": "operator",
                    "SSH_CONNECTION": "203.0.113.7 50000 10.0.0.2 22",
                    **self.env,
                },
            )

    def configure(self, **settings: Any) -> None:
        """Change host.json."""
        self.settings.update(settings)
        file = self.root / "etc/flask/host.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.settings))

    def archive(
        self,
        name: str,
        application: str = APPLICATION,
        *,
        requirements: str = "flask==3.1.3 --hash=sha256:00\n",
        files: dict[str, str] | None = None,
        **facts: Any,
    ) -> Path:
        """A release archive; `%s` in the application becomes its name."""
        described = {
            "id": archive_id(name + application + requirements + str(files) + str(facts)),
            "module": "site_app",
            "callable": "app",
            "pythonpath": ".",
            "lock": archive_id(requirements),
            "hashed": "--hash" in requirements,
            **facts,
        }
        contents = {
            "app/site_app.py": application.replace("%s", name),
            "requirements.txt": requirements,
            "release.json": json.dumps(described),
            **(files or {}),
        }
        return pack(self.root / f"var/lib/flask/incoming/release-{described['id']}.tar.gz", contents)

    def release(self, path: Path, *options: str, env: dict[str, str] | None = None, **more: str) -> Ran:
        """Run `release`."""
        return self.run("release", str(path), *options, stdin=json.dumps({"env": env or {}, **more}))

    def bundle(self, name: str, files: dict[str, str]) -> Path:
        """An unpacked host bundle with what every host has, changed by `files`."""
        folder = self.root / f"var/lib/flask/host/{name}"
        contents = {
            "etc/flask/host.json": json.dumps(self.settings),
            "etc/flask/uwsgi/slot.ini": "[uwsgi]\nprocesses = 2\n",
            "etc/systemd/system/flask-app@.service": UNIT,
            "etc/systemd/system/flask-boot.service": "[Service]\n[Install]\nWantedBy=multi-user.target\n",
            "etc/nginx/nginx.conf": "events {}\n",
            "etc/nginx/flask/upstream.conf.default": UPSTREAM,
            "opt/flask/lib/flask_release/__init__.py": "",
            **files,
        }
        for path, text in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    # what a visitor sees

    def visit(self, path: str = "/") -> tuple[int, str]:
        """Status and body, through the front."""
        return through_front(self.root, path)[::2]

    # what is on the host

    def live(self) -> tuple[str, str] | None:
        """The live slot and its release, by the record."""
        record = self.root / "srv/flask/live"
        if not record.is_symlink():
            return None
        slot = record.readlink().name
        return slot, (self.root / "srv/flask/slots" / slot).readlink().name

    def traffic(self) -> str | None:
        """The slot that current.sock points to."""
        link = self.root / "run/flask/current.sock"
        return link.readlink().parts[0] if link.is_symlink() else None

    def running(self) -> set[str]:
        """Slots whose process is there, once those that were told to stop have stopped."""
        until(lambda: not [slot for slot in "ab" if self.pid(slot) and self.told(slot)])
        return {slot for slot in "ab" if self.pid(slot)}

    def told(self, slot: str) -> bool:
        """The slot was told to stop."""
        return "told" in (self.root / f"fake/units/flask-app@{slot}.service").read_text()

    def pid(self, slot: str) -> int | None:
        """The process of a slot."""
        try:
            pid = int((self.root / f"fake/units/flask-app@{slot}.service").read_text().split()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError, IndexError):
            return None
        return pid if state != "Z" else None

    def calls(self) -> list[str]:
        """Calls of stand-ins, in order."""
        file = self.root / "fake/calls"
        return file.read_text().splitlines() if file.exists() else []

    def forget_calls(self) -> None:
        """Start the list of calls anew."""
        (self.root / "fake/calls").write_text("")

    def fail(self, what: str, text: str) -> None:
        """Have a stand-in fail with a text."""
        (self.root / "fake/fail" / what).write_text(text)

    def mend(self, what: str) -> None:
        """Have it work again."""
        (self.root / "fake/fail" / what).unlink()

    def read(self, path: str) -> str:
        """A file's text."""
        return (self.root / path).read_text()

    def log(self) -> list[dict[str, Any]]:
        """Entries of releases.jsonl."""
        return [json.loads(line) for line in self.read("var/log/flask/releases.jsonl").splitlines()]

    def started_with(self, slot: str) -> dict[str, Any]:
        """Arguments and environment of the slot's uWSGI."""
        value: dict[str, Any] = json.loads(self.read(f"fake/uwsgi-{slot}.json"))
        return value

    def stop_all(self) -> None:
        """End the slots' processes."""
        for slot in "ab":
            pid = self.pid(slot)
            if pid:
                os.kill(pid, signal.SIGKILL)


def pack(path: Path, contents: dict[str, str], special: tarfile.TarInfo | None = None) -> Path:
    """A tar.gz of texts, and of one entry that is no plain file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
        if special:
            tar.addfile(special)
    return path


def free_pair() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for a condition of another process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.01)


def install_standin(name: str, place: Path, values: Mapping[str, object]) -> None:
    """Put a stand-in where it is to be found, with values for the @WORDS@ in it."""
    text = (STANDINS / name).read_text()
    for word, value in values.items():
        text = text.replace(f"@{word}@", str(value))
    place.write_text(text)
    place.chmod(0o755)


@contextlib.contextmanager
def fake_host(root: Path) -> Iterator[FakeHost]:
    """Make a host in a folder; its path has to be short, for the sockets."""
    for folder in ("bin", "fail", "journal", "units"):
        (root / "fake" / folder).mkdir(parents=True)
    for folder in ("run/flask/a", "run/flask/b", "srv/flask", "opt/flask/wheels", "var/log/flask"):
        (root / folder).mkdir(parents=True)
    for wheel in ("pyuwsgi-2.0.30-cp312-none-any.whl", "pip-99-py3-none-any.whl"):
        # An empty zip file: this "pip" is a stand-in and needs nothing unpacked.
        (root / "opt/flask/wheels" / wheel).write_bytes(b"PK\5\6" + bytes(18))
    values = {
        "ROOT": root,
        "PYTHON": sys.executable,
        "TOOL": TOOL,
        "TOOL_PYTHON": os.environ.get("RELEASE_TOOL_PYTHON", sys.executable),
        "COMPILED": COMPILED.name,
    }
    for name in (
        "systemctl",
        "nginx",
        "journalctl",
        "python",
        "uwsgi",
        "venv-python",
        "sysctl",
        "systemd-tmpfiles",
    ):
        place = root / "fake" / (f"bin/{name}" if name not in ("uwsgi", "venv-python", "python") else name)
        install_standin(name if (STANDINS / name).exists() else "recorded", place, values)
    front = ThreadingHTTPServer(("127.0.0.1", 0), front_of(root))
    front.daemon_threads = True
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    host = FakeHost(root, front)
    host.configure(
        service_user=ME,
        web_group=ME,
        build_user=ME,
        nginx_user=ME,
        python=str(root / "fake/python"),
        verify_address=f"127.0.0.1:{front.server_port}",
        watch_seconds=0,
        lock_seconds=0.2,
        drain_seconds=5,
        check={"attempts": 2, "interval": 0.01, "timeout": 10},
    )
    try:
        yield host
    finally:
        host.stop_all()
        front.shutdown()
        front.server_close()
        thread.join()
        shutil.rmtree(root, ignore_errors=True)


def front_of(root: Path) -> type[BaseHTTPRequestHandler]:
    """What nginx does: passes a request to the slot that it is told, and logs it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, text = through_front(root, self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def through_front(root: Path, path: str) -> tuple[int, dict[str, str], str]:
    """Ask the slot that has the traffic."""
    uwsgi = module("uwsgi")
    loaded = root / "fake/loaded-upstream"
    address: Any = os.path.realpath(root / "run/flask/current.sock")
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"server ([\d.]+):(\d+)", loaded.read_text())
        assert found
        address = (found[1], int(found[2]))
    try:
        answer = uwsgi.get(address, path, 10.0)
        status, headers, text = answer.status, answer.headers, answer.body.decode()
    except OSError as error:
        status, headers, text = 502, {}, str(error)
    line = json.dumps({"status": status, "release": headers.get("x-flask-release", "")})
    with (root / "var/log/flask/access.log").open("a") as log:
        log.write(line + "\n")
    return status, headers, text
