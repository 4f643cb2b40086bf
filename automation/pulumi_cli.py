"""Running the Pulumi CLI so that what is under way is never lost: signals, and this process' end, reach it in order.

The CLI ends a run well when it is interrupted once: it finishes the step that is under way, records it and gives the
stack's lock back. A step that is cut off instead may leave a paid instance that no record knows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

from progress import Interrupted

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A terminal that closes, and timeout(1), send a signal twice: what comes sooner is no second wish.
_SAME_SIGNAL_SECONDS = 1.0
_LIFELINE = Path(__file__).with_name("lifeline.py")


class Cli(automation.PulumiCommand):
    """The Pulumi CLI. `say` gets a line when a run is being cancelled.

    Attributes:
        signalled: when a signal asked for the end (time.monotonic), None when none did.
    """

    def __init__(self, say: Callable[[str], None] = lambda _line: None) -> None:
        super().__init__()
        self._say = say
        self._running: subprocess.Popen[bytes] | None = None
        self._interrupted = False
        self.signalled: float | None = None
        # What the commands to come get on their standard input: secrets have no place on a command line.
        self.given = b""

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """Run one command to its end.

        Raises:
            automation.CommandError: it failed.
            Interrupted: it was interrupted, and ended over that.
        """
        # Never asks: it fails where it would. `--` parts options from words.
        words = [self.command, "--non-interactive", *args]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        # Files, not pipes: the CLI dies when it writes to a pipe whose reader is gone.
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            tempfile.TemporaryFile() as given,
        ):
            given.write(self.given)
            given.seek(0)
            with self._signals_passed_on():
                before = self.signalled
                # However this process ends, killed too: the CLI is then interrupted, and finishes in order.
                self._running = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_LIFELINE), str(given.fileno()), *words],
                    cwd=cwd,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    pass_fds=(given.fileno(),),
                    # In a group of its own a Ctrl-C does not reach it beside the one that is passed on: two end it at
                    # once.
                    process_group=0,
                )
                if self.signalled != before:  # while it was being started
                    self._send()
                code = self._running.wait()
                self._lifeline(self._running).close()
            result = automation.CommandResult(stdout=_text(out), stderr=_text(err), code=code)
        for callback, text in ((on_output, result.stdout), (on_error, result.stderr)):
            if callback is not None:
                for line in text.splitlines():
                    callback(line)
        if code != 0:
            error = create_command_error(result)
            if self._interrupted:
                raise Interrupted from error
            raise error
        return result

    def interrupt(self) -> None:
        """Tell the command under way to stop after the step that it is at; said again, this does nothing."""
        if not self._interrupted:
            self._interrupted = True
            self._send()

    def _send(self) -> None:
        # Nobody takes it when the command ended by itself.
        if self._running is not None:
            with suppress(OSError, ValueError):
                os.write(self._lifeline(self._running).fileno(), b"\n")

    @staticmethod
    def _lifeline(running: subprocess.Popen[bytes]) -> IO[bytes]:
        assert running.stdin is not None  # noqa: S101 - it was opened above
        return running.stdin

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            # Signals come to the main thread alone: whoever runs this beside it takes care of them.
            try:
                yield
            finally:
                self._running = None
            return
        before = {number: signal.signal(number, self._pass_on) for number in _PASSED_ON}
        try:
            yield
        finally:
            self._running = None
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signalled is None:
            self.signalled = now
            self.interrupt()
            line = "cancelling: the step under way is finished and recorded; a second time ends it at once"
        elif number == signal.SIGHUP or now - self.signalled < _SAME_SIGNAL_SECONDS:
            return
        else:
            self._send()
            line = "cancelling at once; a step that is cut off may leave something that no record knows"
        # Said last, and to nobody where the terminal is gone.
        with suppress(OSError):
            self._say(line)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").rstrip("\n")
