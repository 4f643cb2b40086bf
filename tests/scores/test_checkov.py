"""checkov judges what the program asks the cloud for, with the stacks' own settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.scores.tools import run, tool
from tests.unit.recorder import INSTANCE, KEY_PAIR, RULE, SECURITY_GROUP, VPC, VSWITCH, Record, Secret
from tests.unit.test_program import STACKS, program

# The provider is a bridged one: each type and property has a name in Terraform.
TERRAFORM = {
    INSTANCE: "alicloud_instance",
    KEY_PAIR: "alicloud_ecs_key_pair",
    RULE: "alicloud_security_group_rule",
    SECURITY_GROUP: "alicloud_security_group",
    VPC: "alicloud_vpc",
    VSWITCH: "alicloud_vswitch",
}
# Findings that stay, and why.
ACCEPTED: dict[str, str] = {}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tests/unit/test_program.py: archives are written here, and no server is there to be asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").symlink_to(Path(__file__).parents[2] / "app")
    monkeypatch.setattr("components.rollbacks.asked", lambda connection: "0")
    monkeypatch.setattr("components.flask_service.smoke", lambda *_: None)


def test_checkov_passes_what_is_planned(tmp_path: Path) -> None:
    folder = tmp_path / "planned"
    folder.mkdir()
    for stack in STACKS:
        (folder / f"{stack}.tf.json").write_text(json.dumps(planned(program(stack), stack)))
    # Guards the test: what it would not pass.
    open_to_all = {"type": "ingress", "ip_protocol": "tcp", "port_range": "22/22", "cidr_ip": "0.0.0.0/0"}
    (folder / "guard.tf.json").write_text(
        json.dumps({"resource": {"alicloud_security_group_rule": {"guard": open_to_all}}})
    )
    judged = run(
        tool("checkov"),
        *("--directory", str(folder), "--framework", "terraform_json", "terraform"),
        *("--skip-download", "--quiet", "--compact", "--output", "json"),
    )
    found = json.loads(judged.stdout)
    results = found if isinstance(found, list) else [found]
    failed = {
        (check["check_id"], check["resource"], check["check_name"])
        for result in results
        for check in result["results"]["failed_checks"]
    }
    passed = sum(result["summary"]["passed"] for result in results)
    assert [check for check in failed if check[1].endswith(".guard")]
    assert {
        check for check in failed if not check[1].endswith(".guard") and check[0] not in ACCEPTED
    } == set()
    assert set(ACCEPTED) <= {check[0] for check in failed}, "an exception that is no longer needed"
    assert passed > 3 * len(STACKS)


def planned(record: Record, stack: str) -> dict[str, Any]:
    """The resources of a run as Terraform's JSON."""
    resources: dict[str, dict[str, Any]] = {}
    for resource in record.resources:
        if resource.type in TERRAFORM:
            name = re.sub(r"[^A-Za-z0-9_-]", "_", resource.name)
            resources.setdefault(TERRAFORM[resource.type], {})[f"{stack}_{name}"] = {
                _snake(key): "secret" if isinstance(value, Secret) else value
                for key, value in resource.inputs.items()
            }
    assert set(resources) == set(TERRAFORM.values())
    return {"resource": resources}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
