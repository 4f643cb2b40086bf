"""The base image: built once, whole or not at all, and what is said when it cannot be."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import image
from sandbox.errors import SandboxError
from tests.sandbox import machine

PROJECT = Path(image.__file__).parents[1]
UNREACHABLE = "http://127.0.0.1:9/debian"


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A name and a cache folder of the test's own; its images are removed."""
    name = f"localhost/flask-test-{secrets.token_hex(4)}"
    monkeypatch.setattr(image, "_REPOSITORY", name)
    monkeypatch.setattr(image, "_CACHE", tmp_path / "cache")
    yield name
    for left in images(name):
        subprocess.run(["podman", "image", "rm", left], check=True, capture_output=True)


def images(repository: str) -> list[str]:
    command = [
        "podman",
        "images",
        "--filter",
        f"reference={repository}",
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_an_image_that_is_there_is_not_built_again() -> None:
    first = image.base_image(print)
    said: list[str] = []

    assert image.base_image(said.append) == first
    assert said == []


def test_two_runs_at_once_build_it_once(repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []
    waiting = threading.Event()

    def bootstrap(archive: Path, *others: object) -> None:
        """In place of mmdebstrap: a root folder with nothing in it, as slow as the other run is."""
        built.append(archive)
        assert waiting.wait(20)
        with tarfile.open(archive, "w") as tar:
            tar.addfile(tarfile.TarInfo("empty"))

    monkeypatch.setattr(image, "_bootstrap", bootstrap)
    results: list[str] = []

    def say(line: str) -> None:
        if line.startswith("Waiting"):
            waiting.set()

    runs = [threading.Thread(target=lambda: results.append(image.base_image(say))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert len(built) == 1
    assert results == images(repository) * 2


def test_a_killed_build_leaves_no_image_no_process_and_no_lock(repository: str, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from sandbox import image\n"
        f"image._REPOSITORY = {repository!r}; image._CACHE = pathlib.Path({str(tmp_path / 'cache')!r})\n"
        "image.base_image(lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as build:
        assert build.stdout
        for line in build.stdout:
            if "extracting" in line or "downloading" in line:
                break
        build.send_signal(signal.SIGKILL)

    # mmdebstrap holds the lock as long as it cleans up after itself; then the next run has its turn.
    machine.wait_for(lambda: not processes_with(str(tmp_path)))
    assert images(repository) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    with image._lock(tmp_path / "cache/lock", pytest.fail):
        pass


def processes_with(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in command:
                found.append(int(entry.name))
    return found


def test_a_build_that_fails_shows_what_mmdebstrap_said_and_leaves_nothing(
    repository: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image, "_apt_sources", lambda: f"deb {UNREACHABLE} bookworm main\n")

    with pytest.raises(SandboxError, match=r"(?s)with mmdebstrap:.*127\.0\.0\.1.*apt-get update"):
        image.base_image(print)

    assert images(repository) == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_another_recipe_or_another_mirror_is_another_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe, sources = tmp_path / "recipe", tmp_path / "sources.list"
    (recipe / "files").mkdir(parents=True)
    monkeypatch.setattr(image, "_RECIPE", recipe)
    monkeypatch.setattr(image, "_APT", (sources,))
    (recipe / "packages.txt").write_text("systemd\n")
    hashes = [image._recipe_hash()]
    (recipe / "packages.txt").write_text("systemd\nsudo\n")
    hashes.append(image._recipe_hash())
    (recipe / "packages.txt").rename(recipe / "files/packages.txt")
    hashes.append(image._recipe_hash())
    sources.write_text("deb http://mirror.invalid/debian bookworm main\n")
    hashes.append(image._recipe_hash())

    assert len(set(hashes)) == 4
    assert image._recipe_hash() == hashes[-1]


def test_the_sources_are_debians_of_this_machine() -> None:
    sources = image._apt_sources()

    assert " bookworm main\n" in sources
    for line in sources.splitlines():
        kind, uri, suite, component = line.split()
        assert (kind, component) == ("deb", "main")
        assert "debian" in uri
        assert suite in {"bookworm", "bookworm-updates", "bookworm-security"}


def test_missing_programs_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert image.missing_tools() == ()
    monkeypatch.setattr(image, "_PATH", str(tmp_path))
    monkeypatch.setattr(image, "_NETAVARK", (tmp_path / "netavark",))

    assert set(image.missing_tools()) >= {"mmdebstrap", "netavark", "nftables", "podman", "runc"}
    with pytest.raises(SandboxError, match=r"apt-get install .*mmdebstrap.* nftables.* podman"):
        image.base_image(print)


def test_only_root_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SandboxError, match="as root"):
        image.base_image(print)
