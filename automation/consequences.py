"""What a plan means for what is on the server, where its signs do not say it."""

from __future__ import annotations

from collections.abc import Iterable

from progress import Operation, Step

_SERVER = "Instance"
_SAID = {
    Operation.REPLACE: (
        "The server is replaced: a new one is made, then the old one goes with all that is on its disk (shared data,"
        " logs, releases to roll back to), and the site has another address."
    ),
    Operation.DELETE: (
        "The server is deleted with all that is on its disk (shared data, logs, releases); its address is given back."
    ),
}


def consequences(steps: Iterable[Step]) -> list[str]:
    """Return a line for each thing that goes with what the steps replace or delete. (A restart the program says.)"""
    return [_SAID[step.operation] for step in steps if step.type == _SERVER and step.operation in _SAID]
