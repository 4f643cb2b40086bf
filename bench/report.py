"""The report of the measurements, bench/README.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("README.md")
_INTRODUCTION = """\
# Measurements

Made by `make bench` (`python -m bench NAME` for one of them), as root, with the sandbox's image built. Times depend on
the machine; ratios are of one run. Tests assert the scores but Lynis', and no time.
"""


@dataclass(frozen=True)
class Figure:
    """One number: what it is of, its unit, and what was to be reached."""

    name: str
    value: float
    unit: str
    target: str = ""


def machine() -> str:
    """Say what this is measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        f"| {figure.name} | {_number(figure.value)} {figure.unit} | {figure.target} |" for figure in figures
    ]
    return "\n".join(["| What | Measured | To reach |", "| --- | --- | --- |", *rows])


def _number(value: float) -> str:
    """Three significant digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def write(sections: Mapping[str, str]) -> None:
    """Replace these sections of the report (by heading) and keep the others."""
    kept: dict[str, str] = {}
    if FILE.exists():
        for part in FILE.read_text(encoding="utf-8").split("\n## ")[1:]:
            heading, _, body = part.partition("\n")
            kept[heading.strip()] = body.strip()
    kept.update(sections)
    text = _INTRODUCTION + "".join(f"\n## {heading}\n\n{body}\n" for heading, body in kept.items())
    FILE.write_text(text, encoding="utf-8")
