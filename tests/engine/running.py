"""`./ops` under way, in a pipe or in a terminal, and what it started."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.deployment import Run
from tests.engine.real import RealStack

# What stops a hanging test.
SECONDS = 100
# As a shell starts a program: in a session whose terminal is the standard input.
_IN_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
# Of a run; containers and their helpers, which are the cloud, outlive it.
_OF_A_RUN = re.compile(r"pulumi|sandbox\.plugins|language_host|run_program|automation")


class Running:
    """A command of `./ops` on a stack. In a terminal it is the group in front, as when it is typed."""

    def __init__(self, stack: RealStack, verb: str, *options: str, terminal: bool = False) -> None:
        self._stack = stack
        self._text = b""
        self._closing = False
        self._more = threading.Condition()
        command = ["./ops", verb, stack.stack, *options]
        if terminal:
            self._end, inside = pty.openpty()
            command = [sys.executable, "-c", _IN_TERMINAL, *command]
        else:
            self._end, inside = os.pipe()
        self._process = subprocess.Popen(
            command,
            cwd=stack.folder,
            env=stack.environment | {"COLUMNS": "200", "TERM": "xterm"},
            stdin=inside if terminal else subprocess.DEVNULL,
            stdout=inside,
            stderr=inside,
            start_new_session=not terminal,
        )
        os.close(inside)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was printed until now."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._text.decode(errors="replace"))

    def wait_for(self, pattern: str) -> None:
        """Return when something printed matches."""
        with self._more:
            self._more.wait_for(lambda: re.search(pattern, self.text) or self._ended(), timeout=SECONDS)
        assert re.search(pattern, self.text), f"{pattern} in {self.text}"

    def signal(self, number: int) -> None:
        """Send a signal to `./ops` alone."""
        self._process.send_signal(number)

    def insist(self, number: int, pattern: str) -> None:
        """Send a signal again and again, as somebody impatient does, until something printed matches."""
        while not self._ended() and not re.search(pattern, self.text):
            self.signal(number)
            time.sleep(0.3)
        self.wait_for(pattern)

    def signal_group(self, number: int) -> None:
        """Send a signal to the group that a shell started."""
        os.killpg(self._process.pid, number)

    def type(self, keys: bytes) -> None:
        """Type in its terminal."""
        os.write(self._end, keys)

    def hang_up(self) -> None:
        """Close its terminal: the kernel says so to what is in front."""
        self._closing = True
        self._reader.join()

    def end(self) -> Run:
        """Return how it ended, once it did."""
        status = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return Run(status, self.text)

    def _ended(self) -> bool:
        return not self._reader.is_alive()

    def _read(self) -> None:
        # A terminal whose inside is closed gives an error, a pipe gives nothing.
        with suppress(OSError):
            while not self._closing:
                if not select.select([self._end], [], [], 0.1)[0]:
                    continue
                if not (part := os.read(self._end, 65536)):
                    break
                with self._more:
                    self._text += part
                    self._more.notify_all()
        os.close(self._end)
        with self._more:
            self._more.notify_all()


@contextmanager
def held(stack: RealStack) -> Iterator[None]:
    """Let nothing come into being, or go, in the stack's cloud: whichever step is under way stays so."""
    folder = Path(stack.environment["FLASK_SANDBOX"], "account")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cloud.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def processes(stack: RealStack) -> list[str]:
    """Return the command lines of what runs in the stack's account: `./ops`, the CLI, its plugins, the program."""
    mark = f"PULUMI_HOME={stack.environment['PULUMI_HOME']}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if mark in (process / "environ").read_bytes() + b"\0" and _OF_A_RUN.search(line):
                found.append(line)
    return found


def settled(stack: RealStack) -> list[str]:
    """Return what still runs when nothing should any more; what is about to end is given the time to."""
    deadline = time.monotonic() + 60
    while (running := processes(stack)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running
