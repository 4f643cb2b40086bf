"""How values and names of others stand in messages: on one line, escaped, and cut."""

from __future__ import annotations

import unicodedata
from pathlib import Path

# Characters of a value that a message repeats. Who wrote it knows the rest.
MOST_SHOWN = 80
MOST_OF_PATH = 200
# They change the order in which what follows is displayed (Unicode annex 9).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def control_character(text: str, allowed: str = "") -> str | None:
    """Return the first character that ends a line, controls a terminal or the display, or is none (a lone surrogate).

    Args:
        text: what is looked through.
        allowed: characters that are let through, such as a newline.
    """
    for character in text:
        if character in allowed or character.isprintable():
            continue
        if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            return character
    return None


def shown(value: str, most: int = MOST_SHOWN) -> str:
    """Return the text in quotes, escaped as in Python and cut to about `most` characters."""
    if len(value) <= most and len(repr(value)) <= most + 2:
        return repr(value)
    return f"'{_beginning(value, most)}…' ({len(value)} characters)"


def name(path: Path | str) -> str:
    """Return a path as it is, or escaped and without its beginning where it is odd or long."""
    text = str(path)
    escaped = text if text.isprintable() else repr(text)[1:-1]
    return escaped if len(escaped) <= MOST_OF_PATH else f"…{escaped[-MOST_OF_PATH:]}"


def cut(text: str, most: int) -> str:
    """Return the text, or so many characters of it; it is escaped like `shown`, without the quotes."""
    beginning = _beginning(text, most)
    return beginning if len(text) <= most and len(beginning) <= most else f"{beginning}…"


def _beginning(value: str, most: int) -> str:
    escaped = ""
    for character in value[:most]:
        escaped += character if character in "'\"" else repr(character)[1:-1]
        if len(escaped) >= most:
            break
    return escaped
