"""What a plan says beside its signs."""

import pytest

from automation.consequences import consequences
from components import restarts
from progress import Operation, Step


def server(operation: Operation) -> Step:
    return Step(operation, "Instance", "web-debian12")


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.UPDATE, Operation.SAME])
def test_a_server_that_stays_loses_nothing(operation: Operation) -> None:
    assert consequences([server(operation), Step(Operation.REPLACE, "Command", "web-ready")]) == []


def test_what_goes_with_a_server_is_said() -> None:
    (replaced,) = consequences([Step(Operation.CREATE, "Network", "web"), server(Operation.REPLACE)])
    assert "another address" in replaced
    assert "disk" in replaced
    (deleted,) = consequences([server(Operation.DELETE)])
    assert "deleted" in deleted


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"instanceType": "ecs.a"}, {"instanceType": "ecs.b"}, ["another instanceType"]),
        ({"keyName": "a", "instanceType": "t"}, {"keyName": "b", "instanceType": "t"}, ["another key pair"]),
        ({"internetMaxBandwidthOut": 5}, {"internetMaxBandwidthOut": 10}, []),
        ({"status": "Stopped"}, {"status": "Running"}, ["having been stopped"]),
        # An input that the program did not set before is nothing that differs on the server.
        ({}, {"status": "Running"}, []),
    ],
)
def test_what_restarts_a_server(old: dict[str, object], new: dict[str, object], why: list[str]) -> None:
    assert restarts.reasons(old, new) == why
