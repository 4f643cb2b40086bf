"""The engine of a sandbox stack: it answers the Pulumi SDK as Pulumi's own engine would, and acts on this machine.

It does what the program's resources need (create, update, replace, delete, preview, ignoreChanges, replaceOnChanges,
deletedWith, protect, timeouts) and refuses what it does not know.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any
from uuid import uuid4

from google.protobuf import empty_pb2
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import resource_pb2

from progress import Event, Happening, Operation, Report, Step
from sandbox import provider_facts, values
from sandbox.errors import SandboxError
from sandbox.hooks import Hooks
from sandbox.plan import decide, with_ignored
from sandbox.resources import Kind, Kinds, Made
from sandbox.state import Entry, State, Status


class Engine(MockMonitor):
    """One run over one stack. Its methods are called by the SDK, on several threads at once."""

    def __init__(self, state: State, kinds: Kinds, report: Report, *, preview: bool) -> None:
        # MockMonitor's own mocks are never asked: each method that would is replaced below.
        super().__init__(mocks=None)  # type: ignore[arg-type]
        self._state = state
        self._kinds = kinds
        self._report = report
        self._preview = preview
        self._guard = threading.Lock()
        self._started: set[str] = set()
        self._broken: set[str] = set()
        self._hooks = Hooks()
        self.steps: list[Step] = []
        self.failures: list[tuple[Step, str]] = []
        self.outputs: dict[str, Any] = {}

    # The SDK's calls

    def RegisterResource(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        """Bring one resource to what the program asks for, or say what that would take."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        with self._guard:
            if urn in self._started:
                raise SandboxError(f"the program has two resources named {request.name} of {request.type}.")
            self._started.add(urn)
        kind = self._kinds.of(request.type)
        _refuse_unknown_options(request)
        old = self._state.entries.get(urn)
        inputs = with_ignored(old, values.from_struct(request.object), request.ignoreChanges)
        goal = Entry(
            urn=urn,
            type=request.type,
            name=request.name,
            id=old.id if old else "",
            status=Status.SETTLED,
            inputs=inputs,
            dependencies=tuple(sorted(request.dependencies)),
            deleted_with=request.deletedWith,
            protect=request.protect,
        )
        operation, changed = decide(old, inputs, {*kind.replaces, *request.replaceOnChanges})
        step = Step(operation, _short(request.type), request.name, changed)
        if self._broken & {*request.dependencies} or (not self._preview and values.holds_unknown(inputs)):
            return self._skip(step, urn)
        refusals = provider_facts.refusals(request.type, inputs)
        if refusals:
            return self._refuse(
                step,
                urn,
                [
                    provider_facts.as_pulumi_says(request.type, request.name, refusal, inputs)
                    for refusal in refusals
                ],
            )
        self.steps.append(step)
        if old is not None and operation is Operation.UPDATE:
            self._hooks.before_update(list(request.hooks.before_update), old, inputs, preview=self._preview)
        if self._preview:
            self._report(Event(Happening.PLANNED, step))
            return _response(urn, _expected(operation, goal, old, kind))
        seconds = _seconds(
            request.customTimeouts.create if operation is Operation.CREATE else request.customTimeouts.update
        )
        return self._act(step, goal, old, kind, seconds)

    def RegisterResourceHook(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceHookRequest
    ) -> empty_pb2.Empty:
        """Keep what the program wants to be called for."""
        self._hooks.register(request)
        return empty_pb2.Empty()

    def RegisterResourceOutputs(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        """Take the stack's outputs; those of components are nobody's concern here."""
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = values.from_struct(request.outputs)
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.ResourceInvokeRequest
    ) -> resource_pb2.ResourceInvokeResponse:
        """Answer a data source."""
        arguments = values.from_struct(request.args)
        for refusal in provider_facts.refusals(request.tok, arguments):
            raise SandboxError(provider_facts.as_pulumi_says(request.tok, "", refusal, arguments))
        answer = self._kinds.invoke(request.tok, values.unwrapped(arguments))
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(values.to_struct(answer))
        return response

    # After the program

    def delete_the_rest(self) -> None:
        """Delete what was replaced and what the program no longer has; only when all else went well."""
        gone = [entry for urn, entry in self._state.entries.items() if urn not in self._started]
        self.delete([*self._state.discarded, *gone])

    def delete(self, entries: list[Entry]) -> None:
        """Delete the resources, each before those it depends on.

        The old halves of replacements, and what a killed run left half-made, are no steps of their own.
        """
        gone_with = {entry.urn for entry in entries}
        discarded = {entry.id for entry in self._state.discarded}
        for entry in _dependents_first(entries):
            step = Step(Operation.DELETE, _short(entry.type), entry.name)
            if entry.id not in discarded:
                self.steps.append(step)
            if self._preview:
                if entry.id not in discarded:
                    self._report(Event(Happening.PLANNED, step))
                continue
            with self._reported(step, aloud=entry.id not in discarded):
                if entry.protect:
                    raise SandboxError(f"{entry.name} is protected; take protect away first.")
                if entry.deleted_with not in gone_with:
                    self._kinds.of(entry.type).delete(entry, self._say(step))
                self._state.forget(entry)
            if self.failures:
                return

    # One resource

    def _act(
        self, step: Step, goal: Entry, old: Entry | None, kind: Kind, seconds: float | None
    ) -> resource_pb2.RegisterResourceResponse:
        if old is not None and step.operation is Operation.SAME:
            settled = replace(goal, id=old.id, inputs=old.inputs, outputs=old.outputs)
            if settled != old:
                self._state.put(settled)
            return _response(goal.urn, settled)
        with self._reported(step):
            if old is not None and step.operation is Operation.UPDATE:
                self._state.put(replace(old, status=Status.UNSURE))
                made = kind.update(old, goal, self._say(step), seconds)
                settled = replace(goal, id=old.id, outputs=made.outputs)
                self._state.put(settled)
            else:
                settled = self._create(step, goal, old, kind, seconds)
            return _response(goal.urn, settled)
        self._broken.add(goal.urn)
        return resource_pb2.RegisterResourceResponse(urn=goal.urn, result=resource_pb2.FAIL)

    def _create(self, step: Step, goal: Entry, old: Entry | None, kind: Kind, seconds: float | None) -> Entry:
        # The id is chosen and noted before anything is made: a run that is killed half-way leaves nothing that the
        # next one does not know of.
        continued = old.id if old and old.status is Status.CREATING else ""
        begun = replace(goal, id=continued or kind.new_id(uuid4().hex), status=Status.CREATING)
        if old is not None and step.operation is Operation.REPLACE:
            self._state.begin_replacement(old, begun)
        else:
            self._state.put(begun)
        made: Made = kind.create(begun, self._say(step), seconds)
        settled = replace(begun, status=Status.SETTLED, outputs=made.outputs)
        if step.operation is Operation.REPLACE:
            self._state.finish_replacement(settled)
        else:
            self._state.put(settled)
        return settled

    def _skip(self, step: Step, urn: str) -> resource_pb2.RegisterResourceResponse:
        self._broken.add(urn)
        self._report(Event(Happening.SKIPPED, step))
        return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.FAIL)

    def _refuse(self, step: Step, urn: str, texts: list[str]) -> resource_pb2.RegisterResourceResponse:
        """Take down what the provider refuses, in a preview as in an up: nothing was begun."""
        self._broken.add(urn)
        self.failures.append((step, "\n".join(texts)))
        self._report(Event(Happening.FAILED, step, "\n".join(texts)))
        return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.FAIL)

    @contextlib.contextmanager
    def _reported(self, step: Step, *, aloud: bool = True) -> Iterator[None]:
        """Report the step's start and end; a SandboxError in it becomes a failure of the run, `aloud` or not."""
        if aloud:
            self._report(Event(Happening.STARTED, step))
        start = time.monotonic()
        try:
            yield
        except SandboxError as error:
            self.failures.append((step, str(error)))
            self._report(Event(Happening.FAILED, step, str(error), time.monotonic() - start))
        else:
            if aloud:
                self._report(Event(Happening.DONE, step, seconds=time.monotonic() - start))

    def _say(self, step: Step) -> Any:
        return lambda line: self._report(Event(Happening.OUTPUT, step, line))


def _expected(operation: Operation, goal: Entry, old: Entry | None, kind: Kind) -> Entry:
    """What a preview can know of a resource: the SDK takes every other output as unknown."""
    if operation in (Operation.CREATE, Operation.REPLACE) or old is None:
        return replace(goal, id="")
    if operation is Operation.UPDATE and kind.update_gives_new_outputs:
        return goal
    return replace(goal, outputs={**old.outputs, **goal.inputs})


def _response(urn: str, entry: Entry) -> resource_pb2.RegisterResourceResponse:
    # An unknown value goes back as it came: the SDK knows its mark.
    return resource_pb2.RegisterResourceResponse(
        urn=urn, id=entry.id, object=values.to_struct({**entry.inputs, **entry.outputs})
    )


def _dependents_first(entries: list[Entry]) -> list[Entry]:
    by_urn: dict[str, list[Entry]] = {}
    for entry in entries:
        by_urn.setdefault(entry.urn, []).append(entry)
    order = TopologicalSorter({entry.urn: set(entry.dependencies) & by_urn.keys() for entry in entries})
    return [entry for urn in reversed(list(order.static_order())) for entry in by_urn[urn]]


def _short(type_token: str) -> str:
    return type_token.rpartition(":")[2]


def _seconds(timeout: str) -> float | None:
    """Seconds of a Go duration such as `25m` or `90s`."""
    if not timeout:
        return None
    number, unit = timeout[:-1], timeout[-1]
    return float(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def _refuse_unknown_options(request: resource_pb2.RegisterResourceRequest) -> None:
    for option, given in {
        "import_": bool(request.importId),
        "delete_before_replace": request.deleteBeforeReplace,
        "retain_on_delete": request.retainOnDelete,
        "aliases": bool(request.aliases or request.aliasURNs),
        "remote": request.remote,
    }.items():
        if given:
            raise SandboxError(f"{request.name}: the sandbox does not know the option {option}.")
