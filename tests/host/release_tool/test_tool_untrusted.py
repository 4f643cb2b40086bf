"""What the application's account can make, and what others wrote, is never believed: any bytes do no harm."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .fake_host import FakeHost, module

GOOD: dict[str, Any] = {
    "listen_queue": 1,
    "listen_queue_errors": 0,
    "pid": 12,
    "sockets": [{"name": "x", "queue": 2}],
    "workers": [
        {
            "id": 1,
            "pid": 13,
            "status": "busy",
            "requests": 5,
            "running_time": 2000000,
            "avg_rt": 1000,
            "cores": [{"id": 0, "in_request": 1}, {"id": 1, "in_request": 0}],
        }
    ],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
# Objects with the keys of the real ones, and anything as values.
NAMES = sorted({*GOOD, *GOOD["workers"][0], "in_request", "queue"})
LIKE_IT = st.recursive(
    JSON, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner) | st.lists(inner), max_leaves=30
)


def test_good_statistics() -> None:
    found = module("uwsgi_stats").parse(json.dumps(GOOD).encode())
    assert (found.queue, found.busy, len(found.workers)) == (2, 3, 1)
    worker = found.workers[0]
    assert (worker.pid, worker.status, worker.threads, worker.busy) == (13, "busy", 2, 1)
    assert (worker.running, worker.average) == (2.0, 0.001)


@settings(max_examples=300)
@given(st.binary() | LIKE_IT.map(lambda value: json.dumps(value).encode(errors="surrogatepass")))
def test_any_statistics(text: bytes) -> None:
    try:
        found = module("uwsgi_stats").parse(text)
    except ValueError:
        return
    for worker in found.workers:
        for value in worker[:2] + worker[3:9]:
            assert type(value) is int
            assert value >= 0
        assert re.fullmatch(r"\w{0,32}", worker.status)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"listen_queue": ' + b"9" * 10_000 + b"}",
        b'{"listen_queue": 1e999}',
        b'{"listen_queue": NaN}',
        b'{"listen_queue": -1}',
        b'{"listen_queue": true}',
        b'{"workers": [1]}',
        b'{"workers": [{"cores": [[]]}]}',
        b'{"workers": [{"pid": "../x"}]}',
        b"[]",
        b" " * (9 << 20),
        b"\xff\xfe",
        b"",
    ],
    ids=range(14),
)
def test_statistics_that_are_none(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever is wrong with it
        module("uwsgi_stats").parse(text)


@settings(max_examples=300)
@given(st.text(), st.booleans())
def test_any_procfile(text: str, names: bool) -> None:
    """It is understood, or one sentence says which line is not; units made from it have safe names."""
    text = f"web: app:app\n{text}: run\n" if names else text
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Procfile").write_bytes(text.encode(errors="surrogatepass"))
        try:
            found = module("procfile").read(Path(folder))
        except module("problem").Problem as problem:
            assert len(problem.text) < 1000  # noqa: PT017 -- one of two good ends
            return
    for name, command in module("procfile").commands(found).items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
        assert "\n" not in command
        assert "\0" not in command


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * 246 + ": run", "longer than 64 characters"),
        ("".join(f"p{number}: run\n" for number in range(101)), "more than 100 processes"),
        ("a: " + "x" * 70_000, "more than 64 KiB"),
        ("a: run\x0bb: other", "control character"),
        ("a: run\0", "control character"),
        ("a: run\u2028ExecStart=/bin/sh", "control character"),
        ("cron: ² * * * * run", "is no"),
        ("cron: ٣ * * * * run", "is not between"),
        ("cron: */99999999999999999999 * * * * run", "is no field"),
    ],
)
def test_procfile_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "Procfile").write_text(text)
    with pytest.raises(module("problem").Problem) as raised:
        module("procfile").read(tmp_path)
    assert words in raised.value.text
    assert len(raised.value.text) < 400


@settings(max_examples=300)
@given(st.text(alphabet="0123456789*/,-²٣ mon", max_size=30))
def test_any_time_of_cron(text: str) -> None:
    try:
        found = module("crontab").calendars(text)
    except ValueError:
        return
    for calendar in found:
        assert re.fullmatch(r"[A-Za-z0-9*,:\- ]+", calendar)


@settings(max_examples=300)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode(errors="surrogatepass")))
def test_any_release_facts(text: bytes) -> None:
    try:
        found = module("archive")._facts(Path("x.tar.gz"), text)
    except module("problem").Problem as problem:
        assert len(problem.text) < 1000  # noqa: PT017 -- one of two good ends
        return
    assert re.fullmatch("[0-9a-f]{6,64}", found["id"])


@settings(max_examples=300)
@given(st.text() | st.lists(st.text(), min_size=2, max_size=2).map(json.dumps) | JSON.map(json.dumps))
def test_any_static_folder(said: str) -> None:
    """What the import check prints is the application's."""
    found = module("static").told(f"hello\n{module('static').MARK}{said}\n")
    assert found is None or all(character.isprintable() for character in f"{found.folder}{found.address}")


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_answer(text: bytes) -> None:
    """What a slot answers is an HTTP answer, or none."""
    for answer in (text, b"HTTP/1.1 200 OK\r\n" + text):
        try:
            found = module("uwsgi")._parse(answer)
        except (ValueError, OSError):
            continue
        assert found.status >= 0
        module("uwsgi")._complete(answer)


def test_a_header_that_is_there_twice_stands_in_for_none() -> None:
    answer = module("uwsgi")._parse(
        b"HTTP/1.1 200 OK\r\nX-Flask-Release: old\r\nX-Flask-Release: new\r\n\r\n"
    )
    assert answer.headers["x-flask-release"] == "old, new"


# What is opened


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(target)
    link.symlink_to(target)
    with pytest.raises(ConnectionRefusedError):
        module("untrusted").pipe(link)
    (tmp_path / "file").write_text("as it was")
    with pytest.raises(ConnectionRefusedError):
        module("untrusted").pipe(tmp_path / "file")
    # Nobody reads from it.
    with pytest.raises(ConnectionRefusedError):
        module("untrusted").pipe(target)
    with pytest.raises(FileNotFoundError):
        module("untrusted").pipe(tmp_path / "nothing")
    assert (tmp_path / "file").read_text() == "as it was"


def test_only_a_socket_is_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        (tmp_path / "link").symlink_to(path)
        os.close(module("untrusted").socket(path))
        with pytest.raises(ConnectionRefusedError):
            module("untrusted").socket(tmp_path / "link")
    for make in (Path.mkdir, Path.touch, os.mkfifo):
        other = tmp_path / make.__name__
        make(other)
        with pytest.raises(ConnectionRefusedError):
            module("untrusted").socket(other)


def test_output_without_end_is_kept_at_its_end_only() -> None:
    process = module("process")
    ran = process.run(["/bin/sh", "-c", "yes | head -c 8000000; echo end"])
    assert ran.code == 0
    assert len(ran.output) <= process.OUTPUT_LIMIT
    assert ran.last(1) == "end"


def test_what_a_program_left_running_is_not_waited_for() -> None:
    ran = module("process").run(["/bin/sh", "-c", "setsid sleep 30 & echo done"], timeout=20)
    assert (ran.code, ran.output) == (0, "done\n")


# After the switch


FAILING = """
import sys
sys.path.insert(0, sys.argv[2].rpartition("/")[0])
name, function = sys.argv[1].split(".")
module = __import__("flask_release." + name, fromlist=[name])
def fail(*arguments, **named):
    raise OSError(28, "No space left on device")
setattr(module, function, fail)
from flask_release import cli
sys.exit(cli.main(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    "place",
    [
        "releases.mark_served",
        "memory.spare",
        "drain.retire",
        "processes._wanted",
        "prune.prune",
        "standby.sleep",
        "record.append",
    ],
)
def test_nothing_after_the_switch_fails_a_release(host: FakeHost, place: str) -> None:
    host.release(host.archive("one"))
    two = host.archive("two")
    host.flags, flags = (*host.flags, "-c", FAILING, place), host.flags
    ran = host.release(two)
    host.flags = flags
    if place != "record.append":
        assert ran.code == 0, ran.err
        assert "warning: " in ran.err
    assert "Traceback" not in ran.err
    assert host.visit() == (200, "hello from two")
    # The next run makes good what was not done, whatever it was.
    ran = host.run("prune")
    assert ran.code == 0, ran.err
    assert host.running() == {host.live()[0]}  # type: ignore[index]
    assert host.run("rollback").code == 0
    assert host.visit() == (200, "hello from one")


def test_a_record_that_cannot_move_takes_the_traffic_back(host: FakeHost) -> None:
    host.release(host.archive("one"))
    two = host.archive("two")
    host.flags, flags = (*host.flags, "-c", FAILING, "slots.commit"), host.flags
    ran = host.release(two)
    host.flags = flags
    assert ran.code == 1
    assert host.visit() == (200, "hello from one")


@pytest.mark.parametrize("place", ["repair.repair", "lock.held", "files.write", "configure.take_back"])
def test_the_boot_starts_what_is_live_before_all_else(host: FakeHost, place: str) -> None:
    host.release(host.archive("one"))
    slot, _ = host.live() or ("", "")
    host.stop_all()
    (host.root / f"fake/units/flask-app@{slot}.service").unlink()
    (host.root / "run/flask/current.sock").unlink()
    host.flags, flags = (*host.flags, "-c", FAILING, place), host.flags
    ran = host.run("boot")
    host.flags = flags
    assert "Traceback" not in ran.err
    assert host.running() == {slot}
    assert host.traffic() == slot


def test_an_unreadable_host_json_keeps_no_slot_from_its_boot(host: FakeHost) -> None:
    host.release(host.archive("one"))
    host.stop_all()
    (host.root / "fake/units/flask-app@a.service").unlink()
    (host.root / "etc/flask/host.json").write_text("{")
    ran = host.run("boot")
    assert ran.code == 1
    # The slot itself reads it, and says so until it is written anew; it is systemd's to try again.
    assert "systemctl start --no-block flask-app@a.service" in host.calls()


def test_a_fault_of_the_tool_is_one_line(host: FakeHost) -> None:
    host.flags = (*host.flags, "-c", FAILING.replace("OSError(28", "KeyError(28"), "status.status")
    ran = host.run("status")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "This is a fault of flask-release" in ran.err
