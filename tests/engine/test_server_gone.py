"""A server that is not ready, stopped or deleted behind the program's back: what is said of it, and what mends it."""

import ipaddress
from pathlib import Path

import pytest

from sandbox.cloud import Cloud, Place
from tests.engine.real import RealStack
from tests.engine.running import Running
from tests.unit.recorder import ed25519

READY = "cloud-init/ready.sh"
BROKEN = "echo 'not today' >&2; exit 7\n"


def cloud(stack: RealStack) -> Cloud:
    folder = Path(stack.environment["FLASK_SANDBOX"], "account")
    return Cloud(
        Place(folder, ipaddress.IPv4Network(stack.environment["FLASK_SANDBOX_ADDRESSES"])), "cn-hangzhou"
    )


def instance(stack: RealStack) -> str:
    (found,) = (of for of in stack.there() if of.startswith("i-"))
    return found


@pytest.fixture(scope="module")
def unready(stack: RealStack) -> RealStack:
    """A server with a person's own key pair, whose readiness command failed."""
    private, public = ed25519()
    stack.configure(publicKey=public.strip())
    assert stack.ops("secret", stack.stack, "privateKey", "--key", stdin=private).status == 0
    file = stack.folder / READY
    first, _, rest = file.read_text().partition("\n")
    file.write_text(f"{first}\n{BROKEN}{rest}")
    run = stack.ops("up", stack.stack)
    assert run.status == 1
    assert "1 failed" in run.text, run.text
    file.write_text(f"{first}\n{rest}")
    return stack


@pytest.fixture(scope="module")
def deployed(unready: RealStack) -> RealStack:
    unready.up()
    return unready


def test_a_server_that_is_not_ready_is_reached_with_the_own_key(unready: RealStack) -> None:
    assert unready.on_server("echo inside") == "inside"
    boot = unready.ops("logs", unready.stack, "boot")
    assert boot.status == 0
    assert "cloud-init" in boot.text.lower()
    doctor = unready.ops("doctor", unready.stack)
    assert "cannot be reached" not in doctor.text
    assert "Traceback" not in doctor.text


def test_a_stopped_server_is_started(deployed: RealStack) -> None:
    before = instance(deployed)
    cloud(deployed).stop_instance(before)
    # At once: each waits for a connection until ssh gives up.
    asked = [Running(deployed, command) for command in ("status", "doctor", "releases")]
    for run in (of.end() for of in asked):
        assert run.status == 1, run.text
        assert run.text.count("error: ") == 1
        assert run.text.count("--refresh` looks, and starts or makes it again") == 1
    # Not `up`, which says the same after ten tries of 15 s each, the provider's own.
    said = deployed.ops("preview", deployed.stack)
    assert f"`./ops up {deployed.stack} --refresh` looks, and starts or makes it again." in said.text
    planned = deployed.ops("preview", deployed.stack, "--refresh")
    assert "status" in next(line for line in planned.text.splitlines() if "Instance" in line)
    mended = deployed.ops("up", deployed.stack, "--refresh")
    assert mended.status == 0, mended.text
    assert instance(deployed) == before
    assert deployed.get("/healthz").status_code == 200


def test_a_deleted_server_is_made_again(deployed: RealStack) -> None:
    before = instance(deployed)
    cloud(deployed).delete_instance(before)
    planned = deployed.ops("preview", deployed.stack, "--refresh")
    assert any(line.startswith("+ Instance") for line in planned.text.splitlines()), planned.text
    mended = deployed.ops("up", deployed.stack, "--refresh")
    assert mended.status == 0, mended.text
    assert instance(deployed) != before
    assert deployed.get("/healthz").status_code == 200
