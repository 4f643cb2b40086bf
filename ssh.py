"""SSH to a server with its host key pinned, by OpenSSH's own client."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CLIENT = "ssh"


class SshError(Exception):
    """A server could not be reached, or a command on it failed; the text says which, with its last lines."""


class NotConnectedError(SshError):
    """The server closed the door before a command began: it may be tried again."""


# What OpenSSH's client says when it got no session (exit status 255, which a command could have, too).
_NOT_CONNECTED = re.compile(
    r"^(ssh: connect to host|kex_exchange_identification:|banner exchange:|Connection (closed|reset) by|"
    r"ssh_dispatch_run_fatal: .*: (Broken pipe|Connection reset by peer)$)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Connection:
    """How to reach a server. `private_key` is OpenSSH or PEM text; None leaves it to the running ssh-agent."""

    host: str
    user: str
    host_key: str
    private_key: str | None
    port: int = 22


@dataclass(frozen=True)
class Completed:
    """What a remote command printed."""

    stdout: str
    stderr: str


def dial(
    connection: Connection, *, attempts: int | None, deadline: float, per_dial_seconds: float = 15.0
) -> None:
    """Wait until an SSH server answers: `attempts` tries (None: no limit) before `deadline` (monotonic seconds).

    Raises:
        SshError: nobody answered.
    """
    # The back-off of the command provider: 0.1 s, each 1.5 times the last, up to 5 s.
    pause, tried = 0.1, 0
    while True:
        tried += 1
        try:
            _greet(connection, max(0.1, min(per_dial_seconds, deadline - time.monotonic())))
        except OSError as error:
            problem = error
        else:
            return
        if (attempts is not None and tried >= attempts) or time.monotonic() + pause > deadline:
            raise SshError(
                f"no SSH server answers at {connection.host}:{connection.port} ({problem}). Is your own address in"
                " adminCidrs, and does the instance run?"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)


def run(
    connection: Connection,
    script: str,
    *,
    stdin: bytes = b"",
    seconds: float | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Completed:
    """Run a script on the server and return what it printed; `say` gets the lines of its stderr as they come.

    Raises:
        NotConnectedError: the server was not reached; the script did not begin.
        SshError: it failed, or took longer than `seconds`.
    """
    with arguments(connection) as ssh, _Lines(say) as lines:
        process = subprocess.Popen(
            [*ssh, "--", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=lines.end
        )
        lines.started()
        stdout, in_time = b"", True
        try:
            stdout, _ = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            in_time = False
        finally:
            process.kill()
            process.wait()
    output = stdout.decode(errors="replace")
    if not in_time:
        raise SshError(_failure(f"not done after {seconds:.0f} s", output, lines.text()))
    if process.returncode == 255 and _NOT_CONNECTED.search(lines.text()):
        raise NotConnectedError(lines.text())
    if process.returncode != 0:
        raise SshError(_failure(f"exit status {process.returncode}", output, lines.text()))
    return Completed(output.removesuffix("\n"), lines.text())


def copy(connection: Connection, source: Path, target: str, *, seconds: float | None = None) -> None:
    """Copy a file to the server; folders above it are made, and a reader never finds it half-written.

    Raises:
        SshError: it could not be done.
    """
    path = shlex.quote(target)
    script = f'set -e; mkdir -p "$(dirname {path})"; cat > {path}.part; mv {path}.part {path}'
    run(connection, script, stdin=source.read_bytes(), seconds=seconds)


@contextlib.contextmanager
def arguments(connection: Connection) -> Iterator[list[str]]:
    """Give the ssh command up to and including the host; its key files are there until the context ends."""
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder:  # 0700
        known_hosts = Path(folder, "known_hosts")
        known_hosts.write_text(f"{_known_name(connection)} {connection.host_key}\n", encoding="ascii")
        identity: list[str] = []
        if connection.private_key is not None:
            key = Path(folder, "key")
            key.touch(0o600)
            key.write_text(connection.private_key.strip() + "\n", encoding="ascii")
            identity = ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlgorithms": connection.host_key.split()[0],
            "ConnectTimeout": "15",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4",
            # At "ERROR" it would not say that the server closed the connection before there was a session.
            "LogLevel": "INFO",
        }
        flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        yield [
            CLIENT, "-F", "/dev/null", *flags, *identity, "-p", str(connection.port),
            f"{connection.user}@{connection.host}",
        ]  # fmt: skip


def _greet(connection: Connection, seconds: float) -> None:
    with socket.create_connection((connection.host, connection.port), timeout=seconds) as client:
        if not client.recv(4) == b"SSH-":
            raise ConnectionError("something else than an SSH server answered")


def _known_name(connection: Connection) -> str:
    return connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"


def _failure(what: str, stdout: str, stderr: str) -> str:
    printed = [line for line in (*stdout.splitlines(), *stderr.splitlines()) if line.strip()]
    return "\n".join((f"the command on the server failed ({what}):", *printed[-60:]))


class _Lines:
    """The writing end of a pipe whose lines are passed on as they come."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lines: list[str] = []
        self._read, self.end = os.pipe()
        self._reader = threading.Thread(target=self._pass_on, daemon=True)

    def __enter__(self) -> _Lines:
        self._reader.start()
        return self

    def started(self) -> None:
        """Close this process's own copy of the writing end: the child has its."""
        os.close(self.end)
        self.end = -1

    def __exit__(self, *_: object) -> None:
        if self.end >= 0:
            os.close(self.end)
        self._reader.join()

    def text(self) -> str:
        """Return all lines; complete once the context ended."""
        return "\n".join(self._lines)

    def _pass_on(self) -> None:
        with os.fdopen(self._read, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                self._lines.append(line.rstrip("\n"))
                self._say(line.rstrip("\n"))
