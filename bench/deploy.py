"""How long a deployment on the sandbox takes: from nothing to the first good answer, without a change, edited.

The tools and the base image are there; each round is a checkout and a sandbox of its own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.report import Figure
from tests.e2e.deployment import Deployment, checkout

ROUNDS = 3


def measure() -> list[Figure]:
    """Return the medians over ROUNDS, in seconds, beside what issue 3 asks for."""
    first, unchanged, edited = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            deployment = checkout(Path(folder).resolve())
            try:
                first.append(_until_first_answer(deployment))
                unchanged.append(_seconds(deployment.up))
                deployment.edit("app/templates/base.html", "<footer>", '<footer id="edited">')
                edited.append(_seconds(deployment.up))
            finally:
                deployment.destroy()
    return [
        Figure("`./ops up` from nothing to the first 200", statistics.median(first), "s", "≤ 45"),
        Figure("`./ops up` without a change", statistics.median(unchanged), "s", "≤ 3"),
        Figure("`./ops up` with an edited application", statistics.median(edited), "s", "≤ 8"),
        Figure(
            "edited against from nothing",
            statistics.median(map(_ratio, edited, first)),
            "times",
            "lower is better",
        ),
    ]


def _until_first_answer(deployment: Deployment) -> float:
    start = time.monotonic()
    deployment.up()
    httpx.get(deployment.output("url") + "/healthz", timeout=10).raise_for_status()
    return time.monotonic() - start


def _seconds(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def _ratio(one: float, other: float) -> float:
    return one / other
