"""`doctor`: on a host that is well, on one of which half is missing, and on one whose port somebody else took."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from typing import Any

import pytest

from .fake_host import FakeHost, module

MIB, GIB = 1 << 20, 1 << 30


def examine(host: FakeHost) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and the findings by name."""
    ran = host.run("doctor", "--json")
    assert ran.err == ""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for finding in ran.result["findings"]:
        assert finding["state"] in ("ok", "warn", "bad")
        assert bool(finding["do"]) == (finding["state"] != "ok"), finding
        assert "\n" not in finding["found"] + finding["do"]
        by_name.setdefault(finding["name"], []).append(finding)
    return ran.code, by_name


def prepared(host: FakeHost, **files: str) -> FakeHost:
    """A host with a release, as the bootstrap, configure and release leave it."""
    state = host.root / "var/lib/flask"
    state.mkdir(parents=True, exist_ok=True)
    (state / "ready").write_text(
        '{"os": "debian12", "uwsgi": "pyuwsgi-2.0.30-cp311-none-any.whl", "nginx": "1.22.1"}'
    )
    assert host.run("configure", str(host.bundle("one", files))).code == 0
    ran = host.release(host.archive("one"), env={"PASSWORD": "hunter2-long", "DEBUG": "1"})
    assert ran.code == 0, ran.err
    return host


def test_a_host_that_is_well(host: FakeHost) -> None:
    prepared(host)
    release = host.live()
    assert release
    code, found = examine(host)
    serving = {
        name: findings for name, findings in found.items() if name not in ("disk", "memory", "clock", "ssh")
    }
    assert {finding["state"] for findings in serving.values() for finding in findings} == {"ok"}, serving
    assert found["release"][0]["found"] == f"{release[1]} in slot a"
    assert "current.sock → a/app.sock" in found["traffic"][0]["found"]
    assert "uWSGI 2.0.30" in found["versions"][0]["found"]
    assert found["flask-app@a.service"][0]["found"] == "active, live"
    assert code == (
        1 if "bad" in {finding["state"] for findings in found.values() for finding in findings} else 0
    )


@pytest.mark.parametrize(
    "wheel", ["uWSGI-2.0.31-cp36-cp36m-linux_x86_64.whl", "uwsgi-2.0.31-cp36-cp36m-linux_x86_64.whl"]
)
def test_the_version_of_a_uwsgi_that_the_bootstrap_built(host: FakeHost, wheel: str) -> None:
    """As old and new versions of pip name the wheel."""
    (prepared(host).root / "var/lib/flask/ready").write_text(json.dumps({"os": "centos7", "uwsgi": wheel}))
    assert "uWSGI 2.0.31," in examine(host)[1]["versions"][0]["found"]


def test_a_bare_host_is_examined_too(host: FakeHost) -> None:
    (host.root / "etc/flask/host.json").unlink()
    code, found = examine(host)
    assert code == 1
    assert found["bootstrap"][0]["state"] == "bad"
    assert found["release"][0]["found"] == "none was released yet"
    assert {"disk", "memory", "versions", "at work"} <= set(found)


def test_why_the_bootstrap_failed(host: FakeHost) -> None:
    (host.root / "var/lib/flask").mkdir(parents=True)
    (host.root / "var/lib/flask/failed").write_text("packages: no archive answers\n")
    code, found = examine(host)
    assert (code, found["bootstrap"][0]["state"]) == (1, "bad")
    assert found["bootstrap"][0]["found"] == "packages: no archive answers"


def test_settings_that_cannot_be_read_hide_nothing_else(host: FakeHost) -> None:
    prepared(host)
    (host.root / "etc/flask/host.json").write_text("{")
    code, found = examine(host)
    assert code == 1
    assert "./ops up" in found["settings"][0]["do"]
    assert found["release"][0]["state"] == "ok"


def test_who_took_a_port_that_nginx_needs(host: FakeHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        prepared(
            host,
            **{"etc/nginx/flask/site.conf": f"server {{\n    listen 127.0.0.1:{port} default_server;\n}}\n"},
        )
        code, found = examine(host)
        finding = found[f"port {port}"][0]
        assert (code, finding["state"]) == (1, "bad")
        assert f"process {os.getpid()}" in finding["found"]
        assert "nginx needs it" in finding["found"]
    finding = examine(host)[1][f"port {port}"][0]
    assert finding["state"] == "bad"
    assert "nobody listens" in finding["found"]


def test_a_slot_that_died_and_a_site_that_does_not_answer(host: FakeHost) -> None:
    prepared(host)
    pid = host.pid("a")
    assert pid
    os.kill(pid, 9)
    while host.pid("a"):
        time.sleep(0.01)
    code, found = examine(host)
    assert code == 1
    assert found["flask-app@a.service"][0]["state"] == "bad"
    assert found["application"][0]["state"] == "bad"
    assert found["through nginx"][0]["state"] == "bad"
    assert found["nginx.service"][0]["state"] == "ok"


def test_traffic_that_goes_elsewhere(host: FakeHost) -> None:
    prepared(host)
    (host.root / "run/flask/current.sock").unlink()
    code, found = examine(host)
    assert (code, found["traffic"][0]["found"]) == (1, "goes nowhere")


def test_a_client_that_left_is_no_error_of_the_application(host: FakeHost) -> None:
    """In uWSGI's words, also those of one that was started before it was told to say nothing of it."""
    prepared(host)
    (host.root / "fake/journal/flask-app@a.service").write_text(
        "OSError: write error\n"
        "IOError: write error\n"
        "uwsgi_response_write_body_do(): Broken pipe [core/writer.c line 341] during GET /error (10.0.0.9)\n"
        "uwsgi_response_sendfile_do(): Connection reset by peer [core/writer.c line 645] during GET /error (10.0.0.9)\n"
        "SIGPIPE: writing to a closed pipe/socket/fd (probably the client disconnected) on request /error (ip x) !!!\n"
        "[uwsgi-body-read] Error reading 65536 bytes. Content-Length: 9 consumed: 0 left: 9"
        " message: Client closed connection\n"
    )
    _, found = examine(host)
    assert found["application's errors"][0]["found"] == "none in a day"
    (host.root / "fake/journal/flask-app@a.service").write_text(
        "OSError: [Errno 30] Read-only file system: 'x'\n"
    )
    _, found = examine(host)
    assert found["application's errors"][0]["found"].startswith("1 in a day")


def test_last_errors_without_what_is_secret_in_them(host: FakeHost) -> None:
    prepared(host)
    now = time.strftime("%Y/%m/%d %H:%M:%S")
    (host.root / "var/log/flask/error.log").write_text(
        "2020/01/01 00:00:00 [error] 1#1: long ago\n"
        f'{now} [error] 7#7: *1 connect() failed, request: "GET /reset?token=abcdef HTTP/1.1"\n'
    )
    (host.root / "fake/journal/flask-app@a.service").write_text(
        "starting\nsqlalchemy.exc.OperationalError: password hunter2-long refused\nserving\n"
    )
    ran = host.run("doctor")
    code, found = examine(host)
    assert found["nginx's errors"][0]["found"].startswith("1 in a day")
    assert found["nginx's errors"][0]["state"] == "warn"
    assert "OperationalError: password [secret] refused" in found["application's errors"][0]["found"]
    for text in (ran.out, json.dumps(found)):
        assert "abcdef" not in text
        assert "hunter2" not in text
        assert "long ago" not in text
    # A warning is no failure.
    assert code == ran.code == (1 if any(f["state"] == "bad" for fs in found.values() for f in fs) else 0)


def test_text_for_people_says_what_to_do(host: FakeHost) -> None:
    ran = host.run("doctor")
    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("bad   bootstrap"))
    assert lines[at + 1].strip().startswith("→ ")


def test_a_run_at_work_is_told_and_what_it_left_half_done(host: FakeHost) -> None:
    prepared(host)
    lock = host.root / "var/lib/flask/release.lock"
    owner = {"pid": 1, "who": "ada", "action": "release", "since": time.time() - 7200, "step": "environment"}
    lock.write_text(json.dumps(owner))
    held = subprocess.Popen(["flock", str(lock), "sleep", "60"], start_new_session=True)
    try:
        while module("lock").owner(module("host").Host(host.root)) is None:
            time.sleep(0.01)
        finding = examine(host)[1]["at work"][0]
        assert finding["state"] == "warn"
        assert "ada" in finding["found"]
    finally:
        os.killpg(held.pid, 9)
        held.wait()


def test_a_worker_and_a_timer_are_looked_at(host: FakeHost) -> None:
    prepared(host)
    ran = host.release(
        host.archive("two", files={"app/Procfile": "worker: python work.py\ncron: @daily python tidy.py\n"})
    )
    assert ran.code == 0, ran.err
    found = examine(host)[1]
    assert found["flask-worker-worker.service"][0]["state"] == "ok"
    assert found["flask-cron-1.timer"][0]["state"] == "ok"
    subprocess.run([host.root / "fake/bin/systemctl", "stop", "flask-cron-1.timer"], check=True)
    assert examine(host)[1]["flask-cron-1.timer"][0]["state"] == "bad"


@pytest.mark.parametrize(
    ("free", "size", "inodes_free", "inodes", "state"),
    [
        (20 * GIB, 40 * GIB, 900, 1000, "ok"),
        (20 * GIB, 40 * GIB, 0, 0, "ok"),
        (4 * GIB, 40 * GIB, 900, 1000, "warn"),
        (400 * MIB, 2 * GIB, 900, 1000, "warn"),
        (GIB, 40 * GIB, 900, 1000, "bad"),
        (20 * GIB, 40 * GIB, 10, 1000, "bad"),
    ],
)
def test_disks(free: int, size: int, inodes_free: int, inodes: int, state: str) -> None:
    assert module("doctor_machine").judge_disk("/", free, size, inodes_free, inodes).state == state


@pytest.mark.parametrize(
    ("sizes", "container", "state"),
    [
        ((4 * GIB, 2 * GIB, 0, 0), False, "ok"),
        ((4 * GIB, 300 * MIB, 0, 0), False, "warn"),
        ((4 * GIB, 100 * MIB, 0, 0), False, "bad"),
        ((4 * GIB, 100 * MIB, GIB, GIB), False, "warn"),
        ((4 * GIB, 2 * GIB, GIB, 100 * MIB), False, "warn"),
        ((GIB, 500 * MIB, 0, 0), False, "warn"),
        ((GIB, 500 * MIB, 0, 0), True, "ok"),
    ],
)
def test_memory(sizes: tuple[int, int, int, int], *, container: bool, state: str) -> None:
    """Sizes: total, available, swap, swap free."""
    found = module("meminfo").Memory(*sizes)
    assert module("doctor_machine").judge_memory(found, container).state == state


@pytest.mark.parametrize(
    ("told", "state", "word"),
    [
        ("System clock synchronized: yes\n              NTP service: active\n", "ok", "active"),
        ("System clock synchronized: no\n              NTP service: n/a\n", "warn", "n/a"),
        ("     NTP enabled: yes\nNTP synchronized: yes\n RTC in local TZ: no\n", "ok", "yes"),
        ("     NTP enabled: no\nNTP synchronized: no\n", "warn", "no"),
        ("", "warn", "unknown"),
    ],
)
def test_the_clock_in_old_and_new_words(told: str, state: str, word: str) -> None:
    finding = module("doctor_machine").judge_clock(told)
    assert finding.state == state
    assert word in finding.found


@pytest.mark.parametrize(("days", "state"), [(60, "ok"), (20, "warn"), (3, "bad"), (-1, "bad")])
def test_days_of_a_certificate(days: float, state: str) -> None:
    assert module("doctor_machine").judge_certificate(days, "www.example.com", "renew it").state == state


def test_a_certificate_is_read_where_nginx_reads_it(host: FakeHost) -> None:
    tls = host.root / "etc/flask/tls"
    (tls / "one").mkdir(parents=True)
    (tls / "live").symlink_to("one")
    (host.root / "etc/flask/tls.json").write_text(json.dumps({"mode": "own", "names": ["www.example.com"]}))
    assert "none yet" in examine(host)[1]["certificate"][0]["found"]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "12", "-subj", "/CN=x"),
            *("-keyout", tls / "one/privkey.pem", "-out", tls / "one/fullchain.pem"),
        ],
        check=True,
        capture_output=True,
    )
    finding = examine(host)[1]["certificate"][0]
    assert finding["state"] == "warn"
    assert finding["found"] in ("of www.example.com: 12 days left", "of www.example.com: 11 days left")
    assert "certificateKey" in finding["do"]


def test_whose_port_it_is() -> None:
    doctor, listening = module("doctor_ports"), module("listening")

    def judge(name: str, unit: str, owner: str) -> str:
        holder = listening.Holder(7, name, unit)
        state: str = doctor.judge_port(8080, owner, [listening.Listener("127.0.0.1", 8080, holder)]).state
        return state

    assert judge("nginx", "nginx.service", "nginx") == "ok"
    assert judge("httpd", "httpd.service", "nginx") == "bad"
    assert judge("uwsgi", "flask-app@a.service", "flask-app@a.service") == "ok"
    # The post's `uwsgi uwsgi.ini`, still there.
    assert judge("uwsgi", "session-3.scope", "flask-app@a.service") == "bad"
    assert judge("java", "", "flask-app@a.service") == "bad"
