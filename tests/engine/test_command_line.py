"""What the command line and the library say of a run, and that they leave a person's own `pulumi` as it was."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator

import pytest

from automation import open_stack
from progress import Event, Happening, Operation, Outcome
from tests.engine.real import RealStack, another


@contextlib.contextmanager
def at_home(stack: RealStack) -> Iterator[None]:
    """This process with the environment of the stack's account."""
    before = dict(os.environ)
    os.environ.update(stack.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def operations(outcome: Outcome) -> list[tuple[Operation, str]]:
    return [(step.operation, step.name) for step in outcome.steps]


def test_the_selected_stack_stays(networks: RealStack) -> None:
    other = another(networks, "other")

    def selected() -> str | None:
        run = networks.plain_pulumi("stack", "ls", "--json")
        return next(
            (
                name
                for name in ("mine", "real", "other")
                if f'"name": "{name}",\n    "current": true' in run.text
            ),
            None,
        )

    # Makes the stack.
    assert other.ops("preview", "other").status == 0
    assert selected() is None
    assert networks.plain_pulumi("stack", "init", "mine").status == 0
    assert selected() == "mine"
    for command in ("up", "output", "status"):
        other.ops(command, "other")
    other.ops("secret", "other", "WORD", stdin="x")
    assert other.destroy().status == 0
    assert selected() == "mine"


def test_a_plan_and_its_run_count_alike_and_a_replacement_once(networks: RealStack) -> None:
    networks.configure(networks=3)
    assert "3 created\n" in networks.up().text
    # One that only a new resource can take, one that is changed in place, one that goes, and one that comes.
    networks.edit(
        "__main__.py",
        'f"net-{number}", cidr_block=cidr,',
        'f"net-{number}" if number != 2 else "other", cidr_block=cidr, is_default=None if number else True,'
        " vpc_name='n',",
    )
    planned = networks.ops("preview", networks.stack)
    assert "1 to create, 1 to update, 1 to replace, 1 to delete" in planned.text
    seen: list[Event] = []
    with at_home(networks):
        outcome = open_stack(networks.stack, networks.folder).up(seen.append)
    assert sorted(operations(outcome)) == [
        (Operation.CREATE, "other"),
        (Operation.DELETE, "net-2"),
        (Operation.REPLACE, "net-0"),
        (Operation.UPDATE, "net-1"),
    ]
    done = [event.step for event in seen if event.happening is Happening.DONE]
    assert sorted(step.name for step in done) == ["net-0", "net-1", "net-2", "other"]
    # The other is secret.
    assert outcome.outputs == {"last": networks.ids()["other"]}


def test_a_step_that_failed_is_not_counted_as_done(networks: RealStack) -> None:
    networks.configure(networks=4)
    networks.edit("__main__.py", "cidr_block=cidr,", "cidr_block=cidr if number < 3 else None,")
    run = networks.ops("up", networks.stack)
    networks.edit("__main__.py", "cidr_block=cidr if number < 3 else None,", "cidr_block=cidr,")
    assert run.status == 1
    assert len(re.findall(r"^\+ Network +net-3 +failed", run.text, re.MULTILINE)) == 1
    assert run.text.count("Network net-3 failed") == 1
    assert "1 failed, 3 unchanged" in run.text
    assert "created" not in run.text


def test_what_a_callers_report_raises_ends_the_run_in_order(networks: RealStack) -> None:
    networks.configure(networks=6)

    def report(event: Event) -> None:
        if event.happening is Happening.STARTED:
            raise LookupError(event.step.name)

    with at_home(networks), pytest.raises(LookupError) as raised:
        open_stack(networks.stack, networks.folder).up(report)
    assert networks.recorded() == networks.there()
    assert networks.locks() == []
    assert raised.value.args[0].startswith("net-")


def test_a_stack_is_opened_from_a_worker_thread(networks: RealStack) -> None:
    outcomes: list[Outcome] = []

    def work() -> None:
        outcomes.append(open_stack(networks.stack, networks.folder).up(lambda _event: None))

    with at_home(networks):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    (outcome,) = outcomes
    assert not outcome.failures
    assert len(networks.there()) == 6
