"""The events of a run of Pulumi's engine, as this project's own."""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.automation import events

from progress import Event, Happening, Operation, Report, Step

# A replacement is three steps of the engine's; the making of the new resource stands for all of them.
_OPERATIONS = {
    "create": Operation.CREATE,
    "update": Operation.UPDATE,
    "create-replacement": Operation.REPLACE,
    "delete": Operation.DELETE,
    "same": Operation.SAME,
}
# Told by the engine about itself.
_OF_THE_ENGINE = re.compile(r"^using pulumi-\S+ from \$PATH at ")


class Events:
    """Takes a run's events, one after the other, and reports them.

    Attributes:
        steps: what was done, or is to be, a resource once.
        failures: steps that failed, and why.
        errors: of the run as a whole.
        warnings: each once.
        outputs: the stack's, secrets in their envelopes; a plan has none.
        broken: what `report` raised; `stop` was called then, and nothing is reported any more.
    """

    def __init__(self, report: Report, stop: Callable[[], None], *, planning: bool) -> None:
        self._report = report
        self._stop = stop
        self._planning = planning
        self._guard = threading.Lock()
        self._begun: dict[tuple[str, str], tuple[Step, float]] = {}
        self._said: dict[str, list[str]] = {}
        self.steps: list[Step] = []
        self.failures: list[tuple[Step, str]] = []
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.broken: BaseException | None = None

    def take(self, event: events.EngineEvent) -> None:
        """Take the next event; called on a thread that follows the run, and what is raised here waits for its end."""
        with self._guard:
            if self.broken is not None:
                return
            try:
                self._take(event)
            except BaseException as error:
                # Raised to the caller when the run has ended.
                self.broken = error
                self._stop()

    def _take(self, event: events.EngineEvent) -> None:
        if event.resource_pre_event:
            self._start(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._end(event.res_outputs_event.metadata, Happening.DONE)
        elif event.res_op_failed_event:
            self._end(event.res_op_failed_event.metadata, Happening.FAILED)
        elif event.diagnostic_event:
            self._say(event.diagnostic_event)

    def _start(self, metadata: events.StepEventMetadata) -> None:
        step = _step(metadata)
        if step is None:
            return
        self.steps.append(step)
        if self._planning:
            self._report(Event(Happening.PLANNED, step))
        elif step.operation is not Operation.SAME:
            self._begun[_key(metadata)] = (step, time.monotonic())
            self._report(Event(Happening.STARTED, step))

    def _end(self, metadata: events.StepEventMetadata, happening: Happening) -> None:
        if metadata.type == "pulumi:pulumi:Stack" and metadata.new and not self._planning:
            self.outputs = dict(metadata.new.outputs or {})
        step, began = self._begun.pop(_key(metadata), (None, 0.0))
        if step is None:
            if happening is not Happening.FAILED:
                return
            # The removal of what was replaced; or a refresh, which does nothing to it.
            removal = _operation(metadata).startswith("delete")
            step = _named(metadata, Operation.DELETE if removal else Operation.SAME)
            began = time.monotonic()
        text = ""
        if happening is Happening.FAILED:
            text = "\n".join(self._said.pop(metadata.urn, [])) or "it failed"
            self.failures.append((step, text))
        self._report(Event(happening, step, text, time.monotonic() - began))

    def _say(self, diagnostic: events.DiagnosticEvent) -> None:
        text = diagnostic.message.rstrip()
        urn = diagnostic.urn or ""
        if not text or _OF_THE_ENGINE.match(text):
            return
        if diagnostic.severity == "error":
            if _is_resource(urn):
                self._said.setdefault(urn, []).append(text)
            else:
                self.errors.append(text)
        elif diagnostic.severity == "warning" and not diagnostic.ephemeral:
            if text not in self.warnings:
                self.warnings.append(text)
        else:
            for (begun, _), (step, _) in list(self._begun.items()):
                if begun == urn:
                    self._report(Event(Happening.OUTPUT, step, text))

    def refused(self) -> list[tuple[str, str]]:
        """Return name and error of each resource that was refused before there was a step for it."""
        return [(urn.rpartition("::")[2], text) for urn, texts in self._said.items() for text in texts]


@contextmanager
def followed(take: Callable[[events.EngineEvent], None]) -> Iterator[Path]:
    """Give the file that a run is to write its events to; `take` gets each, on a thread, and the last by the end.

    A file, not the connection that newer CLIs offer: a run ends in the middle of a step when nobody takes its events
    from that any more, as where this process is killed.
    """
    with tempfile.TemporaryDirectory(prefix="events-") as folder:
        log = Path(folder, "log")
        log.touch()
        ended = threading.Event()
        reader = threading.Thread(target=_read, args=(log, take, ended))
        reader.start()
        try:
            yield log
        finally:
            ended.set()
            reader.join()


def _read(log: Path, take: Callable[[events.EngineEvent], None], ended: threading.Event) -> None:
    line = ""
    with log.open(encoding="utf-8") as file:
        while True:
            # Asked before the reading: what was written until then is read.
            over = ended.is_set()
            for part in file:
                line += part
                if line.endswith("\n"):
                    take(events.EngineEvent.from_json(json.loads(line)))
                    line = ""
            if over:
                return
            ended.wait(0.1)


def _key(metadata: events.StepEventMetadata) -> tuple[str, str]:
    return metadata.urn, _operation(metadata)


def _operation(metadata: events.StepEventMetadata) -> str:
    return str(metadata.op.value if hasattr(metadata.op, "value") else metadata.op)


def _is_resource(urn: str) -> bool:
    return bool(urn) and "::pulumi:pulumi:Stack::" not in urn


def _step(metadata: events.StepEventMetadata) -> Step | None:
    operation = _OPERATIONS.get(_operation(metadata))
    # A component is no more than the sum of its children.
    if operation is None or not metadata.provider or metadata.type.startswith("pulumi:"):
        return None
    return _named(metadata, operation)


def _named(metadata: events.StepEventMetadata, operation: Operation) -> Step:
    return Step(
        operation,
        metadata.type.rpartition(":")[2],
        metadata.urn.rpartition("::")[2],
        tuple(sorted({path.partition("[")[0].partition(".")[0] for path in metadata.diffs or ()})),
    )
