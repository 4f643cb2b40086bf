"""What a provider says when it refuses an input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One refusal.

    Attributes:
        property: the input, "" when it concerns the resource as a whole (as all that a bridged provider refuses does).
        reason: the provider's own words.
        examine: where a bridged provider sends the reader: the input, to stand behind the resource's name.
    """

    property: str
    reason: str
    examine: str = ""

    def told_of(self, name: str) -> str:
        """Return the whole reason for the resource `name`.

        Source: pulumi-terraform-bridge, pkg/tfbridge/check_failures.go, NewCheckFailure.
        """
        return f"{self.reason}. Examine values at '{name}.{self.examine}'." if self.examine else self.reason
