"""What is to be done to one resource, from what is remembered of it and what the program asks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from progress import Operation
from sandbox import values
from sandbox.state import Entry, Status


def decide(
    old: Entry | None, inputs: dict[str, Any], replaces: Collection[str]
) -> tuple[Operation, tuple[str, ...]]:
    """Return the operation and the names of the inputs that make it necessary.

    `replaces` names inputs whose change needs a new resource ("*": each of them). An input that is not known yet
    (in a preview) counts as changed.
    """
    if old is None or old.status is Status.CREATING:
        return Operation.CREATE, ()
    changed = changed_inputs(old.inputs, inputs)
    if set(changed) & set(replaces) or (changed and "*" in replaces):
        return Operation.REPLACE, changed
    if changed or old.status is Status.UNSURE:
        return Operation.UPDATE, changed
    return Operation.SAME, ()


def changed_inputs(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of inputs that differ; whether a value is marked as secret makes no difference."""
    return tuple(
        key
        for key in sorted(old.keys() | new.keys())
        if values.holds_unknown(new.get(key))
        or values.unwrapped(old.get(key)) != values.unwrapped(new.get(key))
    )


def with_ignored(
    old: Entry | None, inputs: dict[str, Any], ignore_changes: Collection[str]
) -> dict[str, Any]:
    """Return the inputs with those of `ignore_changes` as they were."""
    if old is None:
        return inputs
    kept = {key: old.inputs[key] for key in ignore_changes if key in old.inputs}
    dropped = {key for key in ignore_changes if key not in old.inputs}
    return {key: value for key, value in {**inputs, **kept}.items() if key not in dropped}
