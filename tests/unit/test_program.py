"""The whole of __main__.py, for each of the example stacks."""

import json
import runpy
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from sandbox.provider_facts import checked, known_inputs
from tests.unit.recorder import (
    COMMAND,
    COPY,
    INSTANCE,
    KEY_PAIR,
    PRIVATE_KEY,
    PROJECT,
    RULE,
    SECURITY_GROUP,
    UNKNOWN,
    VPC,
    VSWITCH,
    Record,
    Resource,
    Secret,
    Standing,
    plain_texts,
    run,
)

ROOT = Path(__file__).parents[2]
STACKS = ("local", "dev", "prod")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with the sample application in it: the archives are written there, not here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").symlink_to(ROOT / "app")
    # The servers of these stacks are nowhere.
    monkeypatch.setattr("components.rollbacks.asked", lambda connection: "0")
    monkeypatch.setattr("components.flask_service.smoke", lambda *_: None)


def configuration(stack: str) -> dict[str, str]:
    """What the engine hands over: the schema's defaults under the stack's own values, as text."""
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    own = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    values: dict[str, Any] = {key: entry["default"] for key, entry in schema.items()}
    values |= {
        key.removeprefix(f"{PROJECT}:"): value for key, value in own.items() if key.startswith(PROJECT)
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


@cache
def made(stack: str) -> Record:
    """What `up` of the stack as it stands asks for. One run serves all tests that only read it."""
    return program(stack)


def program(stack: str, **options: Any) -> Record:
    config = {**configuration(stack), **options.pop("config", {})}
    return run(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        config=config,
        stack=stack,
        **options,
    )


def custom(record: Record) -> list[Resource]:
    return [resource for resource in record.resources if resource.custom]


@pytest.mark.parametrize("stack", STACKS)
def test_the_resources_of_a_stack(stack: str) -> None:
    record = made(stack)
    assert Counter(resource.type for resource in record.resources) == {
        "flaskapp:index:Network": 1,
        "flaskapp:index:Firewall": 1,
        "flaskapp:index:Server": 1,
        "flaskapp:index:FlaskService": 1,
        VPC: 1,
        VSWITCH: 1,
        SECURITY_GROUP: 1,
        RULE: 3,
        PRIVATE_KEY: 2,
        KEY_PAIR: 1,
        INSTANCE: 1,
        # The production example asks for a certificate.
        COMMAND: 4 if stack == "prod" else 3,
        COPY: 2,
    }
    assert len({(resource.type, resource.name) for resource in record.resources}) == len(record.resources)


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_is_a_components_child_and_named_after_its_stack(stack: str) -> None:
    record = made(stack)
    name = f"{PROJECT}-{stack}"
    for resource in record.resources:
        # The stack and its components share their name; a stack's children are the components alone.
        assert resource.parent == name
        assert resource.name.startswith(name)


@pytest.mark.parametrize("stack", STACKS)
def test_the_way_from_network_to_release(stack: str) -> None:
    record = made(stack)
    name = f"{PROJECT}-{stack}"
    instance = record.one(INSTANCE)
    assert instance.inputs["vswitchId"] == f"{name}-vswitch-id"
    assert instance.inputs["securityGroups"] == [f"{name}-group-id"]
    ready = record.one(COMMAND, "-ready")
    rules = {rule.name for rule in record.created(RULE)}
    assert rules | {instance.name} <= ready.dependencies
    later = {f"{name}-release", f"{name}-certificate"}
    everything_else = {resource.name for resource in custom(record)} - later
    assert record.before(record.one(COMMAND, "-release")) == everything_else


@pytest.mark.parametrize("stack", STACKS)
def test_what_runs_on_the_instance_goes_with_it_and_comes_again_on_another(stack: str) -> None:
    record = made(stack)
    instance = record.one(INSTANCE)
    for resource in [*record.created(COMMAND), *record.created(COPY)]:
        assert resource.deleted_with == instance.name
        assert resource.inputs["triggers"][0] == f"{instance.name}-id"
    others = [resource for resource in custom(record) if not resource.type.startswith("command:")]
    assert {resource.deleted_with for resource in others} == {""}


@pytest.mark.parametrize("stack", STACKS)
def test_the_world_reaches_the_web_ports_and_nothing_else(stack: str) -> None:
    record = made(stack)
    from_everywhere = {
        rule.inputs["portRange"] for rule in record.created(RULE) if rule.inputs["cidrIp"] == "0.0.0.0/0"
    }
    assert from_everywhere == {"80/80", "443/443"}
    (ssh,) = [rule for rule in record.created(RULE) if rule.inputs["portRange"] == "22/22"]
    assert ssh.inputs["cidrIp"] == json.loads(configuration(stack)["adminCidrs"])[0]
    assert "securityGroupInnerAccessPolicy" not in record.one(SECURITY_GROUP).inputs


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_is_plain(stack: str) -> None:
    """Private keys, user data that holds one, the environment: marked wherever they go, exported nowhere."""
    record = program(
        stack, config={"secrets": '{"TOKEN": "s3cr3t"}', "env": '{"LEVEL": "pl4in"}'}, secrets=["secrets"]
    )
    for resource in record.resources:
        for text in plain_texts(resource.inputs):
            assert "PRIVATE KEY" not in text, resource.name
            assert "s3cr3t" not in text, resource.name
    instance = record.one(INSTANCE)
    assert [key for key, value in instance.inputs.items() if isinstance(value, Secret)] == ["userData"]
    assert not [value for value in record.exports.values() if isinstance(value, Secret)]
    assert "s3cr3t" not in str(record.exports)
    assert "PRIVATE KEY" not in str(record.exports)


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_outlives_a_destroy(stack: str) -> None:
    for resource in made(stack).resources:
        assert not resource.protect
        assert not resource.retain_on_delete


def test_exports() -> None:
    exports = dict(made("dev").exports)
    assert exports.pop("hostKey").startswith("ssh-ed25519 ")
    assert exports == {
        "url": "http://203.0.113.10",
        "address": "203.0.113.10",
        "release": "3f2a9c01b7de-9ab3e2",
    }
    assert made("prod").exports["url"] == "https://www.example.com"


def test_the_examples_differ_in_what_they_say() -> None:
    dev, prod, local = (made(stack).one(INSTANCE).inputs for stack in ("dev", "prod", "local"))
    assert dev["instanceType"] == "ecs.e-c1m2.large"
    assert (prod["instanceType"], prod["internetMaxBandwidthOut"]) == ("ecs.c7.large", 20)
    assert local["instanceName"] == f"{PROJECT}-local"


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_plans_the_same_resources_with_what_is_unknown(stack: str) -> None:
    planned, record = program(stack, preview=True), made(stack)
    assert {(resource.type, resource.name) for resource in planned.resources} == {
        (resource.type, resource.name) for resource in record.resources
    }
    assert planned.one(INSTANCE).inputs["vswitchId"] == UNKNOWN
    assert planned.one(INSTANCE).inputs["userData"] == Secret(UNKNOWN)
    assert set(planned.exports) == set(record.exports)
    assert planned.exports["release"] == UNKNOWN


ON_THE_SERVER = frozenset({COMMAND, COPY})
PREVIEWS = {
    "first": None,
    "server replaced": Standing(but=ON_THE_SERVER | {INSTANCE}),
    "another address": Standing(but=ON_THE_SERVER, unknown={INSTANCE: frozenset({"publicIp"})}),
}


def unknown(value: Any) -> bool:
    if isinstance(value, Secret):
        return unknown(value.value)
    if isinstance(value, dict):
        return any(map(unknown, value.values()))
    return any(map(unknown, value)) if isinstance(value, list) else bool(value == UNKNOWN)


@pytest.mark.parametrize("standing", PREVIEWS.values(), ids=PREVIEWS)
@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_knows_what_a_provider_looks_at(stack: str, standing: Standing | None) -> None:
    """What is refused, is refused before anything is made; an unknown source is refused by itself."""
    record = program(stack, preview=True, standing=standing)
    assert len(record.created(COPY)) == 2
    if standing:
        assert unknown(record.one(COMMAND, "-ready").inputs["connection"])
    unseen = {
        (resource.type, name)
        for resource in custom(record)
        for name in checked(resource.type)
        if unknown(resource.inputs.get(name))
    }
    # The name of a key pair says which key it holds, and waits for one that is still to be made.
    assert unseen <= ({(KEY_PAIR, "keyPairName")} if standing is None else set())


@pytest.mark.parametrize("stack", STACKS)
def test_every_input_is_one_of_its_providers(stack: str) -> None:
    for resource in custom(made(stack)):
        assert resource.inputs.keys() <= known_inputs(resource.type), resource.name
    for token, arguments in made(stack).calls:
        assert arguments.keys() <= known_inputs(token)


def test_a_second_run_asks_for_the_same() -> None:
    """All but the keys, which the stand-in makes anew: whatever else differed would be an update at every run."""

    def without_keys(record: Record) -> dict[str, dict[str, Any]]:
        made_of_keys = {"connection", "userData", "publicKey", "keyPairName", "keyName"}
        return {
            f"{resource.type} {resource.name}": {
                key: value for key, value in resource.inputs.items() if key not in made_of_keys
            }
            for resource in record.resources
        }

    assert without_keys(program("dev")) == without_keys(made("dev"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"adminCidrs": "[]"}, "adminCidrs is empty"),
        ({"module": "nowhere"}, "module is 'nowhere'"),
        ({"typo": "1"}, "unknown configuration key typo"),
        ({"clientMaxBodySize": "much"}, "clientMaxBodySize is 'much'"),
        ({"appPath": "empty", "module": "app"}, "appPath: .* has no requirements.txt"),
    ],
)
def test_a_wrong_configuration_ends_before_anything_is_made(
    tmp_path: Path, config: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "app.py").write_text("app = None\n")
    record = Record()
    with pytest.raises(pulumi.RunError, match=message):
        program("dev", config=config, record=record)
    assert record.resources == []
    assert record.calls == []


def test_an_existing_vswitch_takes_the_place_of_the_network() -> None:
    record = program("dev", config={"vswitchId": "vsw-there"})
    assert record.created(VPC) + record.created(VSWITCH) == []
    assert record.one(INSTANCE).inputs["vswitchId"] == "vsw-there"
    assert record.one(SECURITY_GROUP).inputs["vpcId"] == "vpc-there"
    assert program("dev", config={"vswitchId": "vsw-there"}, preview=True).created(INSTANCE)


def test_the_example_stacks_name_their_region() -> None:
    """The provider's own default is a region that nobody chose."""
    for stack in STACKS:
        own = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
        assert own["alicloud:region"]
