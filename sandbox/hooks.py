"""A program's resource hooks, run as Pulumi's engine runs them: by calling the program back."""

from __future__ import annotations

from typing import Any

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from sandbox import values
from sandbox.errors import SandboxError
from sandbox.state import Entry


class Hooks:
    """The hooks that a program has registered, by name."""

    def __init__(self) -> None:
        self._registered: dict[str, resource_pb2.RegisterResourceHookRequest] = {}

    def register(self, request: resource_pb2.RegisterResourceHookRequest) -> None:
        """Keep a hook."""
        self._registered[request.name] = request

    def before_update(self, names: list[str], old: Entry, inputs: dict[str, Any], *, preview: bool) -> None:
        """Run the hooks of these names, in order.

        Raises:
            SandboxError: one failed that may not.
        """
        given = resource_pb2.ResourceHookRequest(
            urn=old.urn,
            id=old.id,
            name=old.name,
            type=old.type,
            old_inputs=values.to_struct(old.inputs),
            new_inputs=values.to_struct(inputs),
            old_outputs=values.to_struct(old.outputs),
        )
        for name in names:
            hook = self._registered[name]
            if preview and not hook.on_dry_run:
                continue
            error = _call(hook.callback, given).error
            if error and not hook.ignore_errors:
                raise SandboxError(f"hook {name} of {old.name} failed: {error}")


def _call(
    callback: callback_pb2.Callback, given: resource_pb2.ResourceHookRequest
) -> resource_pb2.ResourceHookResponse:
    with grpc.insecure_channel(callback.target) as channel:
        request = callback_pb2.CallbackInvokeRequest(token=callback.token, request=given.SerializeToString())
        answer = callback_pb2_grpc.CallbacksStub(channel).Invoke(request)
    return resource_pb2.ResourceHookResponse.FromString(answer.response)
