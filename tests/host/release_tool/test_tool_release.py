"""From an archive to what serves, and what stands in the way."""

from __future__ import annotations

import itertools
import json
import stat
from typing import Any

from .fake_host import FACTORY, FakeHost, free_pair


def test_first_release_serves(host: FakeHost) -> None:
    ran = host.release(host.archive("one"), env={"GREETING": "hi"}, author="Ann", commit="c0ffee")
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from one")
    assert host.live() == ("a", ran.result["release"])
    assert host.traffic() == "a"
    assert ran.result["changed"] is True
    assert ran.result["previous"] is None


def test_second_release_takes_the_other_slot_and_stops_the_first(host: FakeHost) -> None:
    first = host.release(host.archive("one")).result["release"]
    ran = host.release(host.archive("two"))
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from two")
    assert host.live() == ("b", ran.result["release"])
    assert ran.result["previous"] == first
    assert host.running() == {"b"}


def test_same_archive_and_environment_is_nothing_to_do(host: FakeHost) -> None:
    archive = host.archive("one")
    first = host.release(archive, env={"A": "1"})
    pid = host.pid("a")
    ran = host.release(archive, env={"A": "1"})
    assert ran.result == {"release": first.result["release"], "slot": "a", "changed": False}
    assert "nothing to do" in ran.err
    assert host.pid("a") == pid


def test_changed_environment_is_a_release_of_its_own(host: FakeHost) -> None:
    archive = host.archive("one")
    first = host.release(archive, env={"A": "1"}).result["release"]
    second = host.release(archive, env={"A": "2"}).result["release"]
    assert first.split("-")[0] == second.split("-")[0]
    assert host.live() == ("b", second)
    assert host.started_with("b")["environment"]["A"] == "2"
    assert host.release(archive, env={"A": "1"}).result["release"] == first


def test_nothing_on_stdin_keeps_the_live_environment(host: FakeHost) -> None:
    host.release(host.archive("one"), env={"A": "kept"})
    ran = host.run("release", str(host.archive("two")))
    assert ran.code == 0, ran.err
    assert host.started_with("b")["environment"]["A"] == "kept"


def test_dead_live_slot_is_replaced_by_the_same_release(host: FakeHost) -> None:
    archive = host.archive("one")
    first = host.release(archive).result["release"]
    host.stop_all()
    ran = host.release(archive)
    assert ran.code == 0, ran.err
    assert host.live() == ("b", first)
    assert host.visit()[0] == 200


def test_slot_runs_with_the_release_and_a_clean_environment(host: FakeHost) -> None:
    archive = host.archive("one", module="site_app", callable="app")
    host.env["STRAY"] = "of the operator's shell"
    release = host.release(archive, env={"NAME": 'it\'s "quoted"\nand two lines'}).result["release"]
    started = host.started_with("a")
    arguments, environment = started["arguments"], started["environment"]
    code = f"{host.root}/srv/flask/releases/{release}/app"
    venv = (host.root / "srv/flask/releases" / release / "venv").resolve()
    given = dict(itertools.pairwise(arguments))
    assert arguments[0] == f"{venv}/bin/uwsgi"
    assert given["--ini"] == f"{host.root}/etc/flask/uwsgi/slot.ini"
    assert given["--socket"] == f"{host.root}/run/flask/a/app.sock"
    assert "--chmod-socket=660" in arguments
    assert given["--master-fifo"] == f"{host.root}/run/flask/a/fifo"
    assert given["--stats"] == f"{host.root}/run/flask/a/stats.sock"
    assert (given["--chdir"], given["--pythonpath"]) == (code, code)
    assert (given["--module"], given["--callable"]) == ("site_app", "app")
    assert (given["--virtualenv"], given["--binary-path"]) == (str(venv), f"{venv}/bin/python")
    assert given["--add-header"] == f"X-Flask-Release: {release}"
    assert environment["NAME"] == 'it\'s "quoted"\nand two lines'
    assert (environment["FLASK_RELEASE"], environment["FLASK_SLOT"]) == (release, "a")
    assert environment["PATH"].startswith(f"{venv}/bin:")
    assert not {"STRAY", "INVOCATION_ID"} & set(environment)


def test_secret_values_are_in_one_closed_file_only(host: FakeHost) -> None:
    ran = host.release(host.archive("one"), env={"TOKEN": "s3cr3t-value"})
    found = [
        path for path in host.root.rglob("*")
        if path.is_file() and not path.is_relative_to(host.root / "fake") and b"s3cr3t-value" in path.read_bytes()
    ]  # fmt: skip
    file = host.root / f"etc/flask/env/{ran.result['release']}.env"
    assert found == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE((host.root / "etc/flask/release.key").stat().st_mode) == 0o600
    assert "s3cr3t-value" not in ran.out + ran.err


def test_release_on_disk_is_closed_and_not_writable(host: FakeHost) -> None:
    files = {"app/templates/page.html": "<p>", "app/instance/local.db": "data"}
    release = host.release(host.archive("one", files=files)).result["release"]
    folder = host.root / "srv/flask/releases" / release
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert (folder / "app/templates/page.html").read_text() == "<p>"
    for path in folder.rglob("*"):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0, path
    # Data of the application is not in the release: it outlives it.
    assert (folder / "app/instance").readlink() == host.root / "srv/flask/shared/instance"
    assert not (folder / "app/instance/local.db").exists()
    assert json.loads((folder / "release.json").read_text())["release"] == release


def test_factory_and_python_path(host: FakeHost) -> None:
    package = FACTORY % "create_app"
    archive = host.archive(
        "one",
        files={"app/src/made/__init__.py": package},
        module="made",
        callable="create_app()",
        pythonpath="src",
    )
    ran = host.release(archive)
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "made")
    link = host.root / "srv/flask/releases" / ran.result["release"] / "app/src/instance"
    assert link.readlink() == host.root / "srv/flask/shared/instance"


def test_one_environment_for_releases_with_the_same_requirements(host: FakeHost) -> None:
    host.release(host.archive("one"))
    host.forget_calls()
    host.release(host.archive("two"))
    assert [call for call in host.calls() if call.startswith(("venv", "pip"))] == []
    host.release(host.archive("three", requirements="flask==3.1.2 --hash=sha256:00\n"))
    assert len(list((host.root / "srv/flask/venvs").iterdir())) == 2


def test_hashes_are_required_when_there_are_some(host: FakeHost) -> None:
    host.release(host.archive("one"))
    assert any("--require-hashes" in call and "-r" in call for call in host.calls())
    host.forget_calls()
    ran = host.release(host.archive("two", requirements="flask\n"))
    assert ran.code == 0
    assert not any("--require-hashes" in call for call in host.calls())
    assert "not pinned by hash" in ran.err


def test_log_tells_who_what_and_how_long(host: FakeHost) -> None:
    one = host.release(host.archive("one"), author="Ann", commit="c0ffee").result["release"]
    host.release(host.archive("two", "raise SystemError('no')"))
    first, second = host.log()
    assert (first["action"], first["release"], first["outcome"]) == ("release", one, "live")
    assert first["who"] == "operator from 203.0.113.7"
    assert (first["author"], first["commit"]) == ("Ann", "c0ffee")
    assert first["seconds"] > 0
    assert (second["outcome"], second["previous"]) == ("failed", one)


def test_log_tells_what_the_archive_says_of_its_making(host: FakeHost) -> None:
    """As a stack releases: with nothing but the variables on stdin."""
    made: dict[str, Any] = {"author": "Ann", "commit": "c0ffee012345+"}
    host.run("configure", str(host.bundle("one", {})))
    one = host.release(host.archive("one", **made)).result["release"]
    host.release(host.archive("two", "raise SystemError('no')", author="Bo", commit="badbad"))
    host.run("configure", str(host.bundle("two", {"etc/flask/uwsgi/slot.ini": "[uwsgi]\nprocesses = 3\n"})))
    host.release(host.archive("three", author="Cy", commit="33"))
    host.run("rollback")
    origins = [(line["action"], line["outcome"], line["author"], line["commit"]) for line in host.log()]
    assert origins == [
        ("release", "live", "Ann", "c0ffee012345+"),
        ("release", "failed", "Bo", "badbad"),
        ("restart", "live", "Ann", "c0ffee012345+"),
        ("release", "live", "Cy", "33"),
        ("rollback", "live", "Ann", "c0ffee012345+"),
    ]
    listed = {row["id"]: row for row in json.loads(host.run("releases", "--json").out)}
    assert (listed[one]["author"], listed[one]["commit"]) == ("Ann", "c0ffee012345+")


def test_tcp_slots_take_neighbouring_ports(host: FakeHost) -> None:
    port = free_pair()
    host.configure(socket=f"127.0.0.1:{port}")
    upstream = f"upstream flask {{\n    server 127.0.0.1:{port} fail_timeout=0;\n}}\n"
    host.run("configure", str(host.bundle("one", {"etc/nginx/flask/upstream.conf.default": upstream})))
    assert host.release(host.archive("one")).code == 0
    assert host.visit() == (200, "hello from one")
    ran = host.release(host.archive("two"))
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from two")
    assert f"server 127.0.0.1:{port + 1} fail_timeout=0;" in host.read("etc/nginx/flask/upstream.conf")
    # Once for the first upstream file, once for the switch.
    assert host.calls().count("systemctl reload nginx.service") == 2
