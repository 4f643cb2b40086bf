"""The host's files: laid down, taken up, and taken back."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .fake_host import UNIT, FakeHost, free_pair, module

SLOT_INI = "etc/flask/uwsgi/slot.ini"


def configured(host: FakeHost, name: str, files: dict[str, str] | None = None) -> list[str]:
    """Configure, and return the calls that it made."""
    host.forget_calls()
    ran = host.run("configure", str(host.bundle(name, files or {})))
    assert ran.code == 0, ran.err
    return host.calls()


def test_files_are_laid_down_and_taken_up(host: FakeHost) -> None:
    calls = configured(
        host,
        "one",
        {
            "etc/sysctl.d/60-flask.conf": "net.core.somaxconn = 4096\n",
            "etc/tmpfiles.d/flask.conf": "d /run/flask\n",
        },
    )
    assert host.read("etc/nginx/nginx.conf") == "events {}\n"
    assert stat.S_IMODE((host.root / SLOT_INI).stat().st_mode) == 0o640
    assert stat.S_IMODE((host.root / "etc/flask").stat().st_mode) == 0o750
    assert stat.S_IMODE((host.root / "etc/nginx/nginx.conf").stat().st_mode) == 0o644
    # What nginx's configuration names has to be there before nginx reads it.
    order = [
        "systemctl daemon-reload",
        f"sysctl -q -p {host.root}/etc/sysctl.d/60-flask.conf",
        f"systemd-tmpfiles --create {host.root}/etc/tmpfiles.d/flask.conf",
        "nginx -t -q",
        "systemctl start nginx.service",
    ]
    assert [call for call in calls if call in order] == order
    assert {path.name for path in (host.root / "fake/enabled").iterdir()} == {
        "nginx.service",
        "flask-boot.service",
    }


NAMED = {"etc/nginx/flask/site.conf": "# server_name __SERVER_ADDRESS__;\n"}


def test_the_hosts_address_is_put_where_files_wait_for_it(host: FakeHost) -> None:
    host.configure(check={"host": "__SERVER_ADDRESS__", "interval": 0.01})
    ran = host.run("configure", "--address", "203.0.113.7", str(host.bundle("one", NAMED)))
    assert ran.code == 0, ran.err
    assert host.read("etc/nginx/flask/site.conf") == "# server_name 203.0.113.7;\n"
    assert json.loads(host.read("etc/flask/host.json"))["check"]["host"] == "203.0.113.7"


def test_another_address_is_taken_up(host: FakeHost) -> None:
    assert host.run("configure", "--address", "203.0.113.7", str(host.bundle("one", NAMED))).code == 0
    host.forget_calls()
    assert host.run("configure", "--address", "203.0.113.8", str(host.bundle("two", NAMED))).code == 0
    assert host.read("etc/nginx/flask/site.conf") == "# server_name 203.0.113.8;\n"
    assert "systemctl reload nginx.service" in host.calls()


def test_a_bundle_that_waits_for_an_address_is_not_laid_down_without_one(host: FakeHost) -> None:
    ran = host.run("configure", str(host.bundle("one", NAMED)))
    assert ran.code == 1
    assert "--address" in ran.err
    assert not (host.root / "etc/nginx/flask/site.conf").exists()


@pytest.mark.parametrize("address", ["", "example.com", "1.2.3.4; include /etc/passwd"])
def test_what_is_no_address_is_refused(host: FakeHost, address: str) -> None:
    ran = host.run("configure", "--address", address, str(host.bundle("one", NAMED)))
    assert ran.code == 2
    assert "is no IPv4 address" in ran.err


def test_again_changes_nothing(host: FakeHost) -> None:
    configured(host, "one")
    calls = configured(host, "two")
    acting = ("daemon-reload", "start", "reload", "enable", "nginx -t", "sysctl")
    assert [call for call in calls if call.startswith(tuple(f"systemctl {word} " for word in acting))] == []
    assert "nginx -t -q" not in calls


def test_changed_nginx_file_is_tested_and_reloaded(host: FakeHost) -> None:
    configured(host, "one")
    calls = configured(host, "two", {"etc/nginx/nginx.conf": "events { }\n"})
    assert calls.index("nginx -t -q") < calls.index("systemctl reload nginx.service")
    assert "systemctl daemon-reload" not in calls


def test_changed_unit_of_nginx_waits_for_its_next_start_once_there_are_visitors(host: FakeHost) -> None:
    drop_in = "etc/systemd/system/nginx.service.d/flask.conf"
    configured(host, "one", {drop_in: "[Service]\nRestartSec=1\n"})
    calls = configured(host, "two", {drop_in: "[Service]\nRestartSec=2\n"})
    assert "systemctl restart nginx.service" in calls, "nobody is served yet"
    host.release(host.archive("good"))
    host.forget_calls()
    changed = {drop_in: "[Service]\nRestartSec=3\n", "etc/nginx/nginx.conf": "events { }\n"}
    ran = host.run("configure", str(host.bundle("three", changed)))
    assert ran.code == 0
    assert "systemctl restart nginx.service" not in host.calls()
    assert "systemctl reload nginx.service" in host.calls()
    assert "counts from its next start (`systemctl restart nginx`)" in ran.err


def test_file_that_left_the_bundle_is_removed(host: FakeHost) -> None:
    configured(host, "one", {"etc/nginx/flask/extra.conf": "# extra\n"})
    assert (host.root / "etc/nginx/flask/extra.conf").exists()
    (host.root / "etc/nginx/flask/own.conf").write_text("# the operator's\n")
    configured(host, "two")
    assert not (host.root / "etc/nginx/flask/extra.conf").exists()
    assert (host.root / "etc/nginx/flask/own.conf").exists()


def test_file_changed_by_hand_is_put_right(host: FakeHost) -> None:
    configured(host, "one")
    file = host.root / "etc/nginx/nginx.conf"
    file.write_text("events { worker_connections 1; }\n")
    file.chmod(0o600)
    configured(host, "one")
    assert file.read_text() == "events {}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_nginx_configuration_that_does_not_parse_is_taken_back(host: FakeHost) -> None:
    configured(host, "one", {"etc/nginx/flask/gone.conf": "# only in one\n"})
    before = snapshot(host.root / "etc")
    host.forget_calls()
    bad = {
        "etc/nginx/nginx.conf": "SYNTAX ERROR\n",
        "etc/nginx/flask/new.conf": "# new\n",
        SLOT_INI: "[uwsgi]\n",
    }
    ran = host.run("configure", str(host.bundle("two", bad)))
    assert ran.code == 1
    assert 'unknown directive "SYNTAX"' in ran.err
    assert "files are as they were before" in ran.err.strip().splitlines()[-1]
    assert snapshot(host.root / "etc") == before
    assert "systemctl reload nginx.service" not in host.calls()


PORT_TAKEN = "nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)\n"


def nginx_state(host: FakeHost) -> tuple[str, str]:
    """As systemd has it, and whether it starts at boot."""
    shown = subprocess.run(
        [host.root / "fake/bin/systemctl", "show", "nginx.service"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    enabled = (host.root / "fake/enabled/nginx.service").exists()
    return " ".join(
        line.partition("=")[2] for line in shown.splitlines()
    ), "enabled" if enabled else "disabled"


def test_nginx_that_cannot_start_on_a_new_host_stays_down(host: FakeHost) -> None:
    """systemd's next try, a second later, would find the distribution's files, and serve its welcome page."""
    host.fail("nginx-start", PORT_TAKEN)
    ran = host.run("configure", str(host.bundle("one", {})))
    assert ran.code == 1
    assert "Address already in use" in ran.err
    assert nginx_state(host) == ("inactive dead", "disabled")
    assert "systemctl reset-failed nginx.service" in host.calls()
    host.mend("nginx-start")
    configured(host, "one")
    assert nginx_state(host) == ("active running", "enabled")


def test_what_fails_after_nginx_started_on_a_new_host_stops_it_again(host: FakeHost) -> None:
    host.fail("systemctl-enable", "no room for a link\n")
    assert host.run("configure", str(host.bundle("one", {}))).code == 1
    assert nginx_state(host) == ("inactive dead", "disabled")


def test_configure_killed_on_a_new_host_leaves_nginx_down(host: FakeHost) -> None:
    subprocess.run([host.root / "fake/bin/systemctl", "start", "nginx.service"], check=True)
    real, bundle = module("host").Host(host.root), module("bundle")
    found = bundle.read(host.bundle("one", {}))
    group = host.settings["service_user"]
    bundle.install(real, found, bundle.compare(real, found, group), group)
    assert host.run("boot").code == 0
    assert nginx_state(host) == ("inactive dead", "disabled")


def test_nginx_that_was_stopped_by_hand_stays_so_when_configure_fails(host: FakeHost) -> None:
    configured(host, "one")
    subprocess.run([host.root / "fake/bin/systemctl", "stop", "nginx.service"], check=True)
    host.fail("nginx-start", PORT_TAKEN)
    assert host.run("configure", str(host.bundle("two", {}))).code == 1
    assert nginx_state(host) == ("inactive dead", "enabled")


def test_nginx_that_systemd_is_about_to_start_again_is_started_not_reloaded(host: FakeHost) -> None:
    configured(host, "one")
    host.fail("nginx-start", PORT_TAKEN)
    subprocess.run([host.root / "fake/bin/systemctl", "restart", "nginx.service"], check=False)
    assert nginx_state(host) == ("activating auto-restart", "enabled")
    host.mend("nginx-start")
    configured(host, "two", {"etc/nginx/nginx.conf": "events { }\n"})
    assert nginx_state(host) == ("active running", "enabled")


def test_changed_uwsgi_settings_are_taken_up_through_the_idle_slot(host: FakeHost) -> None:
    configured(host, "one")
    release = host.release(host.archive("good")).result["release"]
    configured(host, "two", {SLOT_INI: "[uwsgi]\nprocesses = 8\n"})
    assert host.live() == ("b", release)
    assert host.running() == {"b"}
    assert host.visit() == (200, "hello from good")
    assert host.log()[-1]["action"] == "restart"
    # Once only.
    configured(host, "three", {SLOT_INI: "[uwsgi]\nprocesses = 8\n"})
    assert host.live() == ("b", release)
    configured(
        host,
        "four",
        {SLOT_INI: "[uwsgi]\nprocesses = 8\n", "etc/systemd/system/flask-app@.service": UNIT + "#\n"},
    )
    assert host.live() == ("a", release)


def test_socket_changes_while_it_serves(host: FakeHost) -> None:
    configured(host, "one")
    assert host.release(host.archive("good")).code == 0
    stop = threading.Event()
    seen: list[tuple[int, str]] = []

    def visit() -> None:
        while not stop.is_set():
            seen.append(host.visit())

    port = free_pair()
    on_tcp = {
        "etc/nginx/flask/upstream.conf.default": f"upstream flask {{\n    server 127.0.0.1:{port};\n}}\n",
        "etc/flask/host.json": json.dumps({**host.settings, "socket": f"127.0.0.1:{port}"}),
    }
    with ThreadPoolExecutor(1) as visitors:
        visitors.submit(visit)
        configured(host, "two", on_tcp)
        tcp = host.started_with("b")["arguments"]
        configured(host, "three")
        stop.set()
    assert f"127.0.0.1:{port + 1}" in tcp
    assert set(seen) == {(200, "hello from good")}
    assert host.traffic() == "a"
    assert host.running() == {"a"}
    assert not (host.root / "etc/nginx/flask/upstream.conf").exists()


def test_uwsgi_settings_that_do_not_start_are_taken_back(host: FakeHost) -> None:
    configured(host, "one")
    release = host.release(host.archive("good")).result["release"]
    before = snapshot(host.root / "etc")
    host.configure(check={"status": 418, "interval": 0.01})
    host.settings, wanted = dict(host.settings), host.settings
    bundle = host.bundle(
        "two", {SLOT_INI: "[uwsgi]\nprocesses = 8\n", "etc/flask/host.json": json.dumps(wanted)}
    )
    ran = host.run("configure", str(bundle))
    assert ran.code == 1
    assert "status 200 instead of 418" in ran.err
    assert host.live() == ("a", release)
    assert host.running() == {"a"}
    assert snapshot(host.root / "etc")[SLOT_INI] == before[SLOT_INI]


def test_configure_that_was_killed_is_taken_back_first(host: FakeHost) -> None:
    configured(host, "one")
    host.fail("systemd-tmpfiles", "never reached")
    before = snapshot(host.root / "etc")
    # As a kill leaves it: files laid down, the old ones in the undo folder.
    real = module("host").Host(host.root)
    bundle = module("bundle")
    found = bundle.read(
        host.bundle("two", {"etc/nginx/nginx.conf": "SYNTAX ERROR\n", "etc/nginx/flask/new.conf": "x\n"})
    )
    bundle.install(
        real, found, bundle.compare(real, found, host.settings["service_user"]), host.settings["service_user"]
    )
    assert snapshot(host.root / "etc") != before
    ran = host.run("boot")
    assert ran.code == 0, ran.err
    assert snapshot(host.root / "etc") == before


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_bundle_that_is_none(host: FakeHost, what: str) -> None:
    folder = host.root / "bundle"
    if what == "empty":
        folder.mkdir()
    ran = host.run("configure", str(folder))
    assert ran.code == 1
    assert "holds no files" in ran.err


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of all files."""
    return {
        path.relative_to(folder.parent).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_many_files_are_counted_and_few_are_named(host: FakeHost) -> None:
    many = {f"etc/nginx/flask/{number}.conf": "" for number in range(20)}
    first = host.run("configure", str(host.bundle("one", many)))
    assert "wrote" not in first.err
    assert re.search(r"^(\d+) of \1 files changed$", first.err, re.MULTILINE)
    second = host.run("configure", str(host.bundle("two", {**many, "etc/nginx/flask/0.conf": "# changed\n"})))
    assert "wrote /etc/nginx/flask/0.conf\n1 of " in second.err
