"""What went wrong, told to the operator."""

import contextlib
import os
import sys
from typing import Iterator, TextIO

FAILED = 1
REFUSED = 3


class Problem(Exception):
    """An error with its remedy.

    Args:
        text: one paragraph: what was wrong, where, and what to do.
        detail: what a program printed about it (a traceback, the end of a log); shown before the text.
        code: the tool's exit code; FAILED, or REFUSED when --force would do it.
    """

    def __init__(self, text: str, detail: str = "", code: int = FAILED) -> None:
        super().__init__(text)
        self.text = text
        self.detail = detail.rstrip()
        self.code = code


@contextlib.contextmanager
def warned(what: str) -> Iterator[None]:
    """Have a failure inside told as a warning: what serves, serves already, and none of this may undo it."""
    try:
        yield
    except Exception as error:
        why = error.text if isinstance(error, Problem) else str(error) or type(error).__name__
        say(f"warning: {what}: {why}")


def say(line: str) -> None:
    """One line of progress on stderr. A reader that went away (a dropped SSH connection) stops nothing."""
    _write(sys.stderr, line)


def answer(text: str) -> None:
    """The result on stdout; like `say`, it outlives its reader."""
    _write(sys.stdout, text)


def _write(stream: TextIO, line: str) -> None:
    try:
        # Bytes: what cannot be written in UTF-8, such as a file's name that is none, is written as an escape.
        stream.buffer.write((line + "\n").encode(errors="backslashreplace"))
        stream.flush()
    except OSError:
        # What is left in the stream would fail once more when Python ends, and make that the exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
