"""What a stack's resources are called: in Pulumi's state, and by the cloud, which allows less in a name than Pulumi."""

from __future__ import annotations

import hashlib
import re

# A key pair's name has the tightest rules: 2 to 128 characters, a letter first, then letters, digits, : _ and -
# (ImportKeyPair). What is added to the name below stays within the rest.
_LONGEST = 96
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def resource_name(project: str, stack: str) -> str:
    """Return `<project>-<stack>`, made safe where the cloud would refuse it; two stacks never share a name."""
    plain = f"{project}-{stack}"
    safe = _OTHER.sub("-", plain)
    if not safe[0].isalpha():
        safe = f"s-{safe}"
    if safe == plain and len(safe) <= _LONGEST:
        return safe
    return f"{safe[: _LONGEST - 9]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
