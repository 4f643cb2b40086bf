"""Real input that nobody here wrote: Flask's own tutorial application, with the blog post's own values for uWSGI."""

import json
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.e2e.deployment import STACK, Deployment

TUTORIAL = "examples/tutorial/"


@pytest.fixture(scope="module")
def tutorial(deployment: Deployment) -> Deployment:
    """A deployment of the tutorial as Flask's source distribution has it."""
    name = f"flask-{version('flask')}"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
            *("--dest", str(deployment.folder), name.replace("-", "==")),
        ],
        check=True,
        timeout=120,
    )
    with tarfile.open(deployment.folder / f"{name}.tar.gz") as source:
        for member in source.getmembers():
            if member.name.startswith(f"{name}/{TUTORIAL}"):
                source.extract(member, deployment.folder, filter="data")
    deployment.configure(
        appPath=f"{name}/{TUTORIAL}",
        module="flaskr",
        callable="create_app()",
        healthPath="/hello",
        healthBody="Hello, World!",
        socket="127.0.0.1:8080",
        processes=4,
        threads=2,
    )
    deployment.ops("secret", STACK, "SECRET_KEY", stdin="not the one of the tutorial")
    deployment.up()
    assert deployment.ops("run", STACK, "--", "flask", "init-db").status == 0
    return deployment


def test_one_registers_logs_in_and_writes_a_post(tutorial: Deployment) -> None:
    with httpx.Client(base_url=tutorial.output("url"), follow_redirects=True) as browser:
        account = {"username": "ada", "password": "a-password"}
        assert "Log In" in browser.post("/auth/register", data=account).text
        assert "ada" in browser.post("/auth/login", data=account).text
        page = browser.post("/create", data={"title": "From the sandbox", "body": "Hello."})
        assert "From the sandbox" in page.text
        (style,) = re.findall(r'href="(/static/[^"]+)"', page.text)
        assert browser.get(style).status_code == 200


def test_uwsgi_runs_as_the_post_has_it(tutorial: Deployment) -> None:
    listening = tutorial.on_server("ss --listening --tcp --numeric")
    assert "127.0.0.1:8080" in listening
    # The master and its workers; the pattern does not match the shell that carries it.
    assert tutorial.on_server("pgrep --count --euid flask --full '[u]wsgi --ini'") == "5"
    load = json.loads(tutorial.ops("status", STACK, "--json").text)["server"]["load"]
    assert (load["workers"], load["threads"]) == (4, 8)
    site = tutorial.on_server("cat /etc/nginx/flask/site.conf")
    assert f"server_name {tutorial.output('address')};" in site


def test_a_second_release_takes_the_next_port_and_keeps_what_was_written(tutorial: Deployment) -> None:
    (file,) = (path for path in tutorial.folder.rglob("flaskr/templates/base.html"))
    tutorial.edit(str(Path(file).relative_to(tutorial.folder)), "<h1>", "<h1>The ")
    tutorial.up()
    page = tutorial.get("/").text
    assert "The Flaskr" in page or "The <" in page
    assert "From the sandbox" in page
    listening = tutorial.on_server("ss --listening --tcp --numeric")
    assert "127.0.0.1:8081" in listening
    status = json.loads(tutorial.ops("status", STACK, "--json").text)["server"]
    assert status["traffic"] == "b"
    assert status["slots"]["a"]["state"] == "asleep"
