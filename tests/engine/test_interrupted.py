"""A run that is told to stop finishes the step it is at, records it and gives the stack back."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from tests.engine.real import RealStack
from tests.engine.running import Running, held, settled

GOES_ON = "interrupted; the same command goes on from here"
CTRL_C = b"\x03"


def in_order(stack: RealStack, number: int | None = None) -> None:
    """Nothing of a run is left, what there is is on record, and that is the networks up to this number."""
    assert settled(stack) == []
    assert stack.locks() == []
    assert stack.recorded() == stack.there()
    assert number is None or len(stack.there()) == number + 1


@contextmanager
def at_a_network(stack: RealStack, number: int, *, terminal: bool = False) -> Iterator[Running]:
    """An `up` that makes this network, for as long as the caller wants, and has another one to make after it."""
    stack.configure(networks=number + 2)
    with held(stack):
        run = Running(stack, "up", terminal=terminal)
        run.wait_for(rf"Network +net-{number} ")
        yield run


@pytest.fixture(scope="module")
def steps() -> Callable[[], int]:
    """Numbers the networks: each interrupted `up` goes on where the last one was, and has one more to make."""
    return count().__next__


@pytest.mark.parametrize(
    ("ask", "terminal"),
    [
        pytest.param(lambda run: run.signal(signal.SIGTERM), False, id="SIGTERM"),
        pytest.param(lambda run: run.signal(signal.SIGHUP), False, id="SIGHUP"),
        pytest.param(lambda run: run.signal_group(signal.SIGINT), False, id="SIGINT to its group"),
        pytest.param(lambda run: run.type(CTRL_C), True, id="Ctrl-C"),
    ],
)
def test_an_interrupted_up_is_gone_on_with(
    networks: RealStack, steps: Callable[[], int], ask: Callable[[Running], None], *, terminal: bool
) -> None:
    number = steps()
    with at_a_network(networks, number, terminal=terminal) as run:
        ask(run)
        run.wait_for("cancelling: the step under way is finished and recorded")
    ended = run.end()
    assert ended.status == 130
    assert ended.text.rstrip().endswith(GOES_ON)
    assert "Traceback" not in ended.text
    in_order(networks, number)


@pytest.mark.parametrize(
    ("ask", "terminal"),
    [
        pytest.param(lambda run: run.signal(signal.SIGKILL), False, id="SIGKILL"),
        # Twice at once: by the kernel, and by the shell that loses its terminal, too.
        pytest.param(lambda run: run.hang_up(), True, id="a closed terminal"),
    ],
)
def test_whose_end_nobody_sees_is_in_order_as_well(
    networks: RealStack, steps: Callable[[], int], ask: Callable[[Running], None], *, terminal: bool
) -> None:
    number = steps()
    with at_a_network(networks, number, terminal=terminal) as run:
        ask(run)
        time.sleep(1)  # held, it cannot go on: whatever there is to be told is told
    run.end()
    in_order(networks, number)


def test_a_second_signal_ends_it_at_once(new_stack: Callable[[], RealStack]) -> None:
    networks = new_stack()
    networks.use_networks()
    with at_a_network(networks, 0) as run:
        run.signal(signal.SIGINT)
        run.wait_for("a second time ends it at once")
        run.insist(signal.SIGINT, "cancelling at once")
        # Held: the step under way does not end.
        ended = run.end()
        assert ended.status == 130
        assert ended.text.rstrip().endswith(GOES_ON)
        assert settled(networks) == []
        assert networks.locks() == []
    # What it said: that step's network is on no record. Here it is looked for and removed by hand.
    lost = [name for name in networks.leftovers() if not any(known in name for known in networks.there())]
    subprocess.run(["podman", "network", "rm", *lost], check=True, capture_output=True)


def test_an_interrupted_destroy_is_gone_on_with(networks: RealStack) -> None:
    networks.configure(networks=4)
    networks.up()
    before = networks.there()
    with held(networks):
        run = Running(networks, "destroy", "--yes")
        run.wait_for(r"Network +net-\d+ ")
        run.signal(signal.SIGINT)
        run.wait_for("cancelling")
    ended = run.end()
    assert ended.status == 130
    assert ended.text.rstrip().endswith(GOES_ON)
    in_order(networks)
    assert networks.there() < before
    assert networks.destroy().status == 0
    assert networks.there() == set()


def test_up_of_a_server_is_gone_on_with_from_wherever_it_was(stack: RealStack) -> None:
    stack.checked_out("__main__.py")
    stack.configure(networks=None)
    ways: tuple[tuple[str, Callable[[Running], None]], ...] = (
        (r"Instance +\S+ ", lambda run: run.signal(signal.SIGINT)),
        (r"Command +\S+-ready ", lambda run: run.type(CTRL_C)),
        (r"Command +\S+-release ", lambda run: run.signal(signal.SIGTERM)),
    )
    for step, ask in ways:
        run = Running(stack, "up", terminal=True)
        run.wait_for(step)
        ask(run)
        ended = run.end()
        assert ended.status == 130, ended.text
        assert "cancelling: the step under way is finished and recorded" in ended.text
        assert ended.text.rstrip().endswith(GOES_ON)
        in_order(stack)
    instances = [of for of in stack.there() if of.startswith("i-")]
    assert stack.up().status == 0
    assert [of for of in stack.there() if of.startswith("i-")] == instances
    assert stack.get("/healthz").status_code == 200
    assert "no changes" in stack.up().text
