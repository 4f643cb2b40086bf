"""Known vulnerabilities of what the lock files name: pip-audit, and whether there was anybody to ask.

pip-audit takes a package that its service does not know for one that cannot be judged, and ends well: an index without
advisories would make everything look sound. So it is first asked about a version that is known to be vulnerable.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import bootstrap
from audit.places import LOCKS, RESULTS, ROOT, TOOLS

# CVE-2023-45803, known to every advisory service; installed by nobody.
_KNOWN = "urllib3==2.0.6"
# What cannot be mended, and why it may stay.
_LAST_FOR_3_6 = "the last release for Python 3.6, which only CentOS 7 with `python: system` has"
ACCEPTED = {
    "pip 21.3.1": _LAST_FOR_3_6,
    "setuptools 59.6.0": _LAST_FOR_3_6,
    "wheel 0.37.1": _LAST_FOR_3_6,
}


@dataclass(frozen=True)
class Found:
    """What is known about the pins of one file."""

    what: str
    judged: int
    vulnerable: tuple[str, ...]
    accepted: tuple[str, ...]
    skipped: tuple[str, ...]


def service(database_url: str | None) -> tuple[str, ...] | None:
    """Return pip-audit's options for the first service that knows what it has to; None when none does."""
    canary = RESULTS / "canary.txt"
    canary.write_text(f"{_KNOWN}\n")
    local = [("--vulnerability-service", "osv", "--osv-url", database_url)] if database_url else []
    public = [] if database_url else [("--vulnerability-service", name) for name in ("pypi", "osv")]
    for options in [*local, *public]:
        answer = _ask(canary, options)
        if answer and any(entry.get("vulns") for entry in answer):
            return options
    return None


def ask(options: Sequence[str]) -> list[Found]:
    """Ask about every lock file, and about what each bootstrap installs."""
    files = {f"{lock} ({use})": ROOT / lock for lock, use in LOCKS.items()}
    for system, python in bootstrap.kinds():
        file = RESULTS / f"bootstrap-{system}-{python}.txt"
        file.write_text(bootstrap.pins(system, python))
        files[f"cloud-init/ ({system}, {python} Python)"] = file
    return [_found(what, _ask(file, options)) for what, file in files.items()]


def _ask(requirements: Path, options: Sequence[str]) -> list[dict[str, Any]] | None:
    """What pip-audit answers about each requirement; None when it could not ask."""
    output = RESULTS / f"known-{requirements.resolve().parent.name}-{requirements.stem}.json"
    output.unlink(missing_ok=True)
    command = [str(TOOLS / "pip-audit"), "--requirement", str(requirements), "--disable-pip", "--no-deps"]
    report = ["--format", "json", "--output", str(output), "--progress-spinner", "off"]
    subprocess.run([*command, *report, *options], capture_output=True, text=True, check=False)
    if not output.exists():
        return None
    dependencies: list[dict[str, Any]] = json.loads(output.read_text())["dependencies"]
    return dependencies


def _found(what: str, answer: list[dict[str, Any]] | None) -> Found:
    if answer is None:
        return Found(what, 0, (), (), ("all: the service did not answer",))
    vulnerable, accepted = [], []
    for entry in answer:
        for one in entry.get("vulns", []):
            pin = f"{entry['name']} {entry['version']}"
            mended = f"{pin}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no release'}"
            if pin in ACCEPTED:
                accepted.append(f"{mended}; {ACCEPTED[pin]}")
            else:
                vulnerable.append(mended)
    judged = [entry for entry in answer if "vulns" in entry]
    skipped = [entry["name"] for entry in answer if "skip_reason" in entry]
    return Found(what, len(judged), tuple(vulnerable), tuple(accepted), tuple(skipped))
