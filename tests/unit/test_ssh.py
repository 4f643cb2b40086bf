"""SSH by OpenSSH's own client, here against stand-ins for it and for a server."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssh

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+oXDiREDrdpDUHRKUtz8LpqmUp1pI+ItR4BzmSprK3"
CONNECTION = ssh.Connection("127.0.0.1", "root", KEY, "-----BEGIN PRIVATE KEY-----")


def client(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a script in place of the ssh program."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(ssh, "CLIENT", str(program))


@pytest.fixture
def banner() -> Iterator[int]:
    """A port at which something greets as an SSH server does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            while True:
                try:
                    accepted, _ = server.accept()
                except OSError:
                    return
                with accepted:
                    accepted.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield server.getsockname()[1]


def test_what_a_command_prints_and_how_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client(monkeypatch, tmp_path, "echo one >&2; echo two >&2; cat; echo end")
    said: list[str] = []
    done = ssh.run(CONNECTION, "true", stdin=b"from stdin\n", say=said.append)
    assert done == ssh.Completed("from stdin\nend", "one\ntwo")
    assert said == ["one", "two"]


def test_a_failure_shows_the_last_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client(monkeypatch, tmp_path, "echo before; echo 'LookupError: not today' >&2; exit 3")
    with pytest.raises(ssh.SshError, match=r"exit status 3(.|\n)*before(.|\n)*LookupError: not today"):
        ssh.run(CONNECTION, "true")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ssh: connect to host 127.0.42.1 port 22: Connection refused", ssh.NotConnectedError),
        ("kex_exchange_identification: Connection closed by remote host", ssh.NotConnectedError),
        ("Connection closed by 127.0.42.1 port 22", ssh.NotConnectedError),
        ("ssh_dispatch_run_fatal: Connection to 127.0.42.1 port 22: Broken pipe", ssh.NotConnectedError),
        ("Connection to 127.0.42.1 closed by remote host.", ssh.SshError),
        ("Host key verification failed.", ssh.SshError),
    ],
)
def test_a_command_that_did_not_begin_is_told_from_one_that_broke_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, kind: type[Exception]
) -> None:
    client(monkeypatch, tmp_path, f"echo '{said}' >&2; exit 255")
    with pytest.raises(ssh.SshError) as error:
        ssh.run(CONNECTION, "true")
    assert type(error.value) is kind


def test_a_server_that_greets_and_closes_may_be_tried_again(banner: int) -> None:
    """A real client, and a server that is about to start its sshd anew."""
    with pytest.raises(ssh.NotConnectedError, match="Connection"):
        ssh.run(ssh.Connection("127.0.0.1", "root", KEY, None, banner), "true", seconds=20)


def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client(monkeypatch, tmp_path, "echo begun >&2; exec sleep 60")
    with pytest.raises(ssh.SshError, match=r"not done after 1 s(.|\n)*begun"):
        ssh.run(CONNECTION, "true", seconds=1)


def test_keys_are_files_for_this_user_alone_and_gone_afterwards() -> None:
    with ssh.arguments(CONNECTION) as arguments:
        key = Path(arguments[arguments.index("-i") + 1])
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.parent.stat().st_mode & 0o777 == 0o700
        assert (key.parent / "known_hosts").read_text() == f"127.0.0.1 {KEY}\n"
        assert "StrictHostKeyChecking=yes" in arguments
        assert not [argument for argument in arguments if "PRIVATE" in argument]
    assert not key.parent.exists()


def test_dialling_ends_when_a_server_greets(banner: int) -> None:
    there = ssh.Connection("127.0.0.1", "root", KEY, None, banner)
    ssh.dial(there, attempts=1, deadline=time.monotonic() + 5)


def test_dialling_gives_up_after_its_attempts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nobody = ssh.Connection("127.0.0.1", "root", KEY, None, port)
    with pytest.raises(ssh.SshError, match="adminCidrs"):
        ssh.dial(nobody, attempts=2, deadline=time.monotonic() + 30)
