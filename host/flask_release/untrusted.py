"""What the application's account can make: opened without following links, and read without believing it.

An intruder in the application has its account: whatever lies in a folder that it writes to, and whatever answers at a
socket there, may be his. This module is the one place where root opens such a thing. Paths and process ids are never
made from what is read there; what is not of the expected form counts as no answer.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Callable, Dict, List

# More than any statistics of uWSGI with hundreds of threads.
JSON_LIMIT = 8 << 20
# uWSGI's own statistics have 5 levels. Python's reader gives up at about 1000, with an error of another kind.
_DEPTH = 32
_LARGEST = 2**63 - 1
_BRACKET = re.compile(rb"[][{}]")


def socket(path: Path) -> int:
    """Open the socket at a path, so that `/proc/self/fd/N` is an address that leads to it and nowhere else.

    Raises:
        FileNotFoundError: nothing is there.
        ConnectionRefusedError: what is there is no socket.
    """
    return _open(path, os.O_PATH, stat.S_ISSOCK)


def pipe(path: Path) -> int:
    """Open a named pipe for writing.

    Raises:
        FileNotFoundError: nothing is there.
        ConnectionRefusedError: what is there is no pipe, or nobody reads from it.
    """
    looked_at = _open(path, os.O_PATH, stat.S_ISFIFO)
    try:
        # By what was looked at, not by the path once more.
        return os.open(f"/proc/self/fd/{looked_at}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ConnectionRefusedError(error.errno, f"{path}: {error.strerror}")
    finally:
        os.close(looked_at)


def json_object(text: bytes) -> Dict[str, Any]:
    """A JSON object that somebody else wrote.

    Raises:
        ValueError: it is none, too long, too deep, or has numbers that none of ours are.
    """
    value = _json(text)
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 -- as all that is wrong with it
    return value


def json_list(text: bytes) -> List[Any]:
    """A JSON list that somebody else wrote.

    Raises:
        ValueError: as `json_object`.
    """
    value = _json(text)
    if not isinstance(value, list):
        raise ValueError("no list")  # noqa: TRY004 -- as all that is wrong with it
    return value


def number(value: Any) -> int:
    """A count: an integer of 0 or more; what is absent counts as 0.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{type(value).__name__} for a count")
    return value


def objects(value: Any, most: int) -> List[Dict[str, Any]]:
    """A list of at most so many objects; what is absent counts as empty.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, dict) for one in value):
        raise ValueError("no list of objects")
    return value


def word(value: Any) -> str:
    """A short word; what is anything else counts as none."""
    return value if isinstance(value, str) and value.isalnum() and len(value) <= 32 else ""


def _json(text: bytes) -> Any:
    if len(text) > JSON_LIMIT:
        raise ValueError("too long")
    if _deepest(text) > _DEPTH:
        raise ValueError("too deep")
    return json.loads(text.decode(errors="replace"), parse_constant=_refuse, parse_int=_integer)


def _open(path: Path, flags: int, wanted: Callable[[int], bool]) -> int:
    descriptor = os.open(str(path), flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not wanted(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConnectionRefusedError(f"{path} is not what it has to be")
    return descriptor


def _deepest(text: bytes) -> int:
    """How deep brackets nest at most; those inside of texts are counted too, which refuses nothing of ours."""
    deepest = depth = 0
    # Found by a pattern: statistics are read ten times a second, and most of them are no brackets.
    for bracket in _BRACKET.findall(text):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError("a number of too many digits")
    return int(text)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
