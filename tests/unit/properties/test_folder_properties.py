"""A folder, whatever is in it, is refused in one short sentence or packed into a release that a server takes."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import event, given
from hypothesis import strategies as st

from render.release import application_release
from tests.host.release_tool.fake_host import module
from tests.unit.properties.profile import examples, mostly

SECRET = b"s3cr3t-of-the-developer"
_LEFT_OUT_PLACE = re.compile(
    r"(^|/)(\.env(\.local)?|\.git)(/|$)|(^|/)(venv|__pycache__)/|^instance/|\.sqlite$|\.pyc$"
)
LONGEST_MESSAGE = 1000
_PLAIN = st.sampled_from(["a", "b", "app", "static", "x.py", "run.sh", "ü", "-r", "--help", "file", "deep"])
# By these names a release leaves things out whatever the ignore file says.
_LEFT_OUT = st.sampled_from(
    [".env", ".env.local", "instance", ".git", "venv", "x.pyc", "db.sqlite", "__pycache__"]
)
_ODD = st.binary(min_size=1, max_size=20).map(
    lambda name: os.fsdecode(name.replace(b"/", b"_").replace(b"\0", b"_"))
)
_NAME: st.SearchStrategy[str] = mostly(
    st.one_of(_PLAIN, _LEFT_OUT), st.one_of(_ODD, st.just("n" * 255)), once_in=30
)
_PATH = st.lists(_NAME, min_size=1, max_size=4).map("/".join)
_LINE = st.one_of(
    st.sampled_from(
        ["flask", "flask>=3", "# x", "", "-r more.txt", "--pre", "flask \\", "  --hash=sha256:0", "a @ https://x/y",
         "file:///etc/passwd", "./x", "-e .", "-c x", "-r /etc/passwd", "--index-url https://x", "-f /x", "x.whl",
         "git+https://x/y", "--requ /etc/passwd", "flask --hash=sha256:0", "\ufeff-r /etc/passwd", "-r \\",
         "/etc/passwd"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
)  # fmt: skip
_PATTERN = st.one_of(
    st.sampled_from(
        ["*.log", "/deep/", "!a", "[a-z]", "[z-a]", "**/x", "a/**/b", "\\", "", "# x", "*" * 60, "link*"]
    ),
    st.text(st.sampled_from("ab*?[]!\\/-."), max_size=10),
)


@dataclass(frozen=True)
class Entry:
    """Something in a folder; `what` says what it is made as."""

    path: str
    what: str
    content: bytes
    target: str


_ENTRY = st.builds(
    Entry,
    _PATH,
    st.sampled_from([*["file"] * 20, "program", "program", "folder", "folder", "link", "link", "fifo", "sparse"]),
    st.binary(max_size=40),
    st.one_of(_PATH, st.sampled_from(["..", ".", "/etc/passwd", "../outside", ".env", "link", "requirements.txt"])),
)  # fmt: skip


def _text(line: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return mostly(
        st.lists(line, max_size=5).map(lambda lines: "\n".join(lines).encode()),
        st.binary(max_size=20),
        once_in=8,
    )


_PYPROJECT = st.one_of(
    st.sampled_from(
        ['[project]\ndependencies = ["flask"]', 'project = "x"', "[project]\ndependencies = 5", "[", "",
         '[project]\ndependencies = "flask"', '[project]\ndependencies = ["-r /etc/passwd"]']
    ).map(str.encode),
    st.lists(_LINE, max_size=2).map(lambda lines: f"[project]\ndependencies = {lines!r}".encode(errors="replace")),
)  # fmt: skip


def _requirements() -> st.SearchStrategy[bytes | None]:
    return mostly(st.just(b"flask\n"), st.one_of(_text(_LINE), st.none()), once_in=4)


@examples(short=60, long=1_000)
@given(
    st.lists(_ENTRY, max_size=8),
    _requirements(),
    st.one_of(st.none(), _PYPROJECT),
    mostly(st.none(), _text(_PATTERN), once_in=4),
)
def test_a_folder_is_refused_shortly_or_packed(
    entries: list[Entry], requirements: bytes | None, pyproject: bytes | None, ignored: bytes | None
) -> None:
    root = Path(tempfile.mkdtemp(prefix="folder-"))
    try:
        folder = root / "application"
        folder.mkdir()
        (root / "outside").write_bytes(SECRET)
        texts = {"requirements.txt": requirements, "pyproject.toml": pyproject, ".deployignore": ignored}
        for name, text in texts.items():
            if text is not None:
                (folder / name).write_bytes(text)
        for entry in entries:
            _make(folder, entry)
        try:
            made = application_release(folder, "app", "app")
            again = made.archive.content
        except ValueError as error:
            event("refused")
            _assert_short(str(error))
            return
        event("packed")
        file = root / "release.tar.gz"
        with file.open("wb") as opened:
            made.archive.write(opened)
        assert file.read_bytes() == again
        # Whoever writes !.env into .deployignore wants it.
        wanted = ignored is not None and b"!" in ignored
        _assert_taken(file, root, b"" if wanted else SECRET)
    finally:
        shutil.rmtree(root)


def _make(folder: Path, entry: Entry) -> None:
    """Make it, unless something stands in its way."""
    path = folder / entry.path
    content = SECRET if _LEFT_OUT_PLACE.search(entry.path) else entry.content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.what in ("file", "program"):
            with path.open("xb") as file:
                file.write(content)
            path.chmod(0o755 if entry.what == "program" else 0o640)
        elif entry.what == "sparse":
            with path.open("xb") as file:
                file.truncate(6 << 30)
        elif entry.what == "folder":
            path.mkdir()
        elif entry.what == "link":
            path.symlink_to(entry.target)
        else:
            os.mkfifo(path)
    except (OSError, ValueError):
        event("something stood in the way")


def _assert_short(message: str) -> None:
    assert len(message) <= LONGEST_MESSAGE, message
    assert message.isprintable(), message
    assert SECRET.decode() not in message


def _assert_taken(file: Path, root: Path, secret: bytes) -> None:
    """By the server's own tool: it reads the archive, and unpacks it into plain files that hold no secret."""
    archive = module("archive")
    found = archive.read(file)
    unpacked = root / "unpacked"
    archive.unpack(found, unpacked, "/instance")
    with tarfile.open(file) as tar:
        for member in tar:
            assert member.isreg()
            content = tar.extractfile(member)
            assert content
            assert not secret or secret not in content.read()
    lines = found.requirements.decode().splitlines()
    assert not [line for line in lines if re.match(r"\s*(-r|-e|-c|/|\.\.?/|file:)", line)]
