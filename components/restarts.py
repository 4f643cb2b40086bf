"""What a change in place stops or reboots: said in the plan, which itself shows no more than the changed input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

# What the provider stops and starts an instance for, or reboots it (resource_alicloud_instance.go), of what is set.
RESTARTING = {
    "instanceType": "another instanceType",
    "keyName": "another key pair",
    "status": "having been stopped",
}


def told(instance: str) -> pulumi.ResourceHookBinding:
    """Return the hook that says, before an instance is updated and in a preview, that it is restarted and why."""

    def before_update(given: pulumi.ResourceHookArgs) -> None:
        why = reasons(given.old_inputs or {}, given.new_inputs or {})
        if why:
            pulumi.log.warn(sentence(why))

    hook = pulumi.ResourceHook(
        f"{instance}-restart", before_update, pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=True)
    )
    return pulumi.ResourceHookBinding(before_update=[hook])


def reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what restarts an instance among the inputs that differ."""
    return [why for name, why in RESTARTING.items() if name in old and old[name] != new.get(name)]


def sentence(why: list[str]) -> str:
    """Return one line for whoever reads the plan."""
    return f"The server restarts for {' and '.join(why)}: the site is away for about half a minute."
