"""Text of others, as a terminal may have it: what a visitor or an application wrote does nothing but stand there."""

from __future__ import annotations

import re

# Control characters but line feed and tab (C0, DEL, C1): they move the cursor, rewrite lines and answer for the person
# at the keyboard. Unicode's own that turn or hide text; halves of surrogate pairs, which cannot be written at all. Two
# joiners stay: scripts and emoji need them. The host's tool has the same (host/flask_release/problem.py).
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Return the text with such characters as Python writes them, `\\x1b`; ends of lines become line feeds."""
    return _UNPRINTABLE.sub(
        lambda found: found[0].encode("unicode-escape").decode(), text.replace("\r\n", "\n")
    )
