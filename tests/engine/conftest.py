"""Each module of tests has an account of the cloud for itself, empty again at its end."""

from collections.abc import Callable, Iterator

import pytest

from tests.engine.real import RealStack, build, real_stack


@pytest.fixture(scope="session")
def engine() -> None:
    """Pulumi's CLI, built."""
    build()


@pytest.fixture(scope="module")
def new_stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], RealStack]]:
    """Makes stacks, each with a checkout and an account; all are taken down at the end."""
    made: list[RealStack] = []

    def make() -> RealStack:
        made.append(real_stack(tmp_path_factory.mktemp("account").resolve()))
        return made[-1]

    yield make
    for stack in made:
        stack.take_down()


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], RealStack]) -> RealStack:
    """A stack that is not deployed yet."""
    return new_stack()


@pytest.fixture(scope="module")
def networks(stack: RealStack) -> RealStack:
    """The same, with a program of a few networks: what needs no server is quick with them."""
    stack.use_networks()
    return stack
