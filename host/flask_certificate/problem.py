"""What stops the tool, in words for who runs it."""

import sys


class Problem(Exception):
    """What is wrong, where, and what to do."""


def say(text: str) -> None:
    """One line for who watches."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
