"""checkov judges what the program asks the cloud for, with the stacks' own settings."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scores.judges import CHECKOV_ACCEPTED, checkov, checkov_of_files
from tests.unit.test_program import STACKS


def test_checkov_passes_what_is_planned(tmp_path: Path) -> None:
    checks = checkov(tmp_path)
    assert checks.left == set()
    assert set(CHECKOV_ACCEPTED) <= {check[0] for check in checks.failed}, "an exception no longer needed"
    assert checks.passed > 3 * len(STACKS)


def test_checkov_would_say_it(tmp_path: Path) -> None:
    """Guards the test above."""
    open_to_all = {"type": "ingress", "ip_protocol": "tcp", "port_range": "22/22", "cidr_ip": "0.0.0.0/0"}
    (tmp_path / "guard.tf.json").write_text(
        json.dumps({"resource": {"alicloud_security_group_rule": {"guard": open_to_all}}})
    )
    assert {check[1].rpartition(".")[2] for check in checkov_of_files(tmp_path).left} == {"guard"}
