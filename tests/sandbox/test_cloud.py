"""What the sandbox's cloud checks before it makes anything: as the real one does."""

import base64
import ipaddress
from pathlib import Path

import pytest

from sandbox import containers, packet_filter
from sandbox.api_refusals import USER_DATA_LIMIT
from sandbox.cloud import IMAGE_ID, Cloud, Place
from sandbox.errors import SandboxError

REGION = "cn-hangzhou"
RULE = packet_filter.Rule("tcp", 80, 80, "0.0.0.0/0", "accept", 1)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A cloud with a network on paper: no container is made in these tests, and no podman network is needed."""
    monkeypatch.setattr("sandbox.cloud.networks.create", lambda name, labels: None)
    monkeypatch.setattr("sandbox.cloud.networks.remove", lambda name: None)
    monkeypatch.setattr("sandbox.cloud.Cloud._apply_rules", lambda self: None)
    made = Cloud(Place(tmp_path, ipaddress.IPv4Network("127.0.49.0/24")), REGION)
    made.create_network("vpc-1", "10.0.0.0/16")
    made.create_vswitch("vsw-1", "vpc-1", "10.0.0.0/24", f"{REGION}-h")
    made.create_group("sg-1", "vpc-1")
    made.import_key("admin", "ssh-ed25519 AAAA")
    return made


def run(cloud: Cloud, **changes: str) -> None:
    arguments = {
        "name": "web",
        "image": IMAGE_ID,
        "vswitch": "vsw-1",
        "group": "sg-1",
        "key": "admin",
        "user_data": base64.b64encode(b"#cloud-config\n").decode(),
        **changes,
    }
    cloud.run_instance("i-1", public=True, say=lambda line: None, **arguments)


def test_a_vswitch_lies_in_its_vpc_and_in_a_zone_of_the_region(cloud: Cloud) -> None:
    with pytest.raises(SandboxError, match="outside of its VPC"):
        cloud.create_vswitch("vsw-2", "vpc-1", "10.1.0.0/24", f"{REGION}-h")
    with pytest.raises(SandboxError, match="no zone cn-beijing-a"):
        cloud.create_vswitch("vsw-2", "vpc-1", "10.0.1.0/24", "cn-beijing-a")
    with pytest.raises(SandboxError, match="no VPC vpc-2"):
        cloud.create_vswitch("vsw-2", "vpc-2", "10.0.1.0/24", f"{REGION}-h")


def test_a_rule_needs_its_group(cloud: Cloud) -> None:
    cloud.authorize("sg-1", "sgr-1", RULE)
    with pytest.raises(SandboxError, match="no security group sg-2"):
        cloud.authorize("sg-2", "sgr-2", RULE)
    cloud.revoke("sg-2", "sgr-2")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image", "centos_7_9_x64.vhd", "InvalidImageId.NotFound: .* no image centos_7_9_x64.vhd"),
        ("vswitch", "vsw-9", "InvalidVSwitchId.NotFound: .* no vswitch vsw-9"),
        ("group", "sg-9", "InvalidSecurityGroupId.NotFound: .* no security group sg-9"),
        ("key", "nobody", "InvalidKeyPair.NotFound: .* no key pair nobody"),
        (
            "user_data",
            base64.b64encode(b"x" * (USER_DATA_LIMIT + 1)).decode(),
            "InvalidUserData.SizeExceeded: ",
        ),
    ],
)
def test_an_instance_needs_what_it_names(cloud: Cloud, key: str, value: str, message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        run(cloud, **{key: value})


def test_an_instance_and_its_group_are_in_one_vpc(cloud: Cloud) -> None:
    cloud.create_network("vpc-2", "10.9.0.0/16")
    cloud.create_group("sg-2", "vpc-2")
    with pytest.raises(SandboxError, match="not in the same VPC"):
        run(cloud, group="sg-2")


def test_what_is_in_use_stays(cloud: Cloud) -> None:
    with pytest.raises(SandboxError, match="VPC vpc-1 is in use by vsw-1"):
        cloud.delete_network("vpc-1")
    cloud.delete_vswitch("vsw-1")
    with pytest.raises(SandboxError, match="VPC vpc-1 is in use by sg-1"):
        cloud.delete_network("vpc-1")
    cloud.delete_group("sg-1")
    cloud.delete_network("vpc-1")


def test_a_key_pair_has_one_key_and_stays_while_an_instance_has_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.import_key("admin", "ssh-ed25519 AAAA")  # as a run that was killed left it
    with pytest.raises(SandboxError, match=r"KeyPair.AlreadyExist: The key pair already exist"):
        cloud.import_key("admin", "ssh-ed25519 BBBB")
    with pytest.raises(
        SandboxError, match=r"InvalidKeyPairName.Malformed: Specified Key Pair name is not valid"
    ):
        cloud.import_key("1st", "ssh-ed25519 AAAA")
    with pytest.raises(
        SandboxError, match=r"InvalidPublicKeyBody.Malformed: The PublicKeyBody format is not"
    ):
        cloud.import_key("other", "AAAA")
    monkeypatch.setattr("sandbox.cloud.base_image", lambda say: "image")
    monkeypatch.setattr("sandbox.cloud.containers.create", lambda instance, seeds: None)
    monkeypatch.setattr("sandbox.cloud.containers.start", lambda name: None)
    monkeypatch.setattr("sandbox.cloud.containers.private_address", lambda name: "10.0.0.2")
    run(cloud)
    with pytest.raises(SandboxError, match=r"KeypairAlreadyAttachedInstance: .* in use by i-1"):
        cloud.delete_key("admin")


def test_a_rule_changes_while_an_instance_goes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in ("create", "start"):
        monkeypatch.setattr(f"sandbox.cloud.containers.{name}", lambda *_given: None)
    monkeypatch.setattr("sandbox.cloud.base_image", lambda say: "image")
    monkeypatch.setattr("sandbox.cloud.networks.bridge", lambda name: "bridge")
    guarded: list[list[packet_filter.Guarded]] = []
    monkeypatch.setattr(
        "sandbox.cloud.packet_filter.apply", lambda _table, these, _bridges: guarded.append(these)
    )
    facts = {"State": {"Status": "running"}, "Config": {"Labels": {containers._ADDRESS: "10.0.0.2"}}}
    monkeypatch.setattr("sandbox.containers._inspect", lambda name: facts)
    run(cloud)
    # There when it is looked at, and removed before it is looked at again.
    looks = iter([facts])
    monkeypatch.setattr("sandbox.containers._inspect", lambda name: next(looks, None))
    cloud.authorize("sg-1", "sgr-1", RULE)
    cloud.revoke("sg-1", "sgr-1")
    assert [[one.rules for one in these] for these in guarded] == [[()], [(RULE,)], []]


def test_deleting_what_is_gone_is_done(cloud: Cloud) -> None:
    cloud.delete_instance("i-9")
    cloud.delete_vswitch("vsw-9")
    cloud.delete_key("nobody")


def test_only_debian_12_has_an_image(cloud: Cloud) -> None:
    assert cloud.images("^debian_12_[0-9]+_x64") == [IMAGE_ID]
    with pytest.raises(SandboxError, match="set os to debian12"):
        cloud.images("^centos_7_9_x64")


def test_another_process_finds_it_all_again(cloud: Cloud, tmp_path: Path) -> None:
    again = Cloud(Place(tmp_path), REGION)
    assert again.vswitch("vsw-1") == {"network": "vpc-1", "cidr": "10.0.0.0/24", "zone": f"{REGION}-h"}
    assert again.vswitch("vsw-2") is None
