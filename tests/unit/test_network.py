import ipaddress

import pulumi
import pytest

from components.lookups import zone_for
from components.network import Network
from settings import NetworkSettings
from tests.unit.recorder import VPC, VSWITCH, Record, run

TYPE = "ecs.e-c1m2.large"


def network(
    cidr: str = "10.64.0.0/16",
    zone: str | None = None,
    vswitch_id: str | None = None,
    answers: dict[str, object] | None = None,
    *,
    preview: bool = False,
) -> Record:
    def program() -> None:
        settings = NetworkSettings(ipaddress.IPv4Network(cidr), zone, vswitch_id)
        made = Network("net", {"settings": settings, "zone": zone_for(settings, TYPE)})
        pulumi.export("vpc", made.vpc_id)
        pulumi.export("vswitch", made.vswitch_id)

    return run(program, answers=answers, preview=preview)


def test_a_vpc_with_one_vswitch() -> None:
    record = network()
    vpc, vswitch = record.one(VPC), record.one(VSWITCH)
    assert vpc.inputs == {"vpcName": "net", "cidrBlock": "10.64.0.0/16"}
    assert vswitch.inputs == {
        "vswitchName": "net",
        "vpcId": "net-vpc-id",
        "cidrBlock": "10.64.0.0/24",
        "zoneId": "cn-hangzhou-h",
    }
    assert {vpc.parent, vswitch.parent} == {"net"}
    assert vswitch.dependencies == {"net-vpc"}
    assert record.exports == {"vpc": "net-vpc-id", "vswitch": "net-vswitch-id"}


@pytest.mark.parametrize(
    ("vpc", "vswitch"), [("10.0.0.0/8", "10.0.0.0/24"), ("192.168.7.0/26", "192.168.7.0/26")]
)
def test_the_vswitch_takes_the_first_part_of_the_vpc(vpc: str, vswitch: str) -> None:
    assert network(vpc).one(VSWITCH).inputs["cidrBlock"] == vswitch


def test_a_looked_up_zone_sells_the_type_and_is_kept() -> None:
    record = network()
    (call,) = record.calls
    assert call == (
        "alicloud:index/getZones:getZones",
        {"availableInstanceType": TYPE, "availableResourceCreation": "VSwitch"},
    )
    assert record.one(VSWITCH).ignore_changes == ("zoneId",)


def test_a_given_zone_is_used_and_may_be_changed() -> None:
    record = network(zone="cn-hangzhou-k")
    assert record.calls == []
    assert record.one(VSWITCH).inputs["zoneId"] == "cn-hangzhou-k"
    assert record.one(VSWITCH).ignore_changes == ()


def test_no_zone_sells_the_type() -> None:
    with pytest.raises(
        pulumi.RunError, match=rf"instanceType is '{TYPE}', which no zone of this region sells"
    ):
        network(answers={"alicloud:index/getZones:getZones": {"zones": []}})


def test_an_existing_vswitch_brings_its_vpc_and_nothing_is_made() -> None:
    record = network(vswitch_id="vsw-there")
    assert [resource.name for resource in record.resources if resource.custom] == []
    assert record.calls == [("alicloud:vpc/getSwitches:getSwitches", {"ids": ["vsw-there"]})]
    assert record.exports == {"vpc": "vpc-there", "vswitch": "vsw-there"}


def test_a_vswitch_that_is_not_there() -> None:
    with pytest.raises(
        pulumi.RunError, match="vswitchId is 'vsw-gone', which this region and account do not"
    ):
        network(vswitch_id="vsw-gone", answers={"alicloud:vpc/getSwitches:getSwitches": {"vswitches": []}})


def test_a_preview_knows_what_is_there_already() -> None:
    assert network(vswitch_id="vsw-there", preview=True).exports["vpc"] == "vpc-there"
