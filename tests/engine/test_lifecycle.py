"""A stack's life under Pulumi's own engine, typed as in the README: from a first `pulumi up` to nothing left."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox.cloud import Cloud, Place
from sandbox.packet_filter import Rule
from tests.engine.real import RealStack, another, build, real_stack

SECRET = "tell-nobody-of-the-lifecycle"
SECOND = "second"
LOGS = "journalctl --no-pager; cat /var/log/flask-bootstrap.log /var/log/flask/*.log /var/log/flask/*.jsonl"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    build()
    made = real_stack(tmp_path_factory.mktemp("lifecycle").resolve())
    made.configure(env={"NAME": "x"})
    yield made
    for one in (made, RealStack(made.folder, SECOND, made.environment)):
        if one.ids():
            one.destroy()
    assert made.leftovers() == []


@pytest.fixture(scope="module")
def deployed(stack: RealStack) -> RealStack:
    """The stack and a second one, made at the same time by a plain `pulumi up`, which plans first."""
    second = another(stack, SECOND)
    for one in (stack, second):
        assert one.pulumi("stack", "init", "--no-select").status == 0
    with ThreadPoolExecutor() as beside:
        for run in beside.map(lambda one: one.pulumi("up", "--yes"), (stack, second)):
            assert run.status == 0, run.text
            assert "+ 20 created" in run.text
    return stack


def release(stack: RealStack) -> str:
    return str(stack.get("/healthz").json()["release"])


def test_a_plain_up_serves_and_so_does_a_stack_beside_it(deployed: RealStack) -> None:
    second = RealStack(deployed.folder, SECOND, deployed.environment)
    assert deployed.output("url") != second.output("url")
    for one in (deployed, second):
        assert release(one) == one.output("release")
    assert not deployed.ids().keys() & second.ids().keys()


def test_nothing_changes_after_it(deployed: RealStack) -> None:
    again = deployed.pulumi("up", "--yes")
    assert again.status == 0, again.text
    assert "20 unchanged" in again.text
    refreshed = deployed.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert refreshed.status == 0, refreshed.text


def test_a_rule_made_by_hand_is_found_by_drift_and_by_no_plan(deployed: RealStack) -> None:
    place = Place(Path(deployed.environment["FLASK_SANDBOX"], "account"))
    cloud = Cloud(place, "cn-hangzhou")
    group = deployed.ids()["flask-on-ecs-real-group"]
    cloud.authorize(group, "sgr-by-hand", Rule("tcp", 22, 22, "0.0.0.0/0", "accept", 1))
    try:
        assert deployed.plan() == {}
        found = deployed.ops("drift", deployed.stack)
    finally:
        cloud.revoke(group, "sgr-by-hand")
    assert found.status == 1
    assert "no changes" in found.text
    assert "not the stack's: accept tcp 22/22 from 0.0.0.0/0" in found.text
    clean = deployed.ops("drift", deployed.stack)
    assert clean.status == 0, clean.text


def test_an_edited_application_and_a_changed_rule_take_effect(deployed: RealStack) -> None:
    before = deployed.ids()
    deployed.edit("app/templates/base.html", "<footer>", '<footer id="edited">')
    deployed.configure(webCidrs=["127.0.0.0/8"])
    up = deployed.pulumi("up", "--yes")
    assert up.status == 0, up.text
    assert 'id="edited"' in deployed.get("/").text
    assert before["flask-on-ecs-real-debian12"] == deployed.ids()["flask-on-ecs-real-debian12"]


def test_a_release_that_fails_says_why_and_the_old_one_serves_on(deployed: RealStack) -> None:
    before = release(deployed)
    with deployed.changed():
        deployed.edit(
            "app/app.py", "app = create_app()", "app = create_app()\nraise LookupError('not today')"
        )
        failed = deployed.ops("up", deployed.stack)
        assert failed.status == 1
        assert failed.text.count("LookupError: not today") == 1
        assert "1 failed" in failed.text
        assert release(deployed) == before
    assert deployed.up()
    assert release(deployed) == before
    assert deployed.plan() == {}


def test_a_rollback_shows_in_the_next_plan_and_up_does_not_undo_it_by_itself(deployed: RealStack) -> None:
    bad = release(deployed)
    assert deployed.ops("rollback", deployed.stack).status == 0
    good = release(deployed)
    assert good != bad
    # The operations of a replacement, of which the last is told.
    assert deployed.plan().keys() == {"flask-on-ecs-real-release"}
    refused = deployed.pulumi("up", "--yes")
    assert refused.status != 0
    assert "marked bad" in refused.text
    assert release(deployed) == good
    assert deployed.ops("up", deployed.stack, "--force").status == 0
    assert release(deployed) == bad
    assert deployed.plan() == {}


def test_a_replaced_server_serves_before_the_old_one_goes(deployed: RealStack) -> None:
    before, address = deployed.ids(), deployed.output("address")
    deployed.configure(pythonMirror="https://mirror.example/python")
    up = deployed.pulumi("up", "--yes")
    assert up.status == 0, up.text
    after = deployed.ids()
    changed = {name for name in before if before[name] != after[name]}
    ours = "flask-on-ecs-real-"
    assert {name.removeprefix(ours) for name in changed} == {
        "debian12", "ready", "host-files", "application", "configure", "release",
    }  # fmt: skip
    assert deployed.output("address") != address
    assert release(deployed) == deployed.output("release")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{address}/healthz", timeout=3)
    assert deployed.plan() == {}


def test_a_secret_is_in_no_state_event_or_log(deployed: RealStack, tmp_path: Path) -> None:
    assert deployed.ops("secret", deployed.stack, "TOKEN", stdin=SECRET).status == 0
    deployed.edit("app/app.py", '"status": "ok" if', '"token": os.environ["TOKEN"][::-1], "status": "ok" if')
    events = tmp_path / "events"
    # The flag that the Automation API reads a run by.
    debug = {"PULUMI_DEBUG_COMMANDS": "true"}
    up = deployed.pulumi(
        "up", "--yes", "--event-log", str(events), "--logtostderr", "-v=3", environment=debug
    )
    assert up.status == 0, up.text
    assert deployed.get("/healthz").json()["token"][::-1] == SECRET
    private = next(
        of["outputs"]["privateKeyOpenssh"]["plaintext"]
        for of in deployed.exported()["resources"]
        if of["urn"].endswith("-admin-key")
    )
    key = json.loads(private).splitlines()[1]
    texts = [up.text, events.read_text(), deployed.on_server(LOGS)]
    texts += [
        file.read_text(errors="replace")
        for file in Path(deployed.environment["PULUMI_BACKEND_URL"].removeprefix("file://")).rglob("*")
        if file.is_file()
    ]
    assert len(texts) > 4
    for text in texts:
        assert SECRET not in text
        assert key not in text


def test_destroy_leaves_nothing(deployed: RealStack) -> None:
    second = RealStack(deployed.folder, SECOND, deployed.environment)
    with ThreadPoolExecutor() as beside:
        for gone in beside.map(lambda one: one.pulumi("destroy", "--yes"), (deployed, second)):
            assert gone.status == 0, gone.text
            assert re.search(r"- 20 deleted", gone.text)
    assert deployed.ids() == {}
    assert deployed.leftovers() == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(deployed.environment["PULUMI_HOME"]) not in running
