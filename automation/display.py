"""Showing a run: a live line for each step under way in a terminal, plain lines in a pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from automation.consequences import consequences
from printable import printable
from progress import Event, Happening, Operation, Outcome, Report, Step

_COLOURS = {
    Operation.CREATE: "green",
    Operation.UPDATE: "yellow",
    Operation.REPLACE: "magenta",
    Operation.DELETE: "red",
    Operation.SAME: "dim",
}
_PAST = {
    Operation.CREATE: "created",
    Operation.UPDATE: "updated",
    Operation.REPLACE: "replaced",
    Operation.DELETE: "deleted",
    Operation.SAME: "unchanged",
}


class Display:
    """Prints events to a console. Events may come from several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._guard = threading.Lock()
        self._running: dict[Step, tuple[float, str]] = {}
        self._told: dict[Step, set[str]] = {}
        self._spinner = Spinner("dots")

    @contextmanager
    def running(self) -> Iterator[Report]:
        """Give the function that takes events; in a terminal the steps under way are shown until this ends."""
        if not self._console.is_terminal:
            yield self._take
            return
        with Live(console=self._console, get_renderable=self._lines, refresh_per_second=8, transient=True):
            yield self._take

    def told(self, step: Step) -> frozenset[str]:
        """Return the lines of a step's output that stay on the console."""
        return frozenset(self._told.get(step, ()))

    def _take(self, event: Event) -> None:
        with self._guard:
            match event.happening:
                case Happening.STARTED:
                    self._running[event.step] = (time.monotonic(), "")
                    if not self._console.is_terminal:
                        self._print(_line(event.step, "…"))
                case Happening.OUTPUT:
                    began, _ = self._running.get(event.step, (time.monotonic(), ""))
                    self._running[event.step] = (began, event.text)
                    if not self._console.is_terminal:
                        self._print(_text(f"    {event.step.name}: {event.text}"))
                        self._told.setdefault(event.step, set()).update(event.text.splitlines())
                case Happening.PLANNED:
                    if event.step.operation is not Operation.SAME:
                        self._print(_line(event.step, _reason(event.step)))
                case Happening.DONE:
                    self._running.pop(event.step, None)
                    self._print(_line(event.step, f"{_PAST[event.step.operation]} ({event.seconds:.1f} s)"))
                case Happening.FAILED:
                    self._running.pop(event.step, None)
                    self._print(_line(event.step, f"failed ({event.seconds:.1f} s)", style="bold red"))
                case Happening.SKIPPED:
                    self._print(_line(event.step, "not tried, since what it needs failed", style="dim"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _lines(self) -> RenderableType:
        with self._guard:
            running = list(self._running.items())
        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        for step, (began, text) in running:
            table.add_row(
                self._spinner,
                _line(step, f"{now - began:.0f} s"),
                Text(printable(text), style="dim", overflow="ellipsis", no_wrap=True),
            )
        return Group(table)


def show_outcome(
    console: Console,
    outcome: Outcome,
    *,
    planned: bool,
    told: Callable[[Step], frozenset[str]] = lambda _step: frozenset(),
) -> None:
    """Print the errors, the sum of changes and the outputs of a run.

    Of an error's lines, those that were `told` of its step before are not repeated. The last is: it says what to do.
    """
    for step, error in outcome.failures:
        console.print(_text(f"\n{step.type} {step.name} failed:", "bold red"), soft_wrap=True)
        console.print(_text(_unrepeated(error, told(step))), soft_wrap=True, highlight=False)
    for warning in outcome.warnings:
        console.print(_text(f"warning: {warning}", "yellow"), soft_wrap=True, highlight=False)
    failed = [step for step, _ in outcome.failures]
    if planned:
        for line in consequences(outcome.steps):
            console.print(_text(line, "yellow"), soft_wrap=True, highlight=False)
    counts = {
        operation: sum(step.operation is operation and step not in failed for step in outcome.steps)
        for operation in Operation
    }
    unchanged = counts.pop(Operation.SAME)
    parts = [
        f"{count} to {operation}" if planned else f"{count} {_PAST[operation]}"
        for operation, count in counts.items()
        if count
    ]
    if failed:
        parts.append(f"{len(failed)} failed")
    summary = ", ".join(parts) or "no changes"
    if unchanged:
        summary += f", {unchanged} unchanged"
    console.print(Text(summary, style="bold"), highlight=False)
    for name, value in sorted(outcome.outputs.items()):
        console.print(_text(f"  {name}: {value}"), soft_wrap=True, highlight=False)


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _unrepeated(error: str, told: frozenset[str]) -> str:
    *lines, last = error.rstrip().splitlines() or [""]
    return "\n".join([*(line for line in lines if line not in told), last])


def _line(step: Step, rest: str, style: str = "") -> Text:
    colour = _COLOURS[step.operation]
    return Text.assemble(
        (f"{step.operation.sign} ", colour),
        (printable(f"{step.type:<18} "), style or colour),
        (printable(f"{step.name}  "), style),
        (printable(rest), style or "dim"),
    )


def _reason(step: Step) -> str:
    return f"({', '.join(step.changed)})" if step.changed else ""
