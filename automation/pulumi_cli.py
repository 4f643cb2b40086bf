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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LIFELINE = Path(__file__).with_name("lifeline.py")


class Cli(automation.PulumiCommand):
    """The Pulumi CLI. `say` gets a line when a run is being cancelled."""

    def __init__(self, say: Callable[[str], None] = lambda _line: None) -> None:
        super().__init__()
        self._say = say
        self._running: subprocess.Popen[bytes] | None = None
        self.interrupted = False

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
        """
        # Never asks: it fails where it would. `--` parts options from words.
        words = [self.command, "--non-interactive", *args]
        # However this process ends, killed too: the CLI is then interrupted, and finishes in order.
        words = [sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid()), *words]
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        # Files, not pipes: the CLI dies when it writes to a pipe whose reader is gone.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # In a group of its own a Ctrl-C does not reach it beside the one that is passed on: two end it at once.
                process_group=0,
            )
            with self._watched(process):
                code = process.wait()
            result = automation.CommandResult(stdout=_text(out), stderr=_text(err), code=code)
        for callback, text in ((on_output, result.stdout), (on_error, result.stderr)):
            if callback is not None:
                for line in text.splitlines():
                    callback(line)
        if code != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Tell the command under way to stop after the step that it is at."""
        self.interrupted = True
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)

    @contextmanager
    def _watched(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        self._running = process
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

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._say(
            "cancelling at once; a step that is cut off may leave something that no record knows"
            if self.interrupted
            else "cancelling: the step under way is finished and recorded; a second time ends it at once"
        )
        self.interrupt()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").rstrip("\n")
