"""Which directives nginx's configuration files use."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"""\s+|\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|[^\s{};\\])+""")
# What stands in these blocks is data, not directives.
_DATA_BLOCKS = frozenset({"map", "geo", "types", "split_clients", "charset_map"})


def directives(text: str) -> Iterator[str]:
    """The name of each directive in a configuration text, in order."""
    blocks: list[str] = []
    statement: list[str] = []
    for token in _TOKEN.findall(text):
        if token.isspace() or token.startswith("#"):
            continue
        if token not in "{};":
            statement.append(token)
            continue
        if statement and not (blocks and blocks[-1] in _DATA_BLOCKS):
            yield statement[0]
        if token == "{":
            blocks.append(statement[0])
        elif token == "}":
            blocks.pop()
        statement = []
