"""What pulumi-command refuses of remote commands and copies, and that no secret is told with it."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import rpc

from sandbox import values
from sandbox.provider_facts import COMMAND, COPY, Refusal, as_pulumi_says, refusals
from tests.sandbox.test_provider_facts import COMPLETE, FILE, UNKNOWN, said

TEXT = {rpc._special_sig_key: rpc._special_asset_sig, "text": "hello"}
ADDRESS = {rpc._special_sig_key: rpc._special_asset_sig, "uri": "https://example.com/"}
FOLDER = {rpc._special_sig_key: rpc._special_archive_sig, "path": "app"}
ASSETS = {rpc._special_sig_key: rpc._special_archive_sig, "assets": {"a": FILE}}


@pytest.mark.parametrize(
    "source", [UNKNOWN, values.secret(UNKNOWN), "release.tar.gz"], ids=["unknown", "secret", "a text"]
)
def test_a_copy_without_a_source_is_refused_in_a_preview(source: Any) -> None:
    """The words that stopped every first `pulumi up`."""
    assert said(COPY, source=source) == [
        (
            "command:remote:CopyToRemote resource 'it': property asset value {<nil>} has a problem:"
            " either asset or archive must be set"
        )
    ]


@pytest.mark.parametrize("source", [FILE, TEXT, FOLDER, values.secret(FILE)])
def test_what_can_be_copied(source: Any) -> None:
    assert said(COPY, source=source) == []


@pytest.mark.parametrize(
    ("source", "property_", "reason"),
    [
        (ADDRESS, "asset", "asset must be a path-based file asset or a text asset"),
        (ASSETS, "archive", "archive must be a path to a file or directory"),
    ],
)
def test_what_cannot_be_copied(source: Any, property_: str, reason: str) -> None:
    assert refusals(COPY, {**COMPLETE[COPY], "source": source}) == [Refusal(property_, reason)]


@pytest.mark.parametrize(
    ("token", "changes", "field", "reason"),
    [
        (COMMAND, {"connection": None}, "connection", "Missing required field 'connection' on 'remote.CommandInputs'"),
        (
            COMMAND,
            {"connection": {"user": "root"}},
            "connection",
            ("An error occurred decoding 'CommandInputs.connection': 1 failures decoding:"
            "\n\thost: Missing required field 'host' on 'remote.Connection'"),
        ),
        (
            COMMAND,
            {"connection": "203.0.113.10"},
            "connection",
            "Field 'connection' on 'remote.CommandInputs' must be a 'remote.Connection'; got 'string' instead",
        ),
        (
            COMMAND,
            {"create": 1},
            "create",
            "Field 'create' on 'remote.CommandInputs' must be a 'string'; got 'float64' instead",
        ),
        (COMMAND, {"creates": "true"}, "creates", "Unrecognized field 'creates' on 'remote.CommandInputs'"),
        (
            COPY,
            {"remotePath": None},
            "remotePath",
            "Missing required field 'remotePath' on 'remote.CopyToRemoteInputs'",
        ),
        (
            COPY,
            {"triggers": "i-1"},
            "triggers",
            "Field 'triggers' on 'remote.CopyToRemoteInputs' must be a '[]interface {}'; got 'string' instead",
        ),
    ],
)  # fmt: skip
def test_fields_of_remote_steps(token: str, changes: dict[str, Any], field: str, reason: str) -> None:
    inputs = {key: value for key, value in {**COMPLETE[token], **changes}.items() if value is not None}
    assert refusals(token, inputs) == [Refusal(field, reason)]


def test_no_secret_is_told() -> None:
    line = as_pulumi_says(
        COMMAND, "it", Refusal("connection", "no"), {"connection": values.secret({"privateKey": "s3cr3t"})}
    )
    assert (
        line == "command:remote:Command resource 'it': property connection value {[secret]} has a problem: no"
    )
    nested = as_pulumi_says(
        COMMAND, "it", Refusal("connection", "no"), {"connection": {"privateKey": values.secret("s3cr3t")}}
    )
    assert "{map[privateKey:{[secret]}]}" in nested
