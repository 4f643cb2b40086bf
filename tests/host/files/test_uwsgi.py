"""uWSGI takes the rendered slot.ini, in strict mode, and does what it says there."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.programs import run
from tests.host.files.rig import Host
from tests.host.release_tool.fake_host import TOOL, module

# Otherwise a worker of less than a minute is left alone, and the master pauses between two that end at once.
IMPATIENT = ("--min-worker-lifetime=0", "--forkbomb-delay=0")
# Keeps a MiB of each request, up to 60.
LEAKING = """
kept = []

def app(environ, start_response):
    if len(kept) < 60:
        kept.append(b"x" * (1 << 20))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"leaking"]
"""
# What flask-metrics.service runs, on a machine with 45 MiB for each of four processes, and impatient.
LOOK = """
import sys
sys.path.insert(0, sys.argv[1])
from flask_release import cli, sizing, trim
sizing.SYSTEM, sizing.LEAST_BOUND, sizing.machine = 0, 45, lambda: sizing.Machine(4, 180)
trim.INTERVAL, trim.YOUNG = 0.2, 0.0
cli.main(["--root", sys.argv[2], "metrics", "--listen", "127.0.0.1:0"])
"""


def stats(host: Host) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(host.stats))
        received = b""
        while part := connection.recv(65536):
            received += part
    read: dict[str, Any] = json.loads(received)
    return read


def test_the_blog_posts_workers(served: Host) -> None:
    workers = stats(served)["workers"]
    assert len(workers) == 4
    assert [len(worker["cores"]) for worker in workers] == [2, 2, 2, 2]


def test_the_socket_takes_the_queue_that_was_asked_for(served: Host) -> None:
    assert stats(served)["listen_queue_errors"] == 0
    assert "listen backlog is limited to 1024" in rig.output(served, "uwsgi")


def test_sockets_are_closed_to_everyone_else(served: Host) -> None:
    sockets = [
        path for path in (served.root / "run/flask").rglob("*") if path.is_socket() and not path.is_symlink()
    ]
    assert sockets
    assert {path.stat().st_mode & 0o777 for path in sockets} == {0o660}


def test_a_misspelt_option_is_a_failed_start(host: Host) -> None:
    ini = host.root / "etc/flask/uwsgi/slot.ini"
    ini.write_text(ini.read_text().replace("harakiri =", "harakirri ="))
    started = run("uwsgi", "--ini", ini, "--socket", host.socket)
    assert started.returncode != 0
    assert "unknown config directive: harakirri" in started.stdout


def test_an_application_that_does_not_load_is_a_failed_start(host: Host) -> None:
    (host.root / "application.py").write_text("import no_such_module\n")
    options = ("--chdir", host.root, "--module", "application", "--callable", "app")
    started = run("uwsgi", "--ini", host.root / "etc/flask/uwsgi/slot.ini", "--socket", host.socket, *options)
    assert started.returncode == 22
    assert "No module named 'no_such_module'" in started.stdout


def test_sigterm_lets_a_running_request_finish(host: Host) -> None:
    answers: list[httpx.Response] = []
    with rig.uwsgi(host, APPLICATION) as process, rig.nginx(host):
        address = f"http://127.0.0.1:{host.public}/slow"
        asking = threading.Thread(target=lambda: answers.append(httpx.get(address, timeout=20)))
        asking.start()
        rig.until(lambda: any(core["in_request"] for core in _cores(host)))
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert process.wait(timeout=20) == 0
    assert [answer.status_code for answer in answers] == [200]
    # Nothing is left that the next start of the slot, or a check, could take for a running one.
    assert not [path for path in Path(host.root / "run/flask").rglob("*") if path.is_socket()]


def test_workers_that_end_by_their_number_of_requests_lose_none(host: Host) -> None:
    ini = host.root / "etc/flask/uwsgi/slot.ini"
    text = ini.read_text().replace("max-requests = 100000", "max-requests = 25")
    ini.write_text(text.replace("max-requests-delta = 5000", "max-requests-delta = 5"))
    with rig.uwsgi(host, APPLICATION, *IMPATIENT), rig.nginx(host):
        statuses = _statuses(host)
        respawned = sum(worker["respawn_count"] for worker in stats(host)["workers"])
    assert respawned > 8, "each of the four workers started once, and again"
    assert statuses == Counter({200: 400})


def test_workers_that_take_too_much_memory_are_replaced_and_lose_no_request(host: Host) -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(timeout=20) as client:
            while not ended.is_set():
                statuses.append(client.get(f"http://127.0.0.1:{host.public}/page").status_code)

    with rig.uwsgi(host, LEAKING, "--forkbomb-delay=0"), rig.nginx(host):
        first = {worker["pid"] for worker in stats(host)["workers"]}
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        looks_after_memory = subprocess.Popen([sys.executable, "-B", "-c", LOOK, TOOL.parent, host.root])
        try:
            rig.until(lambda: not first & {worker["pid"] for worker in stats(host)["workers"]})
        finally:
            looks_after_memory.terminate()
            looks_after_memory.wait()
            ended.set()
            for thread in threads:
                thread.join()
    assert set(statuses) == {200}


def test_memory_is_looked_after_while_the_port_of_the_metrics_is_taken(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """systemd starts the unit again every few seconds; each start is a look."""
    _share_out(monkeypatch, memory=4, young=0.0)
    refused = pytest.raises(module("problem").Problem, match="cannot be listened on")
    with rig.uwsgi(host, APPLICATION), socket.create_server(("127.0.0.1", 0)) as taken, refused:
        module("metrics").serve(module("host").Host(host.root), taken.getsockname())
    assert "is replaced" in capfd.readouterr().err


@pytest.mark.parametrize(
    "case",  # MiB of the machine, seconds that a worker is young, how many are told to end
    [(4, 0.0, 1), (4, 60.0, 0), (40000, 0.0, 0)],
    ids=["too large", "too large and just started", "within its share"],
)
def test_which_workers_are_replaced(
    host: Host,
    case: tuple[int, float, int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    memory, young, told = case
    _share_out(monkeypatch, memory, young)
    with rig.uwsgi(host, APPLICATION):
        module("trim").trim(module("host").Host(host.root))
    assert capfd.readouterr().err.count(f"of {memory // 4} MiB and is replaced") == told


def _share_out(monkeypatch: pytest.MonkeyPatch, memory: int, young: float) -> None:
    """The tool sees a machine with so many MiB, all of it for the application."""
    sizing = module("sizing")
    monkeypatch.setattr(sizing, "SYSTEM", 0)
    monkeypatch.setattr(sizing, "LEAST_BOUND", 1)
    monkeypatch.setattr(sizing, "machine", lambda: sizing.Machine(4, memory))
    monkeypatch.setattr(module("trim"), "YOUNG", young)


def _statuses(host: Host) -> Counter[int]:
    """Of 400 requests, eight at a time."""
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(timeout=20) as client:
            for _ in range(50):
                statuses.append(client.get(f"http://127.0.0.1:{host.public}/page").status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(statuses)


def _cores(host: Host) -> list[dict[str, Any]]:
    return [core for worker in stats(host)["workers"] for core in worker["cores"]]


# Each answer is larger than what a socket holds, so that uWSGI is still writing when its reader goes.
LEFT = """
import io, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/read":
        environ["wsgi.input"].read()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/failing":
        raise LookupError("of its own")
    if path == "/write":
        for _ in range(50):
            write(b"x" * 200000)
    if path == "/file":
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 10000000))
    if path == "/once":
        return [b"x" * 10000000]
    return (b"x" * 200000 for _ in range(50))
"""


def test_a_reader_who_left_is_no_error(host: Host) -> None:
    is_error = module("doctor_errors").is_error
    with rig.uwsgi(host, LEFT):
        for path in ("/stream", "/write", "/file", "/once"):
            with asking(host, path) as connection:
                assert connection.recv(100)
        with asking(host, "/read", length=100000):
            pass
        with asking(host, "/failing") as connection:
            while connection.recv(65536):
                pass
        rig.until(lambda: stats_of_requests(host) == 6, lambda: rig.output(host, "uwsgi"))
    lines = [line for line in rig.output(host, "uwsgi").splitlines() if is_error(line)]
    assert [line for line in lines if "LookupError" not in line] == ["Traceback (most recent call last):"]
    assert lines[-1] == "LookupError: of its own"


def asking(host: Host, path: str, length: int = 0) -> socket.socket:
    """A connection on which a slot was asked for `path`; of a body of `length` bytes, none is sent."""
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REQUEST_URI": path, "QUERY_STRING": ""}
    variables |= {
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(length),
    }
    block = b"".join(
        struct.pack("<H", len(part)) + part for pair in variables.items() for part in map(str.encode, pair)
    )
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(host.socket)
    connection.sendall(struct.pack("<BHB", 0, len(block), 0) + block)
    return connection


def stats_of_requests(host: Host) -> int:
    return sum(int(worker["requests"]) for worker in stats(host)["workers"])
