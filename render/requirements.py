"""What an application wants to have installed, as one text for pip on a server."""

from __future__ import annotations

import optparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from render.ignored import MOST_OF_TEXT, read_text
from render.messages import control_character, cut, shown
from render.messages import name as shown_name

# A file that includes another includes a third: as deep as anybody needs.
_MOST_INCLUDES = 20
_COMMENT = re.compile(r"(^|\s+)#.*$")
# A name as PEP 508 has it, then nothing, extras, a version, a marker or an address.
_NAMED = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\s*(\[[^\]]*\])?\s*($|[(<>=!~;]|@\s*(?P<address>\S+))"
)
_ARCHIVE = re.compile(r"\.(whl|zip|tgz|tar|tbz|txz|tlz|tar\.(gz|bz2|xz|lz|lzma))$", re.IGNORECASE)
_ADDRESS = re.compile(r"(?!(\w+\+)?file:)[A-Za-z][A-Za-z0-9+.-]*://|\$\{", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://|\$\{", re.IGNORECASE)


class _Parser(optparse.OptionParser):
    """Reads a line's options as pip does, abbreviations included."""

    def __init__(self) -> None:
        super().__init__(add_help_option=False, usage="")
        for names, destination in (
            (("-r", "--requirement"), "included"),
            (("-c", "--constraint"), "refused"),
            (("-e", "--editable"), "refused"),
            (("-i", "--index-url", "--pypi-url"), "addresses"),
            (("--extra-index-url",), "addresses"),
            (("-f", "--find-links"), "addresses"),
            (("--no-binary",), "others"),
            (("--only-binary",), "others"),
            (("--trusted-host",), "others"),
            (("--use-feature",), "others"),
        ):
            self.add_option(*names, dest=destination, action="append")
        for name in ("--no-index", "--prefer-binary", "--require-hashes", "--pre"):
            self.add_option(name, action="count", dest="flags")

    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


_PARSER = _Parser()


def requirements(path: Path) -> str:
    """The text of requirements.txt in folder `path`, with what it includes, or the dependencies of pyproject.toml.

    Raises:
        ValueError: there are none, or a line that no server can install.
    """
    if (path / "requirements.txt").is_file():
        return _flattened(path, path / "requirements.txt", (), {})
    if (path / "pyproject.toml").is_file():
        dependencies = _dependencies(path / "pyproject.toml")
        if dependencies:
            return "".join(f"{line}\n" for line in dependencies)
    raise ValueError(
        f"{shown_name(path)} has no requirements.txt, and no pyproject.toml with [project] dependencies: what should"
        " be installed? (a requirements.txt that holds at least flask)"
    )


def _dependencies(file: Path) -> list[str]:
    try:
        project = tomllib.loads(read_text(file.resolve())).get("project", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{shown_name(file)} is no TOML: {cut(str(error), 160)}") from error
    if not isinstance(project, dict):
        raise ValueError(  # noqa: TRY004 -- of what a user wrote
            f"{shown_name(file)}: project is {type(project).__name__}, and has to be a table, [project]"
        )
    dependencies = project.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(entry, str) for entry in dependencies):
        raise ValueError(
            f'{shown_name(file)}: [project] dependencies has to be a list of texts, such as ["flask>=3"]'
        )
    for line in dependencies:
        _check_requirement(f"{shown_name(file)}, dependencies", line.strip())
    return dependencies


def _flattened(root: Path, file: Path, above: tuple[Path, ...], known: dict[Path, str]) -> str:
    """The file's lines with its `-r` lines replaced by what they name, so that one text is the whole lock."""
    inside = file.is_file() and file.resolve().is_relative_to(root.resolve())
    if file in above or not inside or len(above) >= _MOST_INCLUDES:
        including = shown_name(above[-1] if above else file)
        raise ValueError(f"{including} includes {shown_name(file.name)}, which is not a file beside it")
    if file in known:
        return known[file]
    lines: list[str] = []
    for number, physical, logical in _lines(read_text(file.resolve())):
        place = f"{shown_name(file)}, line {number}"
        included = _checked(place, logical)
        if included is None:
            lines.extend(physical)
        else:
            lines.append(_flattened(root, file.parent / included, (*above, file), known).rstrip("\n"))
            # Of files that include the next one twice each, the last would stand there a million times.
            if sum(map(len, lines)) > MOST_OF_TEXT:
                raise ValueError(f"{place}: more than {MOST_OF_TEXT // 2**20} MiB with what it includes")
    known[file] = "\n".join(lines) + "\n"
    return known[file]


def _lines(text: str) -> Iterator[tuple[int, list[str], str]]:
    """Number, lines as they stand, and what pip makes of them: one line that ends in a backslash goes on."""
    physical: list[str] = []
    logical = ""
    first = 1
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if physical else number
        physical.append(line)
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            logical += line.strip("\\")
            continue
        yield first, physical, _COMMENT.sub("", logical + (f" {line}" if comment else line)).strip()
        physical, logical = [], ""
    if physical:
        yield first, physical, _COMMENT.sub("", logical).strip()


def _checked(place: str, line: str) -> str | None:
    """The file that a line includes, None for any other line that a server can install."""
    if not line.startswith("-"):
        if line:
            _check_requirement(place, line.partition(" -")[0].strip())
        return None
    try:
        words = shlex.split(line)
        options, rest = _PARSER.parse_args(words)
    except ValueError as error:
        raise ValueError(
            f"{place}: {shown(line)} is nothing that pip takes ({cut(str(error), 120)})"
        ) from error
    if options.refused or (options.included and len(words) > 2):
        given = re.match(r"--[\w-]+|-\w", line)
        raise ValueError(
            f"{place}: {shown(line)}; {given[0] if given else line[:2]} cannot be installed on a server: compile a"
            " lock file (pip-compile, or uv pip compile)"
        )
    local = [address for address in options.addresses or () if not _WEB_ADDRESS.match(address)]
    if local or rest:
        raise ValueError(
            f"{place}: {shown(line)} names what is not on a server; allowed: an http or https address"
        )
    return str(options.included[0]) if options.included else None


def _check_requirement(place: str, text: str) -> None:
    """Refuse what pip would look for in the server's own files, and what names nothing."""
    named = _NAMED.match(text)
    address = named["address"] if named else text
    wrong = control_character(text, "\t") is not None
    if address is not None:
        wrong = wrong or not _ADDRESS.match(address)
    elif named:
        wrong = wrong or bool(_ARCHIVE.search(text.partition(";")[0].strip()))
    if wrong:
        raise ValueError(
            f"{place}: {shown(text)} is nothing that a server can install; allowed: a package's name, such as"
            " flask>=3, or with @ its https or git address"
        )
