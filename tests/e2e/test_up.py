"""The way of the README on the sandbox: up, the site, up again, an edit, a rule, a broken application, destroy."""

import json
import re
import socket

import httpx
import pytest

import ssh
from sandbox import containers, networks
from tests.e2e.deployment import PROJECT, STACK, Deployment
from tests.unit.recorder import ed25519


def test_the_application_answers_through_nginx_and_uwsgi(deployed: Deployment) -> None:
    healthy = deployed.get("/healthz")
    assert healthy.status_code == 200
    assert healthy.headers["Server"].startswith("nginx")
    assert healthy.json()["release"] == deployed.output("release")
    processes = deployed.on_server("ps -eo user:20,args")
    assert re.search(r"^flask\s.*(uwsgi|uWSGI)", processes, re.MULTILINE)
    assert re.search(r"^www-data\s+nginx: worker", processes, re.MULTILINE)


def test_what_a_copy_makes_is_cleared_away_with_its_checkouts(deployed: Deployment) -> None:
    """By the label that .ci/run looks for: the copy's folder is gone when somebody looks."""
    (instance,) = [line for line in deployed.leftovers() if line.startswith("flask-") and "-i-" in line]
    assert instance in containers.owned(networks.CHECKOUT_LABEL, str(PROJECT))


def test_a_form_with_its_session_works(deployed: Deployment) -> None:
    with httpx.Client(base_url=deployed.output("url"), follow_redirects=True) as browser:
        page = browser.get("/")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token
        note = {"csrf_token": token[1], "name": "Ada", "text": "Served from a slot"}
        assert "Served from a slot" in browser.post("/notes", data=note).text
        for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
            file = browser.get(address)
            assert file.status_code == 200
            # By nginx itself: Flask would let no browser keep it without asking.
            assert file.headers["Cache-Control"] == "public, max-age=86400"
    assert deployed.get("/api/notes").json()["notes"][0]["name"] == "Ada"


def test_a_second_up_changes_nothing(deployed: Deployment) -> None:
    run = deployed.up()
    assert "no changes" in run.text
    preview = deployed.ops("preview", STACK)
    assert preview.status == 0
    assert "no changes" in preview.text


def test_an_edited_application_is_served_from_the_other_slot(deployed: Deployment) -> None:
    before = deployed.output("release")
    deployed.edit("app/templates/base.html", "<footer>", '<footer id="edited">')
    preview = deployed.ops("preview", STACK)
    assert re.search(r"± Command +\S+-release", preview.text)
    assert "Instance" not in preview.text
    deployed.up()
    assert 'id="edited"' in deployed.get("/").text
    assert deployed.output("release") != before
    assert deployed.get("/healthz").json()["release"] == deployed.output("release")
    # The notes are still there: the instance folder outlives releases.
    assert deployed.get("/api/notes").json()["notes"]


def test_a_broken_application_is_refused_with_its_traceback_and_the_old_one_serves(
    deployed: Deployment,
) -> None:
    release = deployed.output("release")
    deployed.edit("app/app.py", "app = create_app()", "app = create_app()\nraise LookupError('not today')")
    run = deployed.ops("up", STACK)
    assert run.status == 1
    assert run.text.count("LookupError: not today") == 1
    assert "app.py" in run.text
    assert deployed.get("/healthz").json()["release"] == release
    deployed.edit("app/app.py", "\nraise LookupError('not today')", "")
    deployed.up()
    assert deployed.get("/healthz").json()["release"] == release
    assert "no changes" in deployed.up().text


def test_a_changed_environment_reaches_the_application_and_is_no_secret_to_find(deployed: Deployment) -> None:
    deployed.edit(
        "app/app.py",
        '"status": "ok" if',
        '"secret": os.environ.get("BOARD_SECRET", "")[::-1], "status": "ok" if',
    )
    deployed.up()
    release = deployed.output("release")
    assert deployed.ops("secret", STACK, "BOARD_SECRET", stdin="hunter2\n").status == 0
    preview = deployed.ops("preview", STACK)
    assert "stdin" in preview.text
    run = deployed.up()
    assert deployed.output("release") != release
    assert deployed.get("/healthz").json()["secret"] == "2retnuh"
    places = [
        preview.text,
        run.text,
        deployed.on_server("ps -eo args; journalctl --no-pager; cat /var/log/*.log"),
    ]
    for file in deployed.folder.rglob("*"):
        if file.is_file() and ".venv" not in file.parts:
            places.append(file.read_bytes().decode(errors="replace"))
    assert not [place for place in places if "hunter2" in place]


def test_the_security_group_is_enforced_and_a_changed_rule_acts_at_once(deployed: Deployment) -> None:
    address = deployed.output("address")
    instance = deployed.on_server("cat /etc/machine-id")
    assert reachable(address, 80)
    assert not reachable(address, 81)
    deployed.configure(webCidrs=["192.0.2.0/24"])
    deployed.up()
    assert not reachable(address, 80)
    assert deployed.on_server("cat /etc/machine-id") == instance
    deployed.configure(webCidrs=None)
    deployed.up()
    assert reachable(address, 80)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (("pip", "list"), "Flask "),
        (("python", "-m", "pip", "list"), "Flask "),
        (("flask", "--version"), "Flask "),
        (("flask routes && echo $FLASK_SLOT of $(id -un)",), " of flask"),
        (("python", "-c", "import app; print(app.__file__)"), "/srv/flask/releases/"),
    ],
)
def test_a_command_runs_inside_the_release(
    deployed: Deployment, command: tuple[str, ...], printed: str
) -> None:
    run = deployed.ops("run", STACK, "--", *command)
    assert run.status == 0, run.text
    assert printed in run.text


def test_status_says_what_serves(deployed: Deployment) -> None:
    said = json.loads(deployed.ops("status", STACK, "--json").text)
    assert said["outputs"]["url"] == deployed.output("url")
    assert said["server"]["live"]["release"] == deployed.output("release")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("module", "shop", "module is 'shop'"),
        ("appPath", "nowhere", "appPath is 'nowhere'"),
        ("bandwidth", 5, "unknown configuration key bandwidth"),
        ("processes", 65, "processes is '65'"),
        ("os", "centos7", "set os to debian12"),
    ],
)
def test_a_wrong_value_is_one_error_and_nothing_happens(
    deployed: Deployment, key: str, value: object, message: str
) -> None:
    before = deployed.on_server("cat /etc/machine-id")
    kept = (deployed.folder / f"Pulumi.{STACK}.yaml").read_text()
    deployed.configure(**{key: value})
    run = deployed.ops("up", STACK)
    (deployed.folder / f"Pulumi.{STACK}.yaml").write_text(kept)
    assert run.status == 1
    assert message in run.text
    assert "Traceback" not in run.text
    assert deployed.on_server("cat /etc/machine-id") == before


def test_a_public_key_is_taken_up_without_a_restart_and_goes_when_it_is_taken_out(
    deployed: Deployment,
) -> None:
    (private, public), address = ed25519(), deployed.output("address")
    mine = ssh.Connection(address, "root", deployed.output("hostKey"), private)
    booted = deployed.on_server("cat /proc/sys/kernel/random/boot_id; systemctl show -P MainPID nginx")
    deployed.configure(publicKey=public)
    preview = deployed.ops("preview", STACK).text
    assert re.search(r"± Command +\S+-configure", preview)
    assert "Instance" not in preview
    assert "KeyPair" not in preview
    deployed.up()
    assert ssh.run(mine, "id -un", seconds=30).stdout == "root"
    deployed.configure(publicKey=None)
    deployed.up()
    with pytest.raises(ssh.SshError, match="Permission denied"):
        ssh.run(mine, "id -un", seconds=30)
    assert (
        deployed.on_server("cat /proc/sys/kernel/random/boot_id; systemctl show -P MainPID nginx") == booted
    )


def test_destroy_wants_to_be_sure_and_leaves_nothing(deployed: Deployment) -> None:
    assert "--yes" in deployed.ops("destroy", STACK).text
    assert deployed.leftovers()
    assert deployed.destroy().status == 0
    assert deployed.leftovers() == []
    missing = deployed.ops("output", STACK, "url")
    assert missing.status == 1
    assert "not deployed" in missing.text


def reachable(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
