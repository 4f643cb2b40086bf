"""What a release leaves out: by rule, and by the application's `.deployignore` or `.gitignore`."""

from __future__ import annotations

import re
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from render.archive import opened
from render.messages import name as shown_name
from render.messages import shown

# Never part of a release: version control, local environments and caches, local data, secrets of the developer.
# (.git is a file in a worktree of git's, and names a folder of this machine.)
ALWAYS_LEFT_OUT = (
    ".git", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", "__pycache__/", "*.py[co]", ".*_cache/",
    ".tox/", ".coverage", "*.egg-info/", ".DS_Store", "/instance/", ".env", ".env.*", "*.sqlite", "*.sqlite3",
)  # fmt: skip
IGNORE_FILES = (".deployignore", ".gitignore")
# A text that says how an application is packed is larger by mistake only.
MOST_OF_TEXT = 4 * 1024 * 1024
# Each is tried with every folder on the way, and those after it with each of these.
_MOST_DOUBLE_STARS = 5
_STAR = "[^/]*"


class Ignored:
    """The rules of one application's folder.

    Raises:
        ValueError: the ignore file has a line that is no pattern, naming it.
    """

    def __init__(self, folder: Path) -> None:
        patterns = [_Pattern(pattern) for pattern in ALWAYS_LEFT_OUT]
        file = next((folder / name for name in IGNORE_FILES if (folder / name).is_file()), None)
        if file:
            for number, line in enumerate(read_text(Path(file).resolve()).splitlines(), start=1):
                patterns.append(_compiled(file, number, line))
        self._spec = GitIgnoreSpec(patterns, backend="simple")

    def leaves_out(self, name: str, *, folder: bool = False) -> bool:
        """Tell whether a file or folder is left out by itself; nobody looks into a folder that is."""
        return bool(self._spec.match_file(f"{name}/" if folder else name))

    def leaves_out_on_the_way(self, name: str) -> bool:
        """Tell whether a file is left out, or a folder that it is in."""
        parents = [str(parent) for parent in PurePosixPath(name).parents][:-1]
        return self.leaves_out(name) or any(self.leaves_out(parent, folder=True) for parent in parents)


def read_text(file: Path) -> str:
    """The text of a plain file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it cannot be read, is too large, or no text.
    """
    with opened(file) as opened_file:
        content = opened_file.read(MOST_OF_TEXT + 1)
    if len(content) > MOST_OF_TEXT:
        raise ValueError(f"{shown_name(file)} is larger than {MOST_OF_TEXT // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{shown_name(file)}, line {line}: is not written in UTF-8") from error


class _Pattern(GitIgnoreSpecPattern):
    """A pattern of gitignore's whose stars take no more than the name's length to match."""

    __slots__ = ()

    @classmethod
    def pattern_to_regex(cls, pattern: Any) -> tuple[Any, bool | None]:
        """As in the class above, with a regular expression that does not try every division among its stars."""
        regex, include = super().pattern_to_regex(pattern)
        return (None if regex is None else _without_trying(regex)), include


def _without_trying(regex: str) -> str:
    # What stands between two stars has one length: where it is found first leaves most to the next star, so no later
    # place has to be tried ((?>…) says so). Not so beside a double star, which is written with a group.
    first, *others = regex.split(_STAR)
    if not others:
        return regex
    *between, last = others
    kept = [piece for piece in between if piece]
    tried = [f"{_STAR}{piece}" if "(?" in piece else f"(?>{_STAR}?{piece})" for piece in kept]
    return "".join((first, *tried, _STAR, last))


def _compiled(file: Path, number: int, line: str) -> _Pattern:
    place = f"{shown_name(file)}, line {number}"
    if line.count("**/") > _MOST_DOUBLE_STARS:
        raise ValueError(f"{place}: {shown(line)} has more than {_MOST_DOUBLE_STARS} times **/; write fewer")
    try:
        with warnings.catch_warnings():
            # re means to change how it reads a [ within brackets, some day.
            warnings.simplefilter("ignore", FutureWarning)
            return _Pattern(line)
    except (ValueError, re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{place}: {shown(line)} is no pattern that git knows; correct it") from error
