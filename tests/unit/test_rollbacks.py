"""What the program learns of rollbacks on the server, and what it does with it."""

import logging
import time
from typing import Any

import pytest

import ssh
from components import rollbacks

CONNECTION = ssh.Connection("203.0.113.10", "root", "ssh-ed25519 AAAA", None)


def server_says(monkeypatch: pytest.MonkeyPatch, stdout: str) -> list[str]:
    asked: list[str] = []

    def run(connection: ssh.Connection, script: str, **_: Any) -> ssh.Completed:
        asked.append(script)
        return ssh.Completed(stdout, "")

    monkeypatch.setattr(ssh, "dial", lambda *_, **__: None)
    monkeypatch.setattr(ssh, "run", run)
    return asked


def test_the_servers_count_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = server_says(monkeypatch, "2\n")
    assert rollbacks.asked(CONNECTION) == "2"
    assert rollbacks.COUNTER in scripts[0]


def test_a_server_that_never_rolled_back_has_done_so_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    server_says(monkeypatch, "")
    assert rollbacks.asked(CONNECTION) == "0"


@pytest.mark.parametrize(("preview", "attempts"), [(True, 2), (False, None)])
def test_a_preview_asks_quickly_and_up_waits_for_a_machine_that_boots(
    monkeypatch: pytest.MonkeyPatch, preview: bool, attempts: int | None
) -> None:
    """Another instanceType restarts the server: "unknown" would release the application once more for nothing."""
    server_says(monkeypatch, "1\n")
    limits: list[tuple[int | None, float]] = []

    def dial(_: ssh.Connection, *, attempts: int | None, deadline: float) -> None:
        limits.append((attempts, deadline - time.monotonic()))

    monkeypatch.setattr(ssh, "dial", dial)
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: preview)
    assert rollbacks.asked(CONNECTION) == "1"
    ((given, seconds),) = limits
    assert given == attempts
    assert (seconds > 60) is not preview


@pytest.mark.parametrize("error", [ssh.SshError("no SSH server answers"), FileNotFoundError("ssh")])
def test_a_server_that_cannot_be_asked_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    warnings: list[str] = []
    monkeypatch.setattr(ssh, "dial", fail)
    monkeypatch.setattr("pulumi.log.warn", warnings.append)
    with caplog.at_level(logging.WARNING):
        assert rollbacks.asked(CONNECTION) == "unknown"
    assert str(error) in warnings[0]
