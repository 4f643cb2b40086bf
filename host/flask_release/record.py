"""The log of what this tool did: a JSON object a line, appended with one write."""

import contextlib
import json
import os
import time
from typing import Any, Dict, List

from flask_release import files
from flask_release.host import Host


def append(host: Host, **facts: Any) -> None:
    """Add a line; the time is added to it. A log that cannot be written stops no release."""
    facts["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps(facts, sort_keys=True) + "\n"
    with contextlib.suppress(OSError):
        host.history.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(str(host.history), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def last(host: Host, lines: int) -> List[Dict[str, Any]]:
    """The newest entries, oldest first."""
    found: List[Dict[str, Any]] = []
    for line in files.read_text(host.history).splitlines()[-lines:]:
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found
