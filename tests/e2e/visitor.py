"""A visitor who comes again and again while something is done to a server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

# Seconds between two visits.
PAUSE = 0.05


@contextlib.contextmanager
def answers(ask: Callable[[], str]) -> Iterator[list[str]]:
    """Call `ask` some 20 times a second; give what it returns, as it comes."""
    seen: list[str] = []
    stop = threading.Event()

    def visit() -> None:
        while not stop.wait(PAUSE):
            seen.append(ask())

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
