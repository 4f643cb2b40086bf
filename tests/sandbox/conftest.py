"""One image and one place a session; each module boots what it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.image import base_image
from tests.sandbox.machine import Place, new_place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = new_place(tmp_path_factory.mktemp("place"), base_image(print))
    try:
        yield place
    finally:
        place.clear()
