"""How long a deployment takes: from nothing to the first good answer, without a change, with an edited application.

On the sandbox's engine, and on Pulumi's own with the sandbox's containers under its providers. The tools and the base
image are there; each round is a checkout and a sandbox of its own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from bench.report import Figure
from tests.e2e.deployment import Deployment, checkout
from tests.engine.real import build, real_stack

ROUNDS = 3
# What issue 3 asks of the sandbox; Pulumi's engine has no figure to reach.
_LIMITS = {
    "from nothing to the first 200": "≤ 45",
    "without a change": "≤ 3",
    "with an edited application": "≤ 8",
}


def measure() -> list[Figure]:
    """Return the medians over ROUNDS, in seconds, for either engine, and their ratios."""
    build()
    sandbox, pulumi = _times(checkout), _times(real_stack)
    return [
        *(
            Figure(f"`./ops up` {what}", statistics.median(seconds), "s", _LIMITS[what])
            for what, seconds in sandbox.items()
        ),
        Figure(
            "edited against from nothing",
            statistics.median(
                map(
                    _ratio,
                    sandbox["with an edited application"],
                    sandbox["from nothing to the first 200"],
                )
            ),
            "times",
            "lower is better",
        ),
        *(
            Figure(f"the same on Pulumi's engine, {what}", statistics.median(seconds), "s", "")
            for what, seconds in pulumi.items()
        ),
        *(
            Figure(
                f"Pulumi's engine against the sandbox's, {what}",
                statistics.median(map(_ratio, pulumi[what], sandbox[what])),
                "times",
                "",
            )
            for what in pulumi
        ),
    ]


def _times(make: Callable[[Path], Deployment]) -> Mapping[str, list[float]]:
    """Return the seconds of each round, by what was done."""
    times: dict[str, list[float]] = {what: [] for what in _LIMITS}
    first, unchanged, edited = times.values()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            deployment = make(Path(folder).resolve())
            try:
                first.append(_until_first_answer(deployment))
                unchanged.append(_seconds(deployment.up))
                deployment.edit("app/templates/base.html", "<footer>", '<footer id="edited">')
                edited.append(_seconds(deployment.up))
            finally:
                deployment.destroy()
    return times


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
