"""A release that works and is not wanted: undone, remembered as bad, brought back only when one insists."""

import json

from tests.e2e.deployment import STACK, Deployment


def served(deployment: Deployment) -> str:
    release: str = deployment.get("/healthz").json()["release"]
    return release


def states(deployment: Deployment) -> dict[str, str]:
    listed = deployment.ops("releases", STACK, "--json")
    assert listed.status == 0, listed.text
    return {row["id"]: row["state"] for row in json.loads(listed.text)}


def test_there_is_nothing_to_go_back_to_at_first(deployed: Deployment) -> None:
    release = served(deployed)
    run = deployed.ops("rollback", STACK)
    assert run.status == 1
    assert "no good release to go back to" in run.text
    assert served(deployed) == release


def test_a_rollback_serves_the_last_good_release_and_up_says_what_is_the_matter(deployed: Deployment) -> None:
    first = served(deployed)
    deployed.edit("app/templates/base.html", "<footer>", '<footer id="worse">')
    deployed.up()
    second = served(deployed)
    assert second != first
    rolled = deployed.ops("rollback", STACK)
    assert rolled.status == 0, rolled.text
    assert served(deployed) == first
    assert states(deployed) == {first: "live", second: "bad"}
    # The state still has the second release: a plan shows it, and up does not bring it back by itself.
    assert "-release" in deployed.ops("preview", STACK).text
    refused = deployed.ops("up", STACK)
    assert refused.status == 1
    assert "--force" in refused.text
    assert served(deployed) == first
    forced = deployed.ops("up", STACK, "--force")
    assert forced.status == 0, forced.text
    assert served(deployed) == second
    assert "no changes" in deployed.up().text


def test_a_release_is_chosen_by_its_id(deployed: Deployment) -> None:
    deployed.edit("app/templates/base.html", '<footer id="worse">', '<footer id="third">')
    deployed.up()
    first = min(states(deployed), key=lambda release: states(deployed)[release] == "live")
    run = deployed.ops("rollback", STACK, first[:9])
    assert run.status == 0, run.text
    assert served(deployed) == first


def test_another_edit_goes_on_from_there(deployed: Deployment) -> None:
    deployed.edit("app/templates/base.html", '<footer id="third">', '<footer id="fourth">')
    deployed.up()
    assert 'id="fourth"' in deployed.get("/").text
    assert "no changes" in deployed.up().text


def test_who_did_what_is_written_down(deployed: Deployment) -> None:
    lines = deployed.on_server("cat /var/log/flask/releases.jsonl").splitlines()
    actions = [json.loads(line)["action"] for line in lines]
    assert actions.count("rollback") >= 2
    assert all(json.loads(line)["who"].startswith("root") for line in lines)
