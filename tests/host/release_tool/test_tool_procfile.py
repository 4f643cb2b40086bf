"""Processes, timers and the release command of an application's Procfile."""

from __future__ import annotations

import subprocess

import pytest

from .fake_host import FACTORY, UNIT, FakeHost, module

SLOT_UNIT = UNIT.replace(
    "[Service]\n",
    "[Service]\nType=notify\nUser=flask\n# a comment\nKillMode=mixed\nSyslogIdentifier=flask-app-%i\nPrivateTmp=true\n"
    "SystemCallFilter=~a\nSystemCallFilter=~b\n",
)


def released(host: FakeHost, name: str, procfile: str) -> str:
    """Release an application with a Procfile; its id."""
    ran = host.release(host.archive(name, files={"app/Procfile": procfile} if procfile else None))
    assert ran.code == 0, ran.err
    return str(ran.result["release"])


def units(host: FakeHost) -> set[str]:
    return {path.name for path in (host.root / "etc/systemd/system").glob("flask-[wc]*")}


def test_workers_and_timers_become_units(host: FakeHost) -> None:
    host.run("configure", str(host.bundle("one", {"etc/systemd/system/flask-app@.service": SLOT_UNIT})))
    host.forget_calls()
    released(host, "one", "# what runs\nworker: python work.py\n\ncron: */20 3 * * mon-fri python tidy.py\n")
    assert units(host) == {"flask-worker-worker.service", "flask-cron-1.service", "flask-cron-1.timer"}
    worker = host.read("etc/systemd/system/flask-worker-worker.service").splitlines()
    assert "ExecStart=/opt/flask/bin/flask-release process worker" in worker
    assert "SyslogIdentifier=flask-worker-worker" in worker
    assert (
        "SyslogIdentifier=flask-cron-1" in host.read("etc/systemd/system/flask-cron-1.service").splitlines()
    )
    # The slot's limits and protection, without what makes it a slot.
    for line in (
        "User=flask",
        "KillMode=mixed",
        "PrivateTmp=true",
        "SystemCallFilter=~a",
        "SystemCallFilter=~b",
    ):
        assert line in worker
    assert not [line for line in worker if "%i" in line or line.startswith("Type=")]
    assert "OnCalendar=mon" not in worker
    timer = host.read("etc/systemd/system/flask-cron-1.timer")
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 03:00,20,40:00\n" in timer
    assert {"flask-worker-worker.service", "flask-cron-1.timer"} <= {
        path.name for path in (host.root / "fake/enabled").iterdir()
    }
    calls = host.calls()
    assert calls.index("systemctl daemon-reload") < calls.index(
        "systemctl restart --no-block flask-worker-worker.service"
    )
    assert "systemctl restart flask-cron-1.timer" in calls


def test_workers_restart_with_each_release_and_timers_do_not(host: FakeHost) -> None:
    procfile = "worker: python work.py\ncron: @daily python tidy.py\n"
    released(host, "one", procfile)
    host.forget_calls()
    released(host, "two", procfile)
    calls = host.calls()
    assert "systemctl restart --no-block flask-worker-worker.service" in calls
    assert "systemctl daemon-reload" not in calls
    assert not [call for call in calls if "restart flask-cron" in call]
    host.forget_calls()
    host.run("rollback")
    assert "systemctl restart --no-block flask-worker-worker.service" in host.calls()


def test_units_go_with_their_line(host: FakeHost) -> None:
    released(host, "one", "worker: python work.py\nclock: python clock.py\ncron: @daily a\ncron: @hourly b\n")
    released(host, "two", "clock: python clock.py\ncron: @hourly b\n")
    assert units(host) == {"flask-worker-clock.service", "flask-cron-1.service", "flask-cron-1.timer"}
    assert "systemctl stop flask-worker-worker.service" in host.calls()
    assert "systemctl stop flask-cron-2.timer" in host.calls()
    assert "OnCalendar=*-*-* *:00:00\n" in host.read("etc/systemd/system/flask-cron-1.timer")
    released(host, "three", "")
    assert units(host) == set()


def test_without_a_procfile_nothing_is_asked_of_systemd(host: FakeHost) -> None:
    released(host, "one", "")
    assert not [call for call in host.calls() if "daemon-reload" in call or "enable" in call]


def test_changed_protection_of_slots_reaches_the_workers(host: FakeHost) -> None:
    host.run("configure", str(host.bundle("one", {"etc/systemd/system/flask-app@.service": UNIT})))
    released(host, "one", "worker: python work.py\n")
    host.forget_calls()
    host.run("configure", str(host.bundle("two", {"etc/systemd/system/flask-app@.service": SLOT_UNIT})))
    assert "PrivateTmp=true" in host.read("etc/systemd/system/flask-worker-worker.service")
    assert "systemctl restart --no-block flask-worker-worker.service" in host.calls()


def test_process_runs_in_the_live_release(host: FakeHost) -> None:
    procfile = (
        "show: WORD=given python show.py $FLASK_PROCESS\nmany: echo one; echo two && env | grep ^FLASK_\n"
    )
    show = (
        "import os, site_app, sys\n"
        "print(os.getpid(), sys.argv[1:], os.getcwd(), os.environ['WORD'], os.environ['TOKEN'])\n"
    )
    archive = host.archive("one", files={"app/Procfile": procfile, "app/show.py": show})
    release = host.release(archive, env={"TOKEN": "of the user"}).result["release"]
    process = host.start("process", "show")
    out, err = process.communicate()
    # Its own process: systemd's SIGTERM reaches it, not a shell before it.
    assert out.split(" ", 1)[0] == str(process.pid), err
    assert f"['show'] {host.root}/srv/flask/releases/{release}/app given of the user" in out
    lines = host.run("process", "many").out.splitlines()
    assert lines[:2] == ["one", "two"]
    assert {
        "FLASK_APP=site_app:app",
        f"FLASK_RELEASE={release}",
        "FLASK_SLOT=a",
        "FLASK_PROCESS=many",
    } == set(lines[2:])
    ran = host.run("process", "other")
    assert ran.code == 1
    assert "has no other" in ran.err


def test_web_names_the_application(host: FakeHost) -> None:
    procfile = "web: gunicorn other:make() --workers 4\n"
    archive = host.archive("one", files={"app/other.py": FACTORY % "make", "app/Procfile": procfile})
    assert host.release(archive).code == 0
    assert host.visit() == (200, "made")


def test_release_command_runs_before_the_application_starts(host: FakeHost) -> None:
    out = host.root / "migrated"
    procfile = f"release: echo moving on; echo $FLASK_PROCESS $TOKEN $(pwd) >>{out}\n"
    release = host.release(host.archive("one", files={"app/Procfile": procfile}), env={"TOKEN": "known"})
    assert out.read_text().split() == [
        "release",
        "known",
        f"{host.root}/srv/flask/releases/{release.result['release']}/app",
    ]
    assert "  moving on" in release.err
    host.release(host.archive("two"))
    host.run("rollback")
    assert len(out.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("procfile", "words"),
    [
        ("release: echo half way; exit 3\n", ["half way", "release command ended with 3"]),
        ("web: python server.py\n", ["Line 1", "has to name one application as module:callable"]),
        ("worker\n", ["Line 1", "not of the form"]),
        ("worker: a\nworker: b\n", ["Line 2", "worker is there twice"]),
        ("cron: 61 * * * * a\n", ["Line 1", "'61' is not between 0 and 59"]),
        ("cron: * * * *\n", ["Line 1", "five fields"]),
        ("cron-1: a\n", ["Line 1", "a name that starts with cron-"]),
    ],
)
def test_procfile_that_cannot_be_followed_changes_nothing(
    host: FakeHost, procfile: str, words: list[str]
) -> None:
    released(host, "good", "worker: python work.py\n")
    before = units(host)
    ran = host.release(host.archive("bad", files={"app/Procfile": procfile}))
    assert ran.code == 1
    for word in words:
        assert word in ran.err
    assert host.visit() == (200, "hello from good")
    assert host.running() == {"a"}
    assert units(host) == before
    live = host.live()
    assert live
    assert [path.name for path in (host.root / "srv/flask/releases").iterdir()] == [live[1]]


@pytest.mark.parametrize(
    ("time", "calendars"),
    [
        ("* * * * *", ["*-*-* *:*:00"]),
        ("*/15 * * * *", ["*-*-* *:00,15,30,45:00"]),
        ("5/20 8-10 * * *", ["*-*-* 08,09,10:05,25,45:00"]),
        ("0 0 1 jan,7 *", ["*-01,07-01 00:00:00"]),
        ("30 6 * * 0,7", ["Sun *-*-* 06:30:00"]),
        ("30 6 * * mon-wed,6", ["Mon,Tue,Wed,Sat *-*-* 06:30:00"]),
        # Cron: on the 13th, and on Fridays.
        ("0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
    ],
)
def test_cron_times_in_systemds_words(time: str, calendars: list[str]) -> None:
    assert module("crontab").calendars(time) == calendars
    for calendar in calendars:
        subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)


@pytest.mark.parametrize(
    "time",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "1/ * * * *",
        "* * * *",
    ],
)
def test_times_that_are_none(time: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        module("crontab").calendars(time)
