"""What went wrong, told to the operator."""

import contextlib
import os
import re
import sys
from typing import Iterator, TextIO

FAILED = 1
REFUSED = 3

# What a terminal would act on, in the words of a visitor or of the application: as printable.py has it for ./ops.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


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


def printable(text: str) -> str:
    """The text with control and format characters as Python writes them; ends of lines become line feeds."""
    return _UNPRINTABLE.sub(
        lambda found: found.group().encode("unicode-escape").decode(), text.replace("\r\n", "\n")
    )


def _write(stream: TextIO, line: str) -> None:
    try:
        # Bytes, whatever the locale is. A file's name that is no UTF-8 has been escaped, too.
        stream.buffer.write((printable(line) + "\n").encode())
        stream.flush()
    except OSError:
        # What is left in the stream would fail once more when Python ends, and make that the exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
