"""Pulumi's provider protocol (`pulumirpc.ResourceProvider`), answered out of the sandbox's kinds of resources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from uuid import uuid4

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from sandbox import command, provider_facts, tls, values
from sandbox.errors import SandboxError
from sandbox.plan import changed_inputs
from sandbox.plugins.account import Account
from sandbox.resources import Kind, Kinds, Say
from sandbox.state import Entry, Status

VERSIONS = {"alicloud": "4.0.0", "command": "1.2.1", "tls": "5.6.2"}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process. Its methods are called by the engine, on several threads at once."""

    def __init__(self, name: str, engine: engine_pb2_grpc.EngineStub) -> None:
        self._name = name
        self._engine = engine
        self._kinds = _kinds_of(name)
        self._guard = threading.Lock()
        self._account: Account | None = None

    # The provider itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Say what this provider understands."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Say the version of the provider that this one stands in for."""
        return plugin_pb2.PluginInfo(version=VERSIONS[self._name])

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Take the provider's configuration as it is."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Another configuration is no other provider."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Take region and credentials; nothing checks them before the first call, as with the real provider."""
        if self._name == "alicloud":
            self._account = Account.configured(values.unwrapped(values.from_struct(request.args)))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Go on: what is under way is finished and recorded, and the engine starts nothing more."""
        return empty_pb2.Empty()

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answer a data source."""
        with _refusing(context):
            arguments = values.from_struct(request.args)
            refusals = provider_facts.refusals(request.tok, arguments)
            if refusals:
                failures = [
                    provider_pb2.CheckFailure(property=refusal.property, reason=refusal.told_of(""))
                    for refusal in refusals
                ]
                return provider_pb2.InvokeResponse(failures=failures)
            answer = self._all_kinds().invoke(request.tok, values.unwrapped(arguments))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(values.to_struct(answer))
            return response

    # Resources

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        """Refuse inputs that the real provider refuses."""
        refusals = provider_facts.refusals(_type(request.urn), values.from_struct(request.news))
        name = _name(request.urn)
        failures = [
            provider_pb2.CheckFailure(property=refusal.property, reason=refusal.told_of(name))
            for refusal in refusals
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Say which inputs differ, and whether that takes a new resource."""
        with _refusing(context):
            kind = self._all_kinds().of(_type(request.urn))
            old = values.from_struct(request.old_inputs if request.old_inputs.fields else request.olds)
            new = values.from_struct(request.news)
            changed = changed_inputs(old, new)
            replaces = [key for key in changed if key in kind.replaces or "*" in kind.replaces]
            return provider_pb2.DiffResponse(
                changes=provider_pb2.DiffResponse.DIFF_SOME
                if changed
                else provider_pb2.DiffResponse.DIFF_NONE,
                diffs=changed,
                replaces=replaces,
                detailedDiff={key: _difference(key, old, new, key in replaces) for key in changed},
                hasDetailedDiff=True,
            )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Make a resource; a preview says its inputs, and leaves all else unknown."""
        inputs = values.from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=values.to_struct(inputs))
        with _refusing(context):
            kind = self._all_kinds().of(_type(request.urn))
            entry = _entry(request.urn, kind.new_id(uuid4().hex), inputs)
            made = kind.create(entry, self._say(request.urn), request.timeout or None)
            return provider_pb2.CreateResponse(
                id=entry.id, properties=values.to_struct({**inputs, **made.outputs})
            )

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Say what a resource is now; without an id when it is gone."""
        with _refusing(context):
            kind = self._all_kinds().of(_type(request.urn))
            inputs, properties = values.from_struct(request.inputs), values.from_struct(request.properties)
            found = kind.read(_entry(request.urn, request.id, inputs))
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=request.id,
                inputs=values.to_struct({**inputs, **{key: found[key] for key in found if key in inputs}}),
                properties=values.to_struct({**properties, **found}),
            )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Change a resource in place."""
        inputs, olds = values.from_struct(request.news), values.from_struct(request.olds)
        old_inputs = values.from_struct(request.old_inputs)
        with _refusing(context):
            kind = self._all_kinds().of(_type(request.urn))
            outputs = {key: value for key, value in olds.items() if key not in old_inputs}
            if request.preview:
                known = {} if kind.update_gives_new_outputs else outputs
                return provider_pb2.UpdateResponse(properties=values.to_struct({**known, **inputs}))
            old, goal = (_entry(request.urn, request.id, given) for given in (old_inputs, inputs))
            made = kind.update(
                _with_outputs(old, outputs), goal, self._say(request.urn), request.timeout or None
            )
            return provider_pb2.UpdateResponse(properties=values.to_struct({**inputs, **made.outputs}))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Remove a resource."""
        given = request.old_inputs if request.old_inputs.fields else request.properties
        with _refusing(context):
            kind = self._all_kinds().of(_type(request.urn))
            kind.delete(_entry(request.urn, request.id, values.from_struct(given)), self._say(request.urn))
            return empty_pb2.Empty()

    # Inner parts

    def _all_kinds(self) -> Kinds:
        if self._account is None:
            return self._kinds
        # The first that asks finds out whether the account lets anybody in.
        with self._guard:
            return self._account.kinds()

    def _say(self, urn: str) -> Say:
        def say(line: str) -> None:
            self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn))

        return say


def _kinds_of(name: str) -> Kinds:
    of: dict[str, Callable[[], dict[str, Kind]]] = {"command": command.kinds, "tls": tls.kinds}
    return Kinds(of[name]() if name in of else {}, {})


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _entry(urn: str, resource_id: str, inputs: dict[str, Any]) -> Entry:
    return Entry(
        urn=urn,
        type=_type(urn),
        name=_name(urn),
        id=resource_id,
        status=Status.SETTLED,
        inputs=inputs,
    )


def _with_outputs(entry: Entry, outputs: dict[str, Any]) -> Entry:
    return Entry(**{**vars(entry), "outputs": outputs})


def _difference(key: str, old: dict[str, Any], new: dict[str, Any], replaces: bool) -> Any:
    kinds = provider_pb2.PropertyDiff
    if key not in old:
        kind = kinds.ADD_REPLACE if replaces else kinds.ADD
    elif key not in new:
        kind = kinds.DELETE_REPLACE if replaces else kinds.DELETE
    else:
        kind = kinds.UPDATE_REPLACE if replaces else kinds.UPDATE
    return provider_pb2.PropertyDiff(kind=kind, inputDiff=True)


@contextmanager
def _refusing(context: grpc.ServicerContext) -> Iterator[None]:
    """Pass a SandboxError on as the error of the call."""
    try:
        yield
    except SandboxError as error:
        _abort(context, str(error))


def _abort(context: grpc.ServicerContext, text: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError  # abort raises
