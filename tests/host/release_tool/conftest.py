from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_host import FakeHost, fake_host


@pytest.fixture
def host() -> Iterator[FakeHost]:
    """A host without a release."""
    # Not tmp_path: a unix socket's path holds 107 characters.
    with fake_host(Path(tempfile.mkdtemp(prefix="fr-"))) as made:
        yield made
