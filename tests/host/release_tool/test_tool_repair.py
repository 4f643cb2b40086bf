"""Runs that are killed, two at once, and a host that boots: nothing half-made serves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .fake_host import FLAGS, TOOL, FakeHost, until

# Runs the tool, and kills it when it enters (or has left) a function for the n-th time.
KILLER = """
import importlib, os, signal, sys
place, when, count, tool, *arguments = sys.argv[1:]
sys.path.insert(0, os.path.dirname(tool))
from flask_release import cli
module_name, _, name = place.partition(".")
module = importlib.import_module("flask_release." + module_name)
holder = module
*path, name = name.split(".")
for part in path:
    holder = getattr(holder, part)
real, left = getattr(holder, name), [int(count)]
def killed(*given, **named):
    left[0] -= 1
    if when == "before" and left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*given, **named)
    if when == "after" and left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(holder, name, killed)
sys.exit(cli.main(arguments))
"""

# Where a release is killed, in the order of its way, and which release serves after the repair.
BEFORE_THE_RECORD = [
    ("archive.read", "after", 1),
    ("archive.unpack", "after", 1),
    ("releases.seal", "after", 1),
    ("venvs.build", "before", 1),
    ("pip.run", "after", 1),
    ("files.write_json", "after", 4),
    ("preflight.start_import", "after", 1),
    ("slots.occupy", "after", 1),
    ("gate.wait", "before", 1),
    ("gate.wait", "after", 1),
    ("preflight.Import.result", "after", 1),
    ("traffic.move", "after", 1),
    ("traffic.verify", "after", 1),
    ("watch.watch", "after", 1),
    ("slots.commit", "before", 1),
]
AFTER_THE_RECORD = [
    ("slots.commit", "after", 1),
    ("releases.mark_served", "after", 1),
    ("drain.retire", "before", 1),
    ("drain.wait_until_idle", "after", 1),
    ("prune.prune", "before", 1),
    ("prune.after_release", "after", 1),
]


def kill(host: FakeHost, place: str, when: str, count: int, *arguments: str, stdin: str = "") -> None:
    """Run the tool and have it killed there."""
    process = subprocess.run(
        [
            sys.executable,
            *FLAGS,
            "-c",
            KILLER,
            place,
            when,
            str(count),
            str(TOOL),
            "--root",
            str(host.root),
            *arguments,
        ],
        input=stdin,
        env={"PATH": f"{host.root}/fake/bin:/usr/bin:/bin", "USER": "operator"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def boot(host: FakeHost, command: str = "boot") -> None:
    """The host goes down hard and comes up: no process, an empty /run."""
    host.stop_all()
    shutil.rmtree(host.root / "fake/units")
    (host.root / "fake/units").mkdir()
    shutil.rmtree(host.root / "run/flask")
    (host.root / "run/flask").mkdir()
    ran = host.run(command)
    assert ran.code == 0, ran.err


def consistent(host: FakeHost) -> None:
    """One slot runs, is recorded and has the traffic; nothing unfinished is on disk."""
    live = host.live()
    assert live
    assert host.running() == {live[0]}
    assert host.traffic() == live[0]
    left = [path for path in host.root.rglob("*") if path.name.startswith((".part-", ".gone-"))]
    assert left == []


@pytest.mark.parametrize(("place", "when", "count"), BEFORE_THE_RECORD)
def test_killed_before_the_record(host: FakeHost, place: str, when: str, count: int) -> None:
    host.release(host.archive("good"))
    two = host.archive("two", requirements="flask==2 --hash=sha256:0\n")
    kill(host, place, when, count, "release", str(two), stdin='{"env": {}}')
    # Whatever serves between the kill and the repair, it answers.
    assert host.visit()[0] == 200
    # Another command repairs as well.
    assert host.run("prune").code == 0
    consistent(host)
    assert host.visit() == (200, "hello from good")
    assert host.log()[-1]["outcome"] == "interrupted"
    ran = host.release(two)
    assert ran.code == 0, ran.err
    consistent(host)
    assert host.visit() == (200, "hello from two")


@pytest.mark.parametrize(("place", "when", "count"), AFTER_THE_RECORD)
def test_killed_after_the_record(host: FakeHost, place: str, when: str, count: int) -> None:
    first = host.release(host.archive("good")).result["release"]
    two = host.archive("two")
    kill(host, place, when, count, "release", str(two), stdin='{"env": {}}')
    assert host.visit() == (200, "hello from two")
    ran = host.release(two)
    assert ran.code == 0, ran.err
    assert ran.result["changed"] is False
    consistent(host)
    # It counts as one that served: it can be left, and the one before it gone back to.
    assert host.run("rollback").result["release"] == first


@pytest.mark.parametrize(
    ("place", "serves"), [("gate.wait", "good"), ("traffic.verify", "good"), ("releases.mark_served", "two")]
)
def test_host_that_goes_down_in_the_middle(host: FakeHost, place: str, serves: str) -> None:
    host.release(host.archive("good"))
    kill(host, place, "after", 1, "release", str(host.archive("two")), stdin='{"env": {}}')
    boot(host)
    until(lambda: host.visit()[0] == 200)
    assert host.visit() == (200, f"hello from {serves}")
    consistent(host)


def test_first_release_killed_while_it_was_watched(host: FakeHost) -> None:
    one = host.archive("one")
    kill(host, "watch.watch", "after", 1, "release", str(one), stdin='{"env": {}}')
    assert host.release(one).code == 0
    consistent(host)


@pytest.mark.parametrize("place", ["gate.wait", "slots.commit", "releases.mark_served"])
def test_killed_rollback(host: FakeHost, place: str) -> None:
    one = host.release(host.archive("one")).result["release"]
    two = host.release(host.archive("two")).result["release"]
    kill(host, place, "after", 1, "rollback")
    assert host.run("prune").code == 0
    consistent(host)
    states = {row["id"]: row["state"] for row in json.loads(host.run("releases", "--json").out)}
    assert states == ({one: "good", two: "live"} if place == "gate.wait" else {one: "live", two: "bad"})


def test_boot_starts_what_is_live(host: FakeHost) -> None:
    host.release(host.archive("one"))
    host.release(host.archive("two"))
    boot(host)
    until(lambda: host.visit()[0] == 200)
    assert host.visit() == (200, "hello from two")
    consistent(host)


def test_boot_without_a_release(host: FakeHost) -> None:
    boot(host)
    assert (host.live(), host.traffic(), host.running()) == (None, None, set())


def test_boot_does_not_wait_for_a_running_release(host: FakeHost) -> None:
    (host.root / "fake/pip-hangs").touch()
    process = host.start("release", str(host.archive("one")), stdin="{}")
    until((host.root / "fake/pip-pid").exists)
    ran = host.run("boot")
    assert ran.code == 0
    assert "another run is at work" in ran.err
    process.terminate()
    process.wait()


def test_two_at_once(host: FakeHost) -> None:
    (host.root / "fake/pip-hangs").touch()
    process = host.start("release", str(host.archive("one")), stdin="{}")
    until((host.root / "fake/pip-pid").exists)
    ran = host.release(host.archive("two"))
    assert ran.code == 1
    assert f"held by process {process.pid} (operator from 203.0.113.7), release" in ran.err
    assert "at: environment" in ran.err
    assert "at work   process" in host.run("status").out
    (host.root / "fake/pip-hangs").unlink()
    host.configure(lock_seconds=20)
    waiting = host.start("release", str(host.archive("two")), stdin="{}")
    os.kill(int(host.read("fake/pip-pid")), signal.SIGKILL)
    assert process.wait() == 1
    _, err = waiting.communicate()
    assert waiting.returncode == 0, err
    assert host.visit() == (200, "hello from two")


def test_what_a_killed_run_started_dies_with_it(host: FakeHost) -> None:
    (host.root / "fake/pip-hangs").touch()
    process = host.start("release", str(host.archive("one")), stdin="{}")
    until((host.root / "fake/pip-pid").exists)
    pip = Path("/proc") / host.read("fake/pip-pid").strip()
    assert pip.exists()
    process.kill()
    process.wait()
    until(lambda: not pip.exists() or "Z" in (pip / "stat").read_text().rpartition(")")[2].split()[0])
    (host.root / "fake/pip-hangs").unlink()
    assert host.release(host.archive("one")).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_undoes(host: FakeHost, number: signal.Signals) -> None:
    host.release(host.archive("good"))
    host.configure(check={"timeout": 30})
    hanging = "import time\ndef app(e, start):\n    time.sleep(60)\n"
    process = host.start("release", str(host.archive("bad", hanging)), stdin="{}")
    until(lambda: host.running() == {"a", "b"})
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 1
    assert "what was not done was undone" in err
    consistent(host)
    assert host.visit() == (200, "hello from good")
    assert host.log()[-1]["outcome"] == "failed"


def test_dropped_connection_ends_no_release(host: FakeHost) -> None:
    process = host.start("release", str(host.archive("one")), stdin="{}")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stderr.close()
    until(lambda: host.running() == {"a"})
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0
    assert host.visit() == (200, "hello from one")


def test_traffic_on_a_slot_that_outlived_the_recorded_one(host: FakeHost) -> None:
    host.release(host.archive("good"))
    two = host.archive("two")
    kill(host, "traffic.verify", "after", 1, "release", str(two), stdin='{"env": {}}')
    pid = host.pid("a")
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: host.running() == {"b"})
    assert host.run("prune").code == 0
    consistent(host)
    assert host.visit() == (200, "hello from two")
