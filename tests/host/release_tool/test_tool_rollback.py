"""Going back, what is kept to go back to, and what the tool tells about it."""

from __future__ import annotations

import json
import time

from .fake_host import FakeHost


def released(host: FakeHost, *names: str) -> list[str]:
    """Release some applications; their ids."""
    return [str(host.release(host.archive(name)).result["release"]) for name in names]


def test_a_clock_that_is_set_back_changes_no_order(host: FakeHost) -> None:
    first = host.release(host.archive("one")).result["release"]
    second = host.release(host.archive("two")).result["release"]
    # Both were served while the clock was a year ahead.
    for number, release in enumerate((first, second)):
        file = host.root / f"srv/flask/releases/{release}/state.json"
        file.write_text(json.dumps({"served": time.time() + 31536000 + number}))
    host.release(host.archive("three"))
    assert host.run("rollback").result["release"] == second
    assert host.run("rollback").result["release"] == first


def test_back_to_the_last_good_release(host: FakeHost) -> None:
    one, two = released(host, "one", "two")
    ran = host.run("rollback")
    assert ran.code == 0, ran.err
    assert (ran.result["release"], ran.result["previous"]) == (one, two)
    assert host.visit() == (200, "hello from one")
    assert host.live() == ("a", one)
    assert host.running() == {"a"}
    assert (host.log()[-1]["action"], host.log()[-1]["outcome"]) == ("rollback", "live")


def test_a_release_that_was_left_is_skipped(host: FakeHost) -> None:
    one, two, three = released(host, "one", "two", "three")
    assert host.run("rollback").result["release"] == two
    assert host.run("rollback").result["release"] == one
    ran = host.run("rollback")
    assert ran.code == 1
    assert "no good release to go back to; nothing was changed" in ran.err
    assert host.visit() == (200, "hello from one")
    states = {row["id"]: row["state"] for row in json.loads(host.run("releases", "--json").out)}
    assert states == {one: "live", two: "bad", three: "bad"}


def test_back_to_a_named_release(host: FakeHost) -> None:
    one, _two, _three = released(host, "one", "two", "three")
    assert host.run("rollback", one[:8]).result["release"] == one
    assert host.run("rollback", one).result == {"release": one, "slot": "b", "changed": False}
    ran = host.run("rollback", "ffffffffffff")
    assert ran.code == 1
    assert "No release on this host has an id that starts with 'ffffffffffff'" in ran.err


def test_a_bad_release_needs_force(host: FakeHost) -> None:
    one, two = released(host, "one", "two")
    host.run("rollback")
    archive = host.archive("two")
    ran = host.release(archive)
    assert ran.code == 3
    assert "was marked bad" in ran.err
    assert "--force" in ran.err
    assert host.run("rollback", two).code == 3
    assert host.live() == ("a", one)
    forced = host.release(archive, "--force")
    assert forced.code == 0, forced.err
    assert host.visit() == (200, "hello from two")
    # It served again: no longer bad.
    assert {row["state"] for row in json.loads(host.run("releases", "--json").out)} == {"live", "good"}


def test_a_release_that_never_served_is_not_gone_back_to(host: FakeHost) -> None:
    one, _two = released(host, "one", "two")
    assert (
        host.release(
            host.archive("three", "def app(e, start):\n    start('500 E', [])\n    return []\n")
        ).code
        == 1
    )
    assert host.run("rollback").result["release"] == one


def test_rollback_that_does_not_start_changes_nothing(host: FakeHost) -> None:
    one, two = released(host, "one", "two")
    file = host.root / "srv/flask/releases" / one / "app/site_app.py"
    file.write_text("def app(e, start):\n    start('500 E', [])\n    return []\n")
    ran = host.run("rollback")
    assert ran.code == 1
    assert "status 500" in ran.err
    assert host.live() == ("b", two)
    assert host.visit() == (200, "hello from two")
    assert host.release(host.archive("two")).result["changed"] is False


def test_old_releases_and_their_environments_are_removed(host: FakeHost) -> None:
    host.configure(keep_releases=3)
    names = ["one", "two", "three", "four"]
    ids = [
        host.release(host.archive(name, requirements=f"flask=={number} --hash=sha256:0\n")).result["release"]
        for number, name in enumerate(names)
    ]
    root = host.root
    assert {path.name for path in (root / "srv/flask/releases").iterdir()} == set(ids[1:])
    assert {path.stem for path in (root / "etc/flask/env").iterdir()} == set(ids[1:])
    used = {(root / "srv/flask/releases" / release / "venv").readlink().name for release in ids[1:]}
    assert {path.name for path in (root / "srv/flask/venvs").iterdir()} == used
    # The archive that the stack's state names is among the newest.
    assert len(list((root / "var/lib/flask/incoming").iterdir())) == 3


def test_live_and_last_good_release_are_never_removed(host: FakeHost) -> None:
    one, two, three = released(host, "one", "two", "three")
    host.run("rollback", one)
    host.configure(keep_releases=1)
    ran = host.run("prune")
    assert ran.result == {"removed": [three]}
    assert {path.name for path in (host.root / "srv/flask/releases").iterdir()} == {one, two}
    assert host.run("rollback").result["release"] == two


def test_environment_that_is_gone_is_built_again(host: FakeHost) -> None:
    one, _two = released(host, "one", "two")
    marker = (host.root / "srv/flask/releases" / one / "venv").resolve() / ".complete"
    marker.unlink()
    ran = host.run("rollback")
    assert ran.code == 0, ran.err
    assert marker.exists()


def test_listing(host: FakeHost) -> None:
    assert host.run("releases").out == "no releases\n"
    host.release(host.archive("one"), author="Ann", commit="c0ffee0123456789")
    (two,) = released(host, "two")
    header, first, second = host.run("releases").out.splitlines()
    assert header.split() == ["ID", "STATE", "AGE", "AUTHOR", "COMMIT"]
    assert first.split()[:2] == [two, "live"]
    assert second.split()[1] == "good"
    assert second.split()[-2:] == ["Ann", "c0ffee012345"]


def test_status(host: FakeHost) -> None:
    ran = host.run("status", "--json")
    assert ran.code == 0
    assert ran.result["live"] is None
    host.run("configure", str(host.bundle("one", {})))
    (one,) = released(host, "one")
    ran = host.run("status", "--json")
    assert ran.code == 0
    state = ran.result
    assert state["live"] == {"slot": "a", "release": one, "answers": "good"}
    assert (state["traffic"], state["nginx"], state["lock"]) == ("a", "active", None)
    assert state["slots"]["a"]["state"] == "active"
    assert state["last"][0]["release"] == one
    assert f"{one}  slot a, answers: good" in host.run("status").out
    host.stop_all()
    ran = host.run("status")
    assert ran.code == 1
    assert "refused" in ran.out
