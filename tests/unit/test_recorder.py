"""The stand-in for Pulumi's engine refuses what a real provider would, so that a test of the program does."""

import pulumi
import pytest
from pulumi_alicloud import ecs, vpc
from pulumi_command import remote

from tests.unit.recorder import COPY, INSTANCE, VSWITCH, Standing, run


def test_an_input_that_a_provider_refuses_fails_the_run() -> None:
    with pytest.raises(
        AssertionError, match=r"Switch resource 'vsw' has a problem: \"zone_id\": one of `availability_zone,"
    ):
        run(lambda: vpc.Switch("vsw", vpc_id="vpc-1", cidr_block="10.0.0.0/24"))


def test_an_argument_of_a_data_source_that_a_provider_refuses_fails_the_run() -> None:
    with pytest.raises(AssertionError, match="expected owners to be one of"):
        run(lambda: ecs.get_images(owners="mine"))


def copied() -> None:
    """What the program once did: an archive that holds the address of a server that is still to be made."""
    instance = ecs.Instance("web", image_id="m-1", instance_type="ecs.e-c1m2.large")
    remote.CopyToRemote(
        "files",
        connection={"host": instance.public_ip},
        source=instance.public_ip.apply(lambda address: pulumi.FileAsset(__file__)),
        remote_path="/tmp/files",
    )


@pytest.mark.parametrize(
    "standing",
    [None, Standing(but=frozenset({INSTANCE})), Standing(unknown={INSTANCE: frozenset({"publicIp"})})],
    ids=["first", "replaced", "another address"],
)
def test_an_asset_that_is_unknown_in_a_preview_fails_the_run(standing: Standing | None) -> None:
    with pytest.raises(
        AssertionError, match=r"property asset value \{<nil>\} has a problem: either asset or archive"
    ):
        run(copied, preview=True, standing=standing)


def test_what_stands_is_known_in_a_preview() -> None:
    record = run(copied, preview=True, standing=Standing(but=frozenset({VSWITCH})))
    assert record.one(COPY).inputs["connection"].value["host"] == "203.0.113.10"
    assert run(copied).one(COPY)
