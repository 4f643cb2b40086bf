"""The two archives a server gets: the application's release and the host's files.

Both are deterministic: the same content gives the same bytes, so a digest tells whether there is something to do.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pathspec

from render.host_files import HostFile, HostSettings, host_files
from render.revision import revision

# Never part of a release: version control, local environments and caches, local data, secrets of the developer.
ALWAYS_LEFT_OUT = (
    ".git/", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", "__pycache__/", "*.py[co]", ".*_cache/",
    ".tox/", ".coverage", "*.egg-info/", ".DS_Store", "/instance/", ".env", ".env.*", "*.sqlite", "*.sqlite3",
)  # fmt: skip
# An application with its static files stays far below; more is a folder taken by mistake.
MAX_BYTES = 256 * 1024 * 1024
DIGEST_LENGTH = 12
# Lines of a requirements file that name another file or folder; pip takes `-rbase.txt` as well as `-r base.txt`.
_OPTION = re.compile(r"\s*(--(?:requirement|constraint|editable)(?=[\s=])|-[rce])[\s=]*(\S+)")


@dataclass(frozen=True)
class Archive:
    """A tar.gz and the first hex digits of its content's SHA-256."""

    content: bytes
    digest: str


@dataclass(frozen=True)
class Release:
    """An application as it goes to a server.

    Attributes:
        archive: app/…, requirements.txt and release.json; its digest names the release.
        lock: digest of the requirements; releases with the same share an environment on the server.
        hashed: every requirement is pinned by hash.
    """

    archive: Archive
    lock: str
    hashed: bool


def host_archive(settings: HostSettings) -> Archive:
    """The rendered files of a host at their absolute places, packed."""
    return _archive(host_files(settings))


def application_release(path: Path, module: str, callable_: str, python_path: str = ".") -> Release:
    """Pack the application in folder `path`.

    Left out: ALWAYS_LEFT_OUT, and what `.deployignore` names, or `.gitignore` when there is no `.deployignore`.

    Raises:
        ValueError: the folder holds no requirements, too much, or a link that leads out of it.
    """
    requirements = _requirements(path)
    hashed = "--hash=" in requirements
    lock = _digest(requirements.encode())
    files = {f"app/{name}": file for name, file in _application_files(path)}
    files["requirements.txt"] = HostFile(requirements.encode(), 0o644)
    facts = {
        "module": module,
        "callable": callable_,
        "pythonpath": python_path,
        "lock": lock,
        "hashed": hashed,
    }
    identity = _digest(b"".join(_fingerprint(name, files[name]) for name in sorted(files)) + _json(facts))
    # Beside the identity, not in it: a commit that changes nothing here is no release.
    made = revision(path)
    described = {"id": identity, **facts, "commit": made.commit, "author": made.author}
    files["release.json"] = HostFile(_json(described), 0o644)
    return Release(Archive(_archive(files).content, identity), lock, hashed)


def _archive(files: Mapping[str, HostFile]) -> Archive:
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            file = files[name]
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(file.content), file.mode
            entry.uname = entry.gname = "root"
            tar.addfile(entry, io.BytesIO(file.content))
    content = gzip.compress(tar_bytes.getvalue(), compresslevel=6, mtime=0)
    return Archive(content, _digest(tar_bytes.getvalue()))


def _application_files(path: Path) -> Iterator[tuple[str, HostFile]]:
    left_out = pathspec.GitIgnoreSpec.from_lines([*ALWAYS_LEFT_OUT, *_ignore_lines(path)])
    total = 0
    for name in sorted(_walk(path, Path(), left_out)):
        file = path / name
        if not file.resolve().is_relative_to(path.resolve()):
            raise ValueError(f"{file} is a link that leads out of the application's folder")
        content = file.read_bytes()
        total += len(content)
        if total > MAX_BYTES:
            raise ValueError(
                f"{path} holds more than {MAX_BYTES // 2**20} MiB; leave what is not the application out"
                " with a .deployignore file"
            )
        yield name, HostFile(content, 0o755 if file.stat().st_mode & 0o100 else 0o644)


def _walk(root: Path, folder: Path, left_out: pathspec.GitIgnoreSpec) -> Iterator[str]:
    for entry in (root / folder).iterdir():
        name = (folder / entry.name).as_posix()
        if entry.is_dir():
            if left_out.match_file(f"{name}/"):
                continue
            if entry.is_symlink():
                raise ValueError(f"{entry} is a link to a folder, which a release cannot hold")
            yield from _walk(root, folder / entry.name, left_out)
        elif entry.is_file() and not left_out.match_file(name):
            yield name
        elif entry.is_symlink() and not left_out.match_file(name):
            raise ValueError(f"{entry} is a link to nothing")


def _ignore_lines(path: Path) -> list[str]:
    for name in (".deployignore", ".gitignore"):
        if (path / name).is_file():
            return (path / name).read_text(encoding="utf-8").splitlines()
    return []


def _requirements(path: Path) -> str:
    if (path / "requirements.txt").is_file():
        return _flattened(path, path / "requirements.txt", ())
    if (path / "pyproject.toml").is_file():
        project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        if project.get("dependencies"):
            return "".join(f"{line}\n" for line in project["dependencies"])
    raise ValueError(
        f"{path} has no requirements.txt, and no pyproject.toml with [project] dependencies: what should be"
        " installed? (a requirements.txt that holds at least flask)"
    )


def _flattened(root: Path, file: Path, seen: tuple[Path, ...]) -> str:
    """The file's text with its `-r` lines replaced by what they name, so that one text is the whole lock."""
    if file in seen or not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{seen[-1] if seen else file} includes {file.name}, which is not a file beside it")
    lines: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        option = _OPTION.match(line)
        if option is None:
            lines.append(line)
        elif option[1] in ("-r", "--requirement"):
            lines.append(_flattened(root, (file.parent / option[2]), (*seen, file)).rstrip("\n"))
        else:
            raise ValueError(
                f"{file} has the line {line.strip()!r}; {option[1]} cannot be installed on a server:"
                " compile a lock file (pip-compile, or uv pip compile)"
            )
    return "\n".join(lines) + "\n"


def _fingerprint(name: str, file: HostFile) -> bytes:
    return f"{name}\0{file.mode:o}\0{hashlib.sha256(file.content).hexdigest()}\n".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
