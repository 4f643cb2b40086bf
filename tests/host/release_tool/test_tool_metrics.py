"""`metrics`: the text that Prometheus reads, by a reader that is as strict."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .fake_host import FakeHost, module, until

STATUS = (
    "Active connections: 12 \nserver accepts handled requests\n 110 109 2340 \n"
    "Reading: 1 Writing: 4 Waiting: 7 \n"
)  # fmt: skip
CORE = {"in_request": 0, "vars": ["HTTP_COOKIE=session=hunter2"]}
STATS = {
    "listen_queue": 0,
    "listen_queue_errors": 2,
    "pid": 0,
    "sockets": [{"name": "127.0.0.1:8080", "queue": 5, "max_queue": 1024}],
    "workers": [
        {"id": 1, "pid": 0, "requests": 40, "exceptions": 3, "harakiri_count": 1, "respawn_count": 2, "tx": 900,
         "status": "busy", "running_time": 2500000, "avg_rt": 62500, "cores": [CORE, {**CORE, "in_request": 1}]},
        {"id": 2, "pid": 0, "requests": 60, "exceptions": 0, "harakiri_count": 0, "respawn_count": 1, "tx": 100,
         "status": "idle", "running_time": 0, "avg_rt": 0, "cores": [CORE, CORE]},
    ],
}  # fmt: skip

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


def parse(text: str) -> dict[str, float]:
    """Samples by name and labels, of a text that keeps to the format in every point."""
    assert text.endswith("\n")
    samples: dict[str, float] = {}
    helped: list[str] = []
    family = ""
    for line in text.splitlines():
        if heading := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            assert heading[1] not in helped, "a family stands in one place"
            helped.append(heading[1])
        elif kind := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
            family = kind[1]
            assert family == helped[-1], "its type follows its meaning"
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == family, "its samples follow its type"
            key = sample[1] + (sample[2] or "")
            assert key not in samples, line
            samples[key] = float(sample[3])
    assert {re.sub(r"\{.*", "", key) for key in samples} == set(helped), "no family is empty"
    return samples


@contextlib.contextmanager
def nginx(host: FakeHost) -> Iterator[None]:
    """Something that answers as nginx's listener for checks does."""

    class Status(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/nginx_status" else 404)
            self.end_headers()
            self.wfile.write(STATUS.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        host.configure(verify_address=f"127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def stats(path: Path, content: object) -> Iterator[None]:
    """A stats socket."""

    class Stats(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(json.dumps(content).encode())

    with socketserver.ThreadingUnixStreamServer(str(path), Stats) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_every_number_is_where_dashboards_look_for_it(host: FakeHost) -> None:
    with nginx(host), stats(host.root / "run/flask/b/stats.sock", STATS):
        ran = host.run("metrics")
    assert ran.code == 0, ran.err
    found = parse(ran.out)
    expected = {
        "nginx_up": 1,
        "nginx_connections_active": 12,
        "nginx_connections_accepted": 110,
        "nginx_connections_handled": 109,
        "nginx_http_requests_total": 2340,
        "nginx_connections_reading": 1,
        "nginx_connections_writing": 4,
        "nginx_connections_waiting": 7,
        'uwsgi_up{slot="a"}': 0,
        'uwsgi_up{slot="b"}': 1,
        'uwsgi_listen_queue_length{slot="b"}': 5,
        'uwsgi_listen_queue_errors{slot="b"}': 2,
        'uwsgi_workers{slot="b"}': 2,
        'uwsgi_worker_busy{slot="b",worker_id="1"}': 1,
        'uwsgi_worker_busy{slot="b",worker_id="2"}': 0,
        'uwsgi_worker_threads_busy{slot="b",worker_id="1"}': 1,
        'uwsgi_worker_threads{slot="b",worker_id="2"}': 2,
        'uwsgi_worker_requests_total{slot="b",worker_id="2"}': 60,
        'uwsgi_worker_exceptions_total{slot="b",worker_id="1"}': 3,
        'uwsgi_worker_harakiri_count_total{slot="b",worker_id="1"}': 1,
        'uwsgi_worker_respawn_count_total{slot="b",worker_id="1"}': 2,
        'uwsgi_worker_running_time_seconds_total{slot="b",worker_id="1"}': 2.5,
        'uwsgi_worker_average_response_time_seconds{slot="b",worker_id="1"}': 0.0625,
        'uwsgi_worker_transmitted_bytes_total{slot="b",worker_id="1"}': 900,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not [name for name in found if "release" in name], "there is none yet"
    # What uWSGI tells of the requests it has in hand holds cookies.
    assert "hunter2" not in ran.out


def test_a_host_on_which_nothing_runs_says_so(host: FakeHost) -> None:
    host.configure(verify_address="127.0.0.1:9")
    found = parse(host.run("metrics").out)
    assert found == {"nginx_up": 0, 'uwsgi_up{slot="a"}': 0, 'uwsgi_up{slot="b"}': 0}


def test_the_release_that_serves_whatever_its_commit_is_called(host: FakeHost) -> None:
    ran = host.release(host.archive("one"), commit='3f2a "quoted" \\ and\nbroken')
    assert ran.code == 0, ran.err
    found = parse(host.run("metrics").out)
    labels = f'commit="3f2a \\"quoted\\" \\\\ and\\nbroken",release="{ran.result["release"]}",slot="a"'
    assert found[f"flask_release_info{{{labels}}}"] == 1
    state = json.loads(host.read(f"srv/flask/releases/{ran.result['release']}/state.json"))
    assert found["flask_release_served_timestamp_seconds"] == pytest.approx(state["served"])
    assert found['uwsgi_up{slot="a"}'] == 1


def test_connections_that_wait_on_a_unix_socket_are_counted(host: FakeHost) -> None:
    """By the kernel: uWSGI says 0 of them."""
    path = str(host.root / "run/flask/b/app.sock")
    with contextlib.ExitStack() as stack:
        slot = stack.enter_context(socket.socket(socket.AF_UNIX))
        slot.bind(path)
        slot.listen(16)
        for _ in range(3):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        stack.enter_context(stats(host.root / "run/flask/b/stats.sock", {**STATS, "sockets": [{"queue": 0}]}))
        assert parse(host.run("metrics").out)['uwsgi_listen_queue_length{slot="b"}'] == 3


def test_they_are_served_on_a_port(host: FakeHost) -> None:
    port = free_port()
    served = host.start("metrics", "--listen", f"127.0.0.1:{port}")
    try:
        until(lambda: not closed(port))
        assert ask(port, "/metrics")[:2] == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'uwsgi_up{slot="a"}' in parse(ask(port, "/metrics")[2])
        assert ask(port, "/etc/passwd")[0] == 404
        second = host.run("metrics", "--listen", f"127.0.0.1:{port}")
        assert second.code == 1
        assert f"127.0.0.1:{port} cannot be listened on" in second.err
    finally:
        served.terminate()
        served.communicate(timeout=10)


def test_configure_serves_them_by_the_new_tool(host: FakeHost) -> None:
    unit = "etc/systemd/system/flask-metrics.service"
    files = {unit: "[Service]\n[Install]\nWantedBy=multi-user.target\n"}
    assert host.run("configure", str(host.bundle("one", files))).code == 0
    assert (host.root / "fake/enabled/flask-metrics.service").exists()
    host.forget_calls()
    assert host.run("configure", str(host.bundle("two", files))).code == 0
    assert "systemctl restart flask-metrics.service" not in host.calls()
    host.run("configure", str(host.bundle("three", {**files, "opt/flask/lib/flask_release/new.py": ""})))
    assert "systemctl restart flask-metrics.service" in host.calls()


@pytest.mark.parametrize("address", ["9117", "127.0.0.1", "127.0.0.1:http"])
def test_an_address_that_is_none(host: FakeHost, address: str) -> None:
    ran = host.run("metrics", "--listen", address)
    assert (ran.code, "give an address and a port" in ran.err) == (1, True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def closed(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def ask(port: int, path: str) -> tuple[int, str | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.getheader("Content-Type"), response.read().decode()
    connection.close()
    return answer


def test_the_rate_leaves_out_the_question_itself(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = module("counters")
    seen = iter([(0,) * 3 + (100,) + (0,) * 3, (0,) * 3 + (101,) + (0,) * 3])
    monkeypatch.setattr(counters, "nginx", lambda address: counters.Nginx(*next(seen)))
    assert counters.requests_a_second("", 0.01) == 0
