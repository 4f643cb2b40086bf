"""What `.ci/run` clears away when the tests that it ran were killed."""

from __future__ import annotations

import dataclasses
import os
import pickle
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import containers, networks
from tests.sandbox import machine
from tests.sandbox.machine import Place

PROJECT = Path(networks.__file__).resolve().parents[1]
# What `make test` leaves behind: a network, an instance in it, rules; and somebody else's work meanwhile.
KILLED_TESTS = """\
#!{python}
import os, pickle, sys
sys.path.insert(0, {project!r})
from pathlib import Path
from sandbox import containers, networks, packet_filter
left, others, seeds = pickle.loads({places!r})
networks.create(others.name("others"), others.labels)
os.environ[networks.CHECKOUT_VARIABLE] = {checkout!r}
networks.create(left.name("left"), left.labels)
containers.create(left.instance("left", "left"), left.seeds)
packet_filter.apply(left.table, [], [networks.bridge(left.name("left"))])
sys.exit(7)
"""


def tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def others(place: Place) -> Iterator[Place]:
    yield place
    place.clear()


def test_the_labels_name_the_checkout(others: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    networks.create(others.name("net"), others.labels)
    containers.create(others.instance("a", "net"), others.seeds)
    assert others.name("net") in networks.owned(networks.CHECKOUT_LABEL, str(PROJECT))
    assert others.name("a") in containers.owned(networks.CHECKOUT_LABEL, str(PROJECT))

    # A copy of a checkout, such as the tests make.
    monkeypatch.setenv(networks.CHECKOUT_VARIABLE, "/somewhere/else")
    networks.create(others.name("copy"), others.labels)
    assert networks.owned(networks.CHECKOUT_LABEL, "/somewhere/else") == [others.name("copy")]
    assert others.name("copy") not in networks.owned(networks.CHECKOUT_LABEL, str(PROJECT))


def test_what_killed_tests_left_goes_and_nothing_else(
    others: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy2(PROJECT / ".ci/run", checkout / ".ci")
    left = dataclasses.replace(others, mark=secrets.token_hex(4))
    with monkeypatch.context() as stood:
        stood.setenv(networks.CHECKOUT_VARIABLE, str(checkout))
        networks.create(others.name("stood"), others.labels)
    program = tmp_path / "bin/make"
    program.parent.mkdir()
    program.write_text(
        KILLED_TESTS.format(
            python=sys.executable,
            project=str(PROJECT),
            places=pickle.dumps((left, others, others.seeds)),
            checkout=str(checkout),
        )
    )
    program.chmod(0o755)

    ran = subprocess.run(
        [checkout / ".ci/run"],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 7, ran.stdout + ran.stderr
    assert networks.owned(machine.LABEL, left.mark) == []
    assert containers.owned(machine.LABEL, left.mark) == []
    assert left.table not in tables()
    assert networks.owned(machine.LABEL, others.mark) == sorted([others.name("others"), others.name("stood")])
