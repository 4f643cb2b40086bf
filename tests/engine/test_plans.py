"""One table of changes, planned by Pulumi's own engine and by the sandbox's: both say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.e2e.deployment import Deployment, checkout
from tests.engine.real import RealStack, build, real_stack
from tests.unit.recorder import ed25519

PUBLIC_KEY = ed25519()[1]
# Sign, type, name without the stack's, and the inputs that differ.
Line = tuple[str, str, str, str]


@dataclass(frozen=True)
class Change:
    """Something that a person does to a deployed stack, and what a plan says of it."""

    made: Callable[[Deployment], object]
    plan: set[Line]
    says: str = ""
    reasons: bool = True
    """Whether the inputs that differ are told: Pulumi's engine does not, where a replacement brings another along."""


HOST_FILES: set[Line] = {
    ("~", "CopyToRemote", "host-files", "remotePath, source"),
    ("±", "Command", "configure", "create, triggers"),
}
RELEASE: set[Line] = {
    ("~", "CopyToRemote", "application", "remotePath, source"),
    ("±", "Command", "release", "create, triggers"),
}


def edited(deployment: Deployment) -> None:
    deployment.edit("app/templates/base.html", "<footer>", "<footer id='edited'>")


CHANGES = {
    "nothing": Change(lambda _: None, set()),
    "an edited application": Change(edited, RELEASE),
    "a variable": Change(lambda to: to.configure(env={"NAME": "x"}), {("~", "Command", "release", "stdin")}),
    "a domain": Change(lambda to: to.configure(domain="www.example.com"), HOST_FILES),
    "more addresses for SSH": Change(
        lambda to: to.configure(adminCidrs=["127.0.0.0/8", "203.0.113.7/32"]),
        {("+", "SecurityGroupRule", "22-203.0.113.7-32", "")},
    ),
    "fewer addresses for the web": Change(
        lambda to: to.configure(webCidrs=["127.0.0.0/8"]),
        {
            ("+", "SecurityGroupRule", "80-127.0.0.0-8", ""),
            ("+", "SecurityGroupRule", "443-127.0.0.0-8", ""),
            ("-", "SecurityGroupRule", "80-0.0.0.0-0", ""),
            ("-", "SecurityGroupRule", "443-0.0.0.0-0", ""),
        },
    ),
    "a public key": Change(lambda to: to.configure(publicKey=PUBLIC_KEY), HOST_FILES),
    "another type": Change(
        lambda to: to.configure(instanceType="ecs.e-c1m4.large"),
        {("~", "Instance", "debian12", "instanceType")},
        "The server restarts for another instanceType",
    ),
    "more bandwidth": Change(
        lambda to: to.configure(bandwidthMbps=10), {("~", "Instance", "debian12", "internetMaxBandwidthOut")}
    ),
    "another first boot": Change(
        lambda to: to.configure(pythonMirror="https://mirror.example/python"),
        {
            ("±", "Instance", "debian12", ""),
            ("±", "Command", "ready", ""),
            ("±", "CopyToRemote", "host-files", ""),
            ("±", "CopyToRemote", "application", ""),
            ("±", "Command", "configure", ""),
            ("±", "Command", "release", ""),
        },
        "The server is replaced",
        reasons=False,
    ),
}

# A preview takes seconds: changes of resources that are not the same are planned at once.
TOGETHER = (
    ("nothing",),
    ("an edited application", "a domain", "more addresses for SSH", "another type"),
    ("a variable", "a public key", "fewer addresses for the web", "more bandwidth"),
    ("another first boot",),
)


@dataclass(frozen=True)
class Both:
    """The same application, deployed by either engine."""

    real: RealStack
    sandbox: Deployment


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    build()
    folder = tmp_path_factory.mktemp("plans").resolve()
    (folder / "local").mkdir()
    made = Both(real_stack(folder), checkout(folder / "local"))
    yield made
    with ThreadPoolExecutor() as beside:
        gone = list(beside.map(lambda stack: stack.destroy(), (made.real, made.sandbox)))
    assert [run.status for run in gone] == [0, 0], gone
    assert made.real.leftovers() + made.sandbox.leftovers() == []


@pytest.fixture(scope="module")
def deployed(both: Both) -> Both:
    with ThreadPoolExecutor() as beside:
        for run in beside.map(lambda stack: stack.up(), (both.real, both.sandbox)):
            assert "15 created" in run.text
    return both


def plan(deployment: Deployment) -> tuple[set[Line], str]:
    """Return what `./ops preview` says, and all of its text."""
    run = deployment.ops("preview", deployment.stack)
    assert run.status == 0, run.text
    prefix = re.escape(f"flask-on-ecs-{deployment.stack}")
    lines = re.findall(rf"^([+~±-]) (\w+) +{prefix}-?(\S*) +(?:\((.*)\))?$", run.text, re.MULTILINE)
    return {(sign, kind, name, changed or "") for sign, kind, name, changed in lines}, run.text


def test_a_first_preview_plans_all_and_makes_nothing(both: Both) -> None:
    with ThreadPoolExecutor() as beside:
        (real, text), (sandbox, _) = beside.map(plan, (both.real, both.sandbox))
    assert real == sandbox
    assert len(real) == 15
    assert "15 to create" in text
    # As it is typed: with the engine's own output, and its exit status.
    typed = both.real.pulumi("preview")
    assert typed.status == 0, typed.text
    assert "+ 20 to create" in typed.text  # with the stack and its four components
    assert both.real.ids() == {}


@pytest.mark.parametrize("several", TOGETHER, ids=" and ".join)
def test_both_engines_plan_changes_alike(deployed: Both, several: Sequence[str]) -> None:
    changes = [CHANGES[what] for what in several]
    expected = set().union(*(change.plan for change in changes))
    # What is planned for one is not hidden by another.
    assert len({line[:3] for line in expected}) == sum(len(change.plan) for change in changes)

    def planned(stack: Deployment) -> tuple[set[Line], str]:
        with stack.changed():
            for change in changes:
                change.made(stack)
            return plan(stack)

    with ThreadPoolExecutor() as beside:
        plans = list(beside.map(planned, (deployed.real, deployed.sandbox)))
    for lines, text in plans:
        reasons = all(change.reasons for change in changes)
        assert (lines if reasons else {(*line[:3], "") for line in lines}) == expected, text
        for change in changes:
            assert change.says in text
        if not lines:
            assert "no changes" in text


def test_every_change_is_planned() -> None:
    assert sorted(what for several in TOGETHER for what in several) == sorted(CHANGES)
