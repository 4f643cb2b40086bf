"""How many examples are tried: a moment's worth that is the same each time, or by HYPOTHESIS_PROFILE=long for an hour.

A short run tries the same examples on every machine; a long one tries others each time, and says how to repeat one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
Test = TypeVar("Test", bound=Callable[..., object])


def examples(short: int, long: int) -> Callable[[Test], Test]:
    """A decorator: so many examples in a short run, and in a long one."""
    return settings(
        max_examples=long if LONG else short,
        derandomize=not LONG,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
