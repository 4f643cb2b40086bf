"""Runs a program, or a part of one, against a stand-in for Pulumi's engine that keeps every request it gets.

    record = run(lambda: Network("net", {...}))
    switch = record.one("alicloud:vpc/switch:Switch")
    assert switch.inputs["cidrBlock"] == "10.0.0.0/24"

`run` returns when every registration has arrived, so what is not in the record was not made. Inputs keep what the
engine is told about a value: `Secret(value)` for a secret, UNKNOWN for what only the cloud will know (a preview).
What a real provider would refuse fails the run, in the provider's words.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.stack import Stack

from sandbox import provider_facts, values

PROJECT = "flask-on-ecs"
SIGNATURE = rpc._special_sig_key
UNKNOWN = rpc.UNKNOWN

INSTANCE = "alicloud:ecs/instance:Instance"
KEY_PAIR = "alicloud:ecs/ecsKeyPair:EcsKeyPair"
SECURITY_GROUP = "alicloud:ecs/securityGroup:SecurityGroup"
RULE = "alicloud:ecs/securityGroupRule:SecurityGroupRule"
VPC = "alicloud:vpc/network:Network"
VSWITCH = "alicloud:vpc/switch:Switch"
COMMAND = "command:remote:Command"
COPY = "command:remote:CopyToRemote"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"


@dataclass(frozen=True)
class Secret:
    """A value that the engine was told to keep secret."""

    value: Any


@dataclass(frozen=True)
class Resource:
    """One registration. Resources it refers to are named by their names."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    dependencies: frozenset[str]
    deleted_with: str
    replace_on_changes: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    delete_before_replace: bool
    protect: bool
    retain_on_delete: bool
    create_timeout: str
    before_update: tuple[str, ...]
    secret_outputs: tuple[str, ...]
    custom: bool


@dataclass
class Record:
    """What one run asked for, in the order in which it arrived."""

    resources: list[Resource] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, bool] = field(default_factory=dict)
    """Resource hooks: name → also in a preview."""
    refused: list[str] = field(default_factory=list)

    def created(self, type_: str) -> list[Resource]:
        """All resources of the type."""
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str, ending: str = "") -> Resource:
        """The only resource of the type whose name ends so."""
        found = [resource for resource in self.created(type_) if resource.name.endswith(ending)]
        assert len(found) == 1, f"{type_} …{ending}: {[resource.name for resource in found]}"
        return found[0]

    def named(self, name: str) -> Resource:
        """The only resource of the name, components aside."""
        found = [resource for resource in self.resources if resource.custom and resource.name == name]
        assert len(found) == 1, f"{name}: {[resource.type for resource in found]}"
        return found[0]

    def before(self, resource: Resource) -> frozenset[str]:
        """Names of all that is made before the resource: its dependencies, theirs and so on."""
        names: set[str] = set()
        waiting = list(resource.dependencies)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting.extend(self.named(name).dependencies)
        return frozenset(names)


def ed25519() -> tuple[str, str]:
    """A new key pair in OpenSSH's form: private, public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _cloud(type_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a resource has once it is made, beside its inputs."""
    if type_ == INSTANCE:
        return {"publicIp": "203.0.113.10", "privateIp": "10.64.0.5", "status": "Running"}
    if type_ == PRIVATE_KEY:
        private, public = ed25519()
        # The provider gives both with a line's end, and the private half as a secret.
        return {"privateKeyOpenssh": pulumi.Output.secret(private), "publicKeyOpenssh": f"{public}\n"}
    if type_ == COMMAND and "release" in str(inputs.get("create")):
        return {"stdout": 'Started slot b.\n{"release": "3f2a9c01b7de-9ab3e2"}\n', "stderr": ""}
    if type_ == COMMAND:
        return {"stdout": "", "stderr": ""}
    return {}


ANSWERS: dict[str, Any] = {
    "alicloud:index/getZones:getZones": {"zones": [{"id": "cn-hangzhou-h"}, {"id": "cn-hangzhou-i"}]},
    "alicloud:ecs/getImages:getImages": {"images": [{"id": "centos_7_9_x64_20G_alibase_20240628.vhd"}]},
    "alicloud:ecs/getInstances:getInstances": {"instances": []},
    "alicloud:vpc/getSwitches:getSwitches": {"vswitches": [{"id": "vsw-there", "vpcId": "vpc-there"}]},
}


@dataclass(frozen=True)
class Standing:
    """What a stack has already when it is previewed: all but what the preview is about.

    Attributes:
        but: types whose resources are to be made, or made anew: nothing of them is known.
        unknown: outputs that a change in place leaves open, by type.
    """

    but: frozenset[str] = frozenset()
    unknown: Mapping[str, frozenset[str]] = field(default_factory=dict)


class _Mocks(mocks.Mocks):
    def __init__(
        self, record: Record, answers: Mapping[str, Any], *, preview: bool, standing: Standing | None
    ) -> None:
        self._record = record
        self._answers = answers
        self._preview = preview
        self._standing = standing

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        self._record.calls.append((args.token, args.args))
        _refuse(self._record, args.token, "", args.args)
        return self._answers[args.token], []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        there = not self._preview or (self._standing and args.typ not in self._standing.but)
        if not there or not args.custom:
            return "", args.inputs
        unknown = self._standing.unknown.get(args.typ, ()) if self._standing else ()
        made = {key: value for key, value in _cloud(args.typ, args.inputs).items() if key not in unknown}
        return f"{args.name}-id", {**args.inputs, **made}


class _Monitor(mocks.MockMonitor):
    """Keeps the whole of each request; MockMonitor hands on its type, name and inputs alone."""

    def __init__(
        self, record: Record, answers: Mapping[str, Any], *, preview: bool, standing: Standing | None
    ) -> None:
        super().__init__(_Mocks(record, answers, preview=preview, standing=standing))
        self._record = record

    def RegisterResourceHook(self, request: resource_pb2.RegisterResourceHookRequest) -> Any:  # noqa: N802
        self._record.hooks[request.name] = request.on_dry_run
        return super().RegisterResourceHook(request)  # type: ignore[no-untyped-call]

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802
        if request.type != "pulumi:pulumi:Stack":
            self._record.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    parent=_name(request.parent),
                    inputs={
                        key: _value(value) for key, value in json_format.MessageToDict(request.object).items()
                    },
                    dependencies=frozenset(map(_name, request.dependencies)),
                    deleted_with=_name(request.deletedWith),
                    replace_on_changes=tuple(request.replaceOnChanges),
                    ignore_changes=tuple(request.ignoreChanges),
                    delete_before_replace=request.deleteBeforeReplace,
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    create_timeout=request.customTimeouts.create,
                    before_update=tuple(request.hooks.before_update),
                    secret_outputs=tuple(request.additionalSecretOutputs),
                    custom=request.custom,
                )
            )
        if request.custom:
            _refuse(self._record, request.type, request.name, values.from_struct(request.object))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _refuse(record: Record, token: str, name: str, inputs: dict[str, Any]) -> None:
    for refusal in provider_facts.refusals(token, inputs):
        record.refused.append(provider_facts.as_pulumi_says(token, name, refusal, inputs))


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _value(value: Any) -> Any:
    """The value as the engine has it on the wire, with its marks as types."""
    if isinstance(value, list):
        return [_value(entry) for entry in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if value.get(SIGNATURE) == rpc._special_secret_sig:
        return Secret(_value(value["value"]))
    return {key: _value(entry) for key, entry in value.items() if key != SIGNATURE}


async def _exported(output: pulumi.Output[Any]) -> Any:
    known = await output.is_known()
    value = await output.future() if known else UNKNOWN
    return Secret(value) if await output.is_secret() else value


def run(
    program: Callable[[], object],
    *,
    config: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    stack: str = "test",
    preview: bool = False,
    standing: Standing | None = None,
    answers: Mapping[str, Any] | None = None,
    record: Record | None = None,
) -> Record:
    """Run the program to its end and return what it asked for.

    `config` holds this project's keys without its name in front, as text like the engine's; `secrets` names those
    set with --secret. What the program raises comes out of here; a `record` given shows what came before that. A
    preview is of an empty stack unless it is `standing`.
    """
    record = Record() if record is None else record
    monitor = _Monitor(record, {**ANSWERS, **(answers or {})}, preview=preview, standing=standing)

    async def exported(outputs: Mapping[str, Any]) -> None:
        for name, value in outputs.items():
            record.exports[name] = await _exported(pulumi.Output.from_input(value))

    def recorded() -> pulumi.Output[None]:
        program()
        root = get_root_resource()
        assert isinstance(root, Stack)
        return pulumi.Output.from_input(exported(root.outputs))

    def fresh() -> None:
        set_all_config(
            {f"{PROJECT}:{key}": value for key, value in (config or {}).items()},
            [f"{PROJECT}:{key}" for key in secrets],
        )
        mocks.set_mocks(monitor.mocks, PROJECT, stack, preview, monitor=monitor)
        mocks.test(recorded)()  # type: ignore[no-untyped-call]

    # Pulumi keeps its settings in context variables and its futures on the event loop: a fresh pair for each run
    # keeps runs apart.
    loop = asyncio.new_event_loop()
    # What fails is raised below; asyncio would tell of each task that failed along with it once more.
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    try:
        contextvars.copy_context().run(fresh)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
    assert not record.refused, "\n".join(record.refused)
    return record


def plain_texts(value: Any) -> Iterator[str]:
    """Every text in the value that is not marked as secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from plain_texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from plain_texts(entry)
