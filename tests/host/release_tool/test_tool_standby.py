"""The slot that was left sleeps, with a real uWSGI, and a rollback wakes it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from render.host_files import host_files
from tests.host.files.programs import program
from tests.host.files.variants import VARIANTS

from .fake_host import APPLICATION, FakeHost, module, until

# Takes the environment's place: there is no uWSGI in a stand-in's.
UWSGI = """#!{python} -ISB
import os, sys
words, given = [], sys.argv[1:]
while given:
    word = given.pop(0)
    if word in ("--virtualenv", "--binary-path"):
        given.pop(0)
    else:
        words.append(word)
os.execv({uwsgi!r}, [{uwsgi!r}, *words])
"""
WITH_A_THREAD = (
    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
)


@pytest.fixture
def two(host: FakeHost) -> tuple[FakeHost, str, str]:
    """A host with a release and one before it, under uWSGI."""
    real_uwsgi(host)
    one = host.release(host.archive("one"))
    assert one.code == 0, one.err
    ran = host.release(host.archive("two"))
    assert ran.code == 0, ran.err
    return host, one.result["release"], ran.result["release"]


def real_uwsgi(host: FakeHost) -> None:
    (host.root / "fake/uwsgi").write_text(UWSGI.format(python=sys.executable, uwsgi=program("uwsgi")))
    ini = host.root / "etc/flask/uwsgi/slot.ini"
    ini.parent.mkdir(parents=True)
    ini.write_bytes(host_files(VARIANTS["debian12-unix-address"])["etc/flask/uwsgi/slot.ini"].content)


def workers(host: FakeHost, slot: str) -> list[int]:
    stats = module("uwsgi_stats").read(host.root / f"run/flask/{slot}/stats.sock")
    return [worker.pid for worker in stats.workers if worker.pid]


def preference(pid: int) -> int:
    """Of being ended when memory runs out."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def state(host: FakeHost, slot: str) -> str:
    return str(json.loads(host.run("status", "--json").out)["slots"][slot]["state"])


def test_it_is_one_process_that_is_ended_before_others(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    master = host.pid("a")
    assert master
    assert not host.told("a")
    assert workers(host, "a") == []
    assert state(host, "a") == "asleep"
    assert preference(master) == 1000
    assert {preference(pid) for pid in workers(host, "b")} == {0}
    assert host.visit() == (200, "hello from two")


def test_a_rollback_wakes_it(two: tuple[FakeHost, str, str]) -> None:
    host, one, _ = two
    master, working = host.pid("a"), len(workers(host, "b"))
    host.forget_calls()
    ran = host.run("rollback")
    assert ran.code == 0, ran.err
    assert ran.result["release"] == one
    assert host.visit() == (200, "hello from one")
    assert host.pid("a") == master
    assert not [call for call in host.calls() if call.startswith("systemctl start")]
    assert len(workers(host, "a")) == working
    assert {preference(pid) for pid in workers(host, "a")} == {0}
    assert host.running() == {"a"}
    assert state(host, "a") == "active"


def test_the_next_release_takes_its_place(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    master = host.pid("a")
    ran = host.release(host.archive("three"))
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from three")
    assert host.pid("a") != master
    assert state(host, "b") == "asleep"


def test_the_next_run_lets_it_sleep(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    ran = host.release(host.archive("two"))
    assert "nothing to do" in ran.err
    assert workers(host, "a") == []
    assert not host.told("a")


def test_one_of_other_settings_is_started_anew(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    master = host.pid("a")
    with (host.root / "etc/flask/uwsgi/slot.ini").open("a") as ini:
        ini.write("; changed\n")
    ran = host.run("rollback")
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from one")
    assert host.pid("a") != master


def test_one_that_was_ended_is_started_anew(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    master = host.pid("a")
    assert master
    os.kill(master, signal.SIGKILL)
    until(lambda: host.pid("a") is None)
    ran = host.run("rollback")
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from one")


def test_after_a_rollback_the_release_that_was_left_does_not_sleep(two: tuple[FakeHost, str, str]) -> None:
    host, _, _ = two
    host.run("rollback")
    assert host.running() == {"a"}
    assert state(host, "b") == "inactive"


def test_an_application_with_threads_of_its_own_does_not_go_on_in_its_sleep(host: FakeHost) -> None:
    real_uwsgi(host)
    host.release(host.archive("one", WITH_A_THREAD + APPLICATION))
    ran = host.release(host.archive("two"))
    assert ran.code == 0, ran.err
    assert "slot a is stopped, not kept ready for a rollback: the application starts threads" in ran.err
    assert host.running() == {"b"}
