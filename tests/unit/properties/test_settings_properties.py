"""A configuration, whatever is in it, is refused in one short sentence or taken by every program that reads it."""

from __future__ import annotations

from pathlib import Path

import pulumi
from hypothesis import event, given
from pulumi.runtime import set_all_config

import settings
from tests.unit.loading import ADMIN, load, make_project
from tests.unit.properties.accepted import Programs
from tests.unit.properties.configurations import configurations
from tests.unit.properties.profile import LONG, examples
from tests.unit.recorder import PROJECT, run

SECRET = ("privateKey", "certificateKey", "secrets")
LONGEST_MESSAGE = 1000


def test_a_configuration_is_refused_shortly_or_works(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "link").symlink_to("app")
    (project / "app" / "src").mkdir()
    (project / "app" / "src" / "app.py").write_text("app = 1\n")
    programs = Programs(tmp_path)
    verdicts = {"refused": 0, "accepted": 0}

    @examples(short=100, long=10_000)
    @given(configurations())
    def holds(config: dict[str, str]) -> None:
        set_all_config(
            {f"{PROJECT}:{key}": value for key, value in {**ADMIN, **config}.items()},
            [f"{PROJECT}:{key}" for key in SECRET],
        )
        try:
            loaded = settings.load(project)
        except pulumi.RunError as error:
            assert_short(str(error))
            event("refused")
            verdicts["refused"] += 1
            return
        programs.read(loaded)
        event("accepted")
        verdicts["accepted"] += 1

    # Once around all examples: each run of the recorder makes an event loop and an engine.
    run(holds)
    everything = {"domain": "www.example.com", "tls": "acme", "acmeEmail": "a@b.example"}
    programs.verify_units(load(project, everything).host())
    assert verdicts["refused"] > sum(verdicts.values()) // 10
    assert verdicts["accepted"] > sum(verdicts.values()) // 10
    if LONG:
        print(verdicts, f"programs were asked {programs.asked} times")


def assert_short(message: str) -> None:
    assert len(message) <= LONGEST_MESSAGE, message
    assert message.isprintable(), message
    assert "Traceback" not in message
