import base64
import contextlib
from dataclasses import replace

import pulumi
import pytest
from pulumi_alicloud import ecs

from components.server import Server
from render.profiles import PROFILES
from settings import ServerSettings
from tests.unit.recorder import (
    COMMAND,
    INSTANCE,
    KEY_PAIR,
    PRIVATE_KEY,
    RULE,
    UNKNOWN,
    Record,
    Secret,
    ed25519,
    plain_texts,
    run,
)

SETTINGS = ServerSettings(
    profile=PROFILES["centos7"],
    image_id=None,
    instance_type="ecs.e-c1m2.large",
    system_disk_size=40,
    bandwidth_mbps=5,
    public_key=None,
    private_key=None,
    python="standalone",
    python_mirror=None,
)
IMAGES = "alicloud:ecs/getImages:getImages"


def server(
    settings: ServerSettings = SETTINGS,
    answers: dict[str, object] | None = None,
    private_key: str | None = None,
    *,
    preview: bool = False,
) -> Record:
    def program() -> None:
        rule = ecs.SecurityGroupRule("rule", security_group_id="sg-1", type="ingress", ip_protocol="tcp")
        given = settings
        if private_key:
            given = replace(settings, private_key=pulumi.Output.secret(private_key))
        made = Server(
            "web",
            {
                "settings": given,
                "vswitch_id": "vsw-1",
                "security_group_id": "sg-1",
                "reachable_after": [rule],
            },
        )
        pulumi.export("address", made.address)
        pulumi.export("hostKey", made.host_key)

    return run(program, answers=answers, preview=preview)


def user_data(record: Record) -> str:
    sent = record.one(INSTANCE).inputs["userData"]
    assert isinstance(sent, Secret)
    return base64.b64decode(sent.value, validate=True).decode()


@pytest.fixture(scope="module")
def made() -> Record:
    return server()


def test_the_instance(made: Record) -> None:
    instance = made.one(INSTANCE)
    inputs = {key: value for key, value in instance.inputs.items() if key not in ("userData", "keyName")}
    assert inputs == {
        "instanceName": "web",
        "imageId": "centos_7_9_x64_20G_alibase_20240628.vhd",
        "instanceType": "ecs.e-c1m2.large",
        "securityGroups": ["sg-1"],
        "vswitchId": "vsw-1",
        "internetChargeType": "PayByTraffic",
        "internetMaxBandwidthOut": 5,
        "instanceChargeType": "PostPaid",
        "systemDiskCategory": "cloud_essd",
        "systemDiskSize": 40,
        # Read back as Stopped, it is a difference, and `up` starts the server.
        "status": "Running",
    }
    assert instance.parent == "web"
    assert not instance.protect


def test_user_data_is_base64_and_secret_and_replaces_the_instance(made: Record) -> None:
    """It holds the private host key, and cloud-init reads it at the first boot only."""
    assert user_data(made).startswith("#cloud-config")
    assert "userData" in made.one(INSTANCE).replace_on_changes
    assert "userData" not in made.one(INSTANCE).ignore_changes


def test_user_data_fits_what_ecs_takes(made: Record) -> None:
    assert len(user_data(made).encode()) <= 32 * 1024


def test_the_newest_public_image_is_looked_up_and_kept(made: Record) -> None:
    assert made.calls == [
        (IMAGES, {"owners": "system", "nameRegex": "^centos_7_9_x64", "mostRecent": True}),
    ]
    assert made.one(INSTANCE).ignore_changes == ("imageId",)


def test_a_given_image_is_used_and_may_be_changed() -> None:
    record = server(replace(SETTINGS, image_id="m-1"))
    assert record.calls == []
    assert record.one(INSTANCE).inputs["imageId"] == "m-1"
    assert record.one(INSTANCE).ignore_changes == ()


def test_another_image_or_vswitch_is_another_server(made: Record) -> None:
    """In place, an image would wipe the disk and leave the instance's id, by which everything else is triggered."""
    assert {"imageId", "vswitchId"} <= set(made.one(INSTANCE).replace_on_changes)


def test_no_public_image() -> None:
    with pytest.raises(pulumi.RunError, match="os is 'centos7', and this region has no public image"):
        server(answers={IMAGES: {"images": []}})


def test_another_system_is_another_server() -> None:
    """Under one name the old image would be kept and meet the other system's user data."""
    debian = server(replace(SETTINGS, profile=PROFILES["debian12"], python="system"))
    assert debian.one(INSTANCE).name != server().one(INSTANCE).name


def test_the_host_key_is_made_here_and_pinned(made: Record) -> None:
    host_key = made.one(PRIVATE_KEY, "host-key")
    assert host_key.inputs == {"algorithm": "ED25519"}
    pinned = made.one(COMMAND).inputs["connection"].value["hostKey"]
    assert pinned.startswith("ssh-ed25519 ")
    assert pinned == pinned.strip()
    assert made.exports["hostKey"] == pinned


def test_an_admin_key_is_made_where_none_is_given(made: Record) -> None:
    made_key = made.one(PRIVATE_KEY, "admin-key")
    assert made_key.inputs == {"algorithm": "ED25519"}
    pair = made.one(KEY_PAIR)
    assert pair.inputs["publicKey"].startswith("ssh-ed25519 ")
    assert pair.dependencies == {"web-admin-key"}
    assert "PRIVATE KEY" in made.one(COMMAND).inputs["connection"].value["privateKey"]


def test_a_given_key_pair_is_used() -> None:
    private, public = ed25519()
    record = server(replace(SETTINGS, public_key=public), private_key=private)
    assert [key.name for key in record.created(PRIVATE_KEY)] == ["web-host-key"]
    assert record.one(KEY_PAIR).inputs["publicKey"] == public
    connection = record.one(COMMAND).inputs["connection"]
    assert isinstance(connection, Secret)
    assert connection.value["privateKey"] == private


def test_without_a_private_key_the_agent_is_asked() -> None:
    record = server(replace(SETTINGS, public_key=ed25519()[1]))
    assert "privateKey" not in record.one(COMMAND).inputs["connection"].value


def test_a_changed_key_makes_a_new_pair_under_a_new_name() -> None:
    """The provider ignores a changed public key, names are unique, and an attached pair cannot be deleted."""
    one, other = (server(replace(SETTINGS, public_key=ed25519()[1])) for _ in range(2))
    assert one.one(KEY_PAIR).replace_on_changes == ("publicKey",)
    assert not one.one(KEY_PAIR).delete_before_replace
    assert one.one(KEY_PAIR).inputs["keyPairName"] != other.one(KEY_PAIR).inputs["keyPairName"]
    assert one.one(INSTANCE).inputs["keyName"] == one.one(KEY_PAIR).inputs["keyPairName"]


def test_readiness_waits_for_ssh_and_nothing_else_does(made: Record) -> None:
    ready = made.one(COMMAND)
    assert ready.inputs["connection"].value["dialErrorLimit"] == -1
    assert ready.inputs["connection"].value["host"] == "203.0.113.10"
    assert ready.inputs["connection"].value["user"] == "root"
    assert ready.create_timeout == "25m"


def test_readiness_runs_again_on_a_new_instance_and_goes_with_it(made: Record) -> None:
    ready = made.one(COMMAND)
    assert ready.inputs["triggers"] == [f"{made.one(INSTANCE).name}-id"]
    assert ready.deleted_with == made.one(INSTANCE).name
    assert ready.parent == "web"
    assert "delete" not in ready.inputs


def test_readiness_comes_after_the_rules_that_let_ssh_in(made: Record) -> None:
    assert made.one(RULE).name in made.one(COMMAND).dependencies


def test_no_private_key_is_plain_anywhere(made: Record) -> None:
    for resource in made.resources:
        with contextlib.suppress(StopIteration):
            text = next(text for text in plain_texts(resource.inputs) if "PRIVATE KEY" in text)
            pytest.fail(f"{resource.name} has a private key in plain text: {text[:60]}")


def test_a_preview_plans_with_what_is_not_known_yet() -> None:
    record = server(preview=True)
    assert record.one(INSTANCE).inputs["userData"] == Secret(UNKNOWN)
    assert record.one(COMMAND).inputs["triggers"] == [UNKNOWN]
    assert record.exports["address"] == UNKNOWN
