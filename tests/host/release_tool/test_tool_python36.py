"""The oldest Python that the tool meets is CentOS 7's own: 3.6."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .fake_host import TOOL, fake_host


def python36() -> str | None:
    """A Python 3.6 of this machine."""
    installed = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.6*/bin/python"))]
    on_path = shutil.which("python3.6")
    for candidate in [*installed, *([on_path] if on_path else [])]:
        # A version manager puts a python3.6 on PATH that only says that there is none.
        if subprocess.run([candidate, "-c", "pass"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("package", ["flask_release", "flask_certificate"])
def test_nothing_in_it_is_newer_than_python_36(package: str) -> None:
    checker = [str(Path(sys.executable).with_name("vermin")), "-t=3.6-", "--no-tips", "--violations"]
    checked = subprocess.run(
        [*checker, str(TOOL.parent / package)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert "Minimum required versions: 3.6" in checked.stdout


def test_whole_way_under_python_36(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a Python 3.6, it configures, releases, goes back and boots; elsewhere the checker has to do."""
    found = python36()
    if found is None:
        return
    monkeypatch.setenv("RELEASE_TOOL_PYTHON", found)
    with fake_host(Path(tempfile.mkdtemp(prefix="fr-"))) as host:
        host.python = found
        assert host.run("configure", str(host.bundle("one", {}))).code == 0
        for name in ("one", "two"):
            ran = host.release(host.archive(name), env={"A": name})
            assert ran.code == 0, ran.err
        assert host.visit() == (200, "hello from two")
        assert host.run("rollback").code == 0
        assert host.visit() == (200, "hello from one")
        for command in ("status", "releases", "prune", "boot"):
            ran = host.run(command)
            assert ran.code == 0, ran.err
        failed = host.release(host.archive("bad", "import nothing_of_that_name\n"))
        assert (failed.code, "nothing_of_that_name" in failed.err) == (1, True)
        modules = {
            f"flask_release.{file.stem}" for file in TOOL.glob("*.py") if not file.stem.startswith("__")
        }
        imported = (
            f"import sys; sys.path.insert(0, {str(TOOL.parent)!r}); import {', '.join(sorted(modules))}"
        )
        subprocess.run([found, "-B", "-c", imported], check=True)
