"""How many examples are tried: a moment's worth that is the same each time, or by HYPOTHESIS_PROFILE=long for an hour.

A short run tries the same examples on every machine; a long one tries others each time, and says how to repeat one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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


def mostly(
    usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any], once_in: int
) -> st.SearchStrategy[Any]:
    """What is usual, but for once: of what is odd throughout, one only learns that it is refused.

    (`one_of` takes the same strategy twice for once.)
    """
    return st.integers(1, once_in).flatmap(lambda number: odd if number == once_in else usual)
