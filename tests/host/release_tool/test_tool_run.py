"""`run`: what a user expects to find inside the live release."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .fake_host import FakeHost, module

PRINT = "import os, sys; print(os.getcwd(), sys.path[1], os.environ['FLASK_APP'], os.environ['GREETING'])"


@pytest.fixture
def live(host: FakeHost) -> Path:
    """The folder of a live release's code."""
    ran = host.release(host.archive("one"), env={"GREETING": "hi"})
    assert ran.code == 0, ran.err
    return Path(host.root) / "srv/flask/releases" / str(ran.result["release"]) / "app"


def test_python_with_the_applications_folder_and_variables(host: FakeHost, live: Path) -> None:
    ran = host.run("run", "python", "-c", PRINT)
    assert ran.out.split() == [str(live), str(live), "site_app:app", "hi"]
    assert ran.code == 0


def test_pip_is_told_that_nobody_updates_it_and_nobody_may_write(host: FakeHost, live: Path) -> None:
    ran = host.run("run", "echo $PIP_DISABLE_PIP_VERSION_CHECK $PIP_NO_CACHE_DIR")
    assert ran.out == "1 1\n"


def test_the_exit_status_is_the_commands(host: FakeHost, live: Path) -> None:
    assert host.run("run", "python", "-c", "raise SystemExit(7)").code == 7


def test_one_word_with_spaces_is_a_line_for_the_shell(host: FakeHost, live: Path) -> None:
    assert host.run("run", "echo $GREETING && echo two").out == "hi\ntwo\n"
    assert host.run("run", "echo", "$GREETING && echo two").out == "$GREETING && echo two\n"


@pytest.mark.parametrize("name", ["pip", "pip3"])
def test_pip_of_an_environment_that_was_built_without_commands_for_it(
    host: FakeHost, live: Path, name: str
) -> None:
    (live.parent / "venv/bin" / name).unlink()
    host.forget_calls()
    assert host.run("run", name, "list").code == 0
    assert host.calls() == ["pip -m pip list"]


def test_what_is_not_there(host: FakeHost, live: Path) -> None:
    ran = host.run("run", "no-such-thing")
    assert ran.code == 1
    assert ran.err.startswith("error: There is no command no-such-thing")
    assert "python -m" in ran.err
    assert host.run("run").err.startswith("error: Say what to run")


def test_nothing_is_live(host: FakeHost) -> None:
    assert "No release is live here" in host.run("run", "true").err


def test_an_environments_own_pip(host: FakeHost) -> None:
    """Made by a real Python: its commands are there, and list what is in it."""
    settings = module("settings").Settings()._replace(python=sys.executable)
    real = module("host").Host(host.root)
    for wheel in real.wheels.glob("pip-*"):
        wheel.unlink()
    folder = host.root / "srv/flask/venvs/made"
    folder.parent.mkdir(parents=True)
    module("venvs")._create(real, settings, folder)
    for name in ("pip", "pip3"):
        ran = module("process").run([str(folder / "bin" / name), "--disable-pip-version-check", "list"])
        assert ran.code == 0, ran.output
        assert ran.output.startswith("Package")
        assert "pip " in ran.output
