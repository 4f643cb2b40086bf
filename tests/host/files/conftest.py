"""A host in a folder, with nginx and uWSGI from its own files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.variants import small


@pytest.fixture(scope="module", params=["unix", "127.0.0.1:8080"], ids=["unix", "tcp"])
def served(request: pytest.FixtureRequest) -> Iterator[rig.Host]:
    """The blog post's host, on a unix socket and on TCP, serving APPLICATION."""
    settings = small(socket=request.param)
    with rig.host(settings) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        yield made


@pytest.fixture(scope="module", params=["unix", "127.0.0.1:8080"], ids=["unix", "tcp"])
def broken(request: pytest.FixtureRequest) -> Iterator[rig.Host]:
    """A host before its first release: nginx alone."""
    with rig.host(small(socket=request.param)) as made, rig.nginx(made):
        yield made


@pytest.fixture
def host() -> Iterator[rig.Host]:
    """The files alone."""
    with rig.host(small(socket="unix")) as made:
        yield made


@pytest.fixture(scope="module")
def named() -> Iterator[rig.Host]:
    """A host with a domain, before its first release."""
    settings = small(socket="unix", has_domain=True, server_names=("www.example.com",))
    with rig.host(settings) as made, rig.nginx(made):
        yield made
