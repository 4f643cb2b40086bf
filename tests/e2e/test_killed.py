"""A run that was killed, at any moment, is continued by the next one."""

import subprocess

from tests.e2e.deployment import Deployment


def test_an_up_killed_again_and_again_gets_there(deployment: Deployment) -> None:
    # In the program, while the instance is made, while it boots, while the application is installed.
    for seconds in (0.7, 2.5, 6.0, 14.0):
        deployment.up_and_kill(seconds)
    deployment.up()
    assert deployment.get("/healthz").status_code == 200
    assert "no changes" in deployment.up().text


def test_a_killed_release_is_done_by_the_next_run(deployment: Deployment) -> None:
    deployment.edit("app/templates/base.html", "<footer>", '<footer id="second">')
    deployment.up_and_kill(3.0)
    assert deployment.get("/healthz").status_code == 200
    deployment.up()
    assert 'id="second"' in deployment.get("/").text


def test_an_instance_that_was_taken_away_is_made_again(deployment: Deployment) -> None:
    (name,) = [line for line in deployment.leftovers() if line.startswith("flask-") and "-i-" in line]
    subprocess.run(["podman", "rm", "--force", "--time", "0", name], check=True, capture_output=True)
    deployment.up()
    assert deployment.get("/healthz").status_code == 200


def test_a_stopped_instance_is_started_and_serves_again(deployment: Deployment) -> None:
    (name,) = [line for line in deployment.leftovers() if line.startswith("flask-") and "-i-" in line]
    subprocess.run(["podman", "stop", "--time", "20", name], check=True, capture_output=True)
    deployment.up()
    assert deployment.get("/healthz").status_code == 200
