"""Newer versions from the registries, written into the files that pin them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from pins.table import PINS, ROOT, By, raised

_UV = ".cache/uv/bin/uv"
_PIN = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*)==(\d[\w.]*)")
_OBSERVATORY = ROOT / "tests/scores/observatory"
_ENGINE = ROOT / "tests/engine"
_PULUMI = "github.com/pulumi/pulumi/pkg/v3"


class RenewalError(Exception):
    """A registry, or its client, did not do it."""


def index() -> list[str]:
    """Raise what the package index has newer versions of; return what was raised."""
    return [line for file in PINS if raised(file) for line in _raise(file, raised(file))]


def locks() -> list[str]:
    """Resolve the lock files anew; return how many pins of which changed."""
    files = [file for file, pins in PINS.items() if By.LOCK in pins.values()]
    before = {file: set(_PIN.findall(_read(file))) for file in files}
    _run(["make", "lock"])
    changed = {file: len(set(_PIN.findall(_read(file))) - before[file]) for file in files}
    return [f"{file}: {count} pins" for file, count in changed.items() if count]


def standalone_python() -> list[str]:
    """Take the newest build of the same minor version of Python."""
    file = "cloud-init/centos7.sh"
    text = _read(file)
    minor = _assigned(text, "python_version").rpartition(".")[0]
    (name, digest) = max(_builds(minor), key=lambda build: _numbers(build[0]))
    version, tag = name.removeprefix("cpython-").split("-")[0].split("+")
    if [*_numbers(version), int(tag)] <= [
        *_numbers(_assigned(text, "python_version")),
        int(_assigned(text, "python_tag")),
    ]:
        return []
    for key, value in (("version", version), ("tag", tag), ("sha256", digest)):
        text = re.sub(rf"^python_{key}=\S+$", f"python_{key}={value}", text, flags=re.MULTILINE)
    (ROOT / file).write_text(text)
    return [
        f"{file}: Python {version}+{tag}. New user data: each CentOS 7 server is replaced, so CHANGELOG.md has to say",
        "  **new server**; the comment above it names the package that the digest is from",
    ]


def npm() -> list[str]:
    """Take the newest Observatory, and resolve its lock file anew."""
    file = _OBSERVATORY / "package.json"
    document = json.loads(file.read_text())
    lines = []
    for name, how in PINS["tests/scores/observatory/package.json"].items():
        if how is By.NPM:
            newest = _run(["npm", "view", name, "version"], _OBSERVATORY).strip()
            if document["dependencies"][name] != newest:
                lines.append(f"{file.relative_to(ROOT)}: {name} {document['dependencies'][name]} → {newest}")
                document["dependencies"][name] = newest
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    lock = _OBSERVATORY / "package-lock.json"
    before = lock.read_bytes()
    _run(["npm", "update", "--package-lock-only", "--silent"], _OBSERVATORY)
    return lines + ([f"{lock.relative_to(ROOT)}: changed"] if lock.read_bytes() != before else [])


def go() -> list[str]:
    """Take the newest CLI of Pulumi, which tests/engine builds."""
    before = _pulumi_cli()
    _run([*_go(), "get", f"{_PULUMI}@latest"], _ENGINE)
    after = _pulumi_cli()
    if after == before:
        return []
    _run([*_go(), "mod", "tidy"], _ENGINE)
    return [f"tests/engine/go.mod: Pulumi {before} → {after}"]


def _raise(file: str, names: set[str]) -> list[str]:
    text = _read(file)
    newest = _resolved(_at_least(_requirements(file, text), names))
    lines = []

    def newer(pin: re.Match[str]) -> str:
        name, version = pin.groups()
        if name not in names or newest[_normal(name)] == version:
            return pin[0]
        lines.append(f"{file}: {name} {version} → {newest[_normal(name)]}")
        return f"{name}=={newest[_normal(name)]}"

    (ROOT / file).write_text(_PIN.sub(newer, text))
    return lines


def _requirements(file: str, text: str) -> list[str]:
    if not file.endswith(".toml"):
        return [f"{name}=={version}" for name, version in _PIN.findall(text)]
    document = tomllib.loads(text)
    return [*document["project"]["dependencies"], *document["dependency-groups"]["dev"]]


def _at_least(requirements: Iterable[str], names: set[str]) -> str:
    return "".join(
        _PIN.sub(lambda pin: pin[0].replace("==", ">=") if pin[1] in names else pin[0], line) + "\n"
        for line in requirements
    )


def _resolved(requirements: str) -> dict[str, str]:
    """Name → version that fits all of the requirements and is the newest that does."""
    options = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    resolved = _run([_UV, "pip", "compile", *options, "--python-version", "3.11", "-"], stdin=requirements)
    return {_normal(name): version for name, version in _PIN.findall(resolved)}


def _builds(minor: str) -> list[tuple[str, str]]:
    """File name and SHA-256 of each build for CentOS 7, as the newest pbs-installer has them."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--target", folder, "pbs-installer"])
        document = json.loads(Path(folder, "pbs_installer/versions.json").read_text())
    end = "-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    return [
        (entry["filename"], entry["sha256"])
        for version in document
        for entry in version["files"]
        if entry["filename"].startswith(f"cpython-{minor}.")
        and entry["filename"].endswith(end)
        and entry["sha256"]
    ]


def _pulumi_cli() -> str:
    found = re.search(rf"^\t{re.escape(_PULUMI)} (\S+)", (_ENGINE / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else "none"


def _go() -> list[str]:
    """This machine's Go where it is new enough; else the one that setup/engine.sh brought along."""
    for program in ("go", *map(str, (ROOT / ".cache/engine/go").glob("lib/python*/site-packages/go/bin/go"))):
        asked = ["env", "GOTOOLCHAIN=local", program, "list", "-m"]
        if subprocess.run(asked, cwd=_ENGINE, capture_output=True, check=False).returncode == 0:
            return ["env", "GOTOOLCHAIN=local", program]
    raise RenewalError(
        "there is no Go as new as tests/engine/go.mod asks for; `make engine` brings one along"
    )


def _assigned(text: str, name: str) -> str:
    found = re.search(rf"^{name}=(\S+)$", text, re.MULTILINE)
    if not found:
        raise RenewalError(f"there is no {name} in cloud-init/centos7.sh; see pins/renew.py")
    return found[1]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(file: str) -> str:
    return (ROOT / file).read_text()


def _run(command: list[str], folder: Path = ROOT, stdin: str = "") -> str:
    try:
        done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RenewalError(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise RenewalError(f"`{' '.join(command)}` failed:\n{said}")
    return done.stdout
