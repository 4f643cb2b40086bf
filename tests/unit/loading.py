"""A stack's configuration, read as the program reads it, from a folder with an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pulumi
import pytest

import settings
from tests.unit.recorder import run

ADMIN = {"adminCidrs": '["203.0.113.7/32"]'}


def make_project(folder: Path) -> Path:
    """Make an application in `folder`/app, whose module is `app` and callable `app`; return `folder`."""
    application = folder / "app"
    application.mkdir()
    (application / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (application / "requirements.txt").write_text("flask\n")
    return folder


def load(
    project: Path, config: Mapping[str, str] | None = None, secrets: Sequence[str] = ()
) -> settings.Settings:
    """The settings by `config`, which names keys without the project's name; `secrets`: those set with --secret."""
    loaded: list[settings.Settings] = []
    run(lambda: loaded.append(settings.load(project)), config={**ADMIN, **(config or {})}, secrets=secrets)
    return loaded[0]


def refusal(project: Path, config: Mapping[str, str], secrets: Sequence[str] = ()) -> str:
    """The message that a configuration is refused with."""
    with pytest.raises(pulumi.RunError) as error:
        load(project, config, secrets)
    return str(error.value)
