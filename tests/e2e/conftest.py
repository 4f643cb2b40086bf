"""Each module has a deployment of its own, taken down at its end."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, checkout


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A checkout that is not deployed yet."""
    made = checkout(tmp_path_factory.mktemp("checkout").resolve())
    yield made
    gone = made.destroy()
    assert gone.status == 0, gone.text
    assert made.leftovers() == []


@pytest.fixture(scope="module")
def deployed(deployment: Deployment) -> Deployment:
    """The same, deployed."""
    deployment.up()
    return deployment
