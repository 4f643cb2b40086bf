"""`./ops doctor`: the server examined by its own tool, or, where that is missing, by the one in this checkout."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from rich.console import Console
from rich.text import Text

from automation import server
from automation.stacks import PROJECT, Stack
from printable import printable
from progress import DeploymentError

_TOOL = PROJECT / "host/flask_release"
# What a shell says of a program that is not there, or that cannot be run.
_MISSING = (126, 127)
# It arrives on standard input, is run once and leaves nothing.
_CARRIED = """
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT && tar -xz -C "$folder" || exit 126
for python in /opt/flask/python/bin/python3 /usr/bin/python3; do
    [ -x "$python" ] && { "$python" -B "$folder/flask_release" doctor --json; exit; }
done
exit 127
"""
# Where there is not even a Python: what the bootstrap said.
_BOOTSTRAP = (
    "cat /var/lib/flask/failed 2>/dev/null; tail -n 15 /var/log/flask-bootstrap.log 2>/dev/null; true"
)
_COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def examine(stack: Stack) -> dict[str, Any]:
    """Return what `flask-release doctor --json` says: `state` (ok, warn or bad) and `findings`.

    Raises:
        DeploymentError: the server cannot be reached or examined.
    """
    target = server.connection(stack)
    answer = server.ask(target, f"{server.FLASK_RELEASE} doctor --json")
    if not _said(answer):
        # Not there, or of before it knew the command.
        answer = server.ask(target, _CARRIED, stdin=_packed())
    if not _said(answer):
        if answer.status not in _MISSING:
            raise DeploymentError(f"the server could not be examined:\n{answer.stderr or answer.stdout}")
        told = server.ask(target, _BOOTSTRAP).stdout.strip() or "it has not begun"
        finding = {
            "name": "bootstrap",
            "state": "bad",
            "found": "there is no Python on the server yet; the bootstrap said:\n" + told,
            "do": "wait for it, or correct what it says and replace the server",
        }
        return {"state": "bad", "findings": [finding]}
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def show(console: Console, diagnosis: dict[str, Any]) -> None:
    """Print a line a finding, in colour where that is seen; below what is not well, what to do."""
    findings = [{key: printable(text) for key, text in finding.items()} for finding in diagnosis["findings"]]
    width = max(len(finding["name"]) for finding in findings)
    for finding in findings:
        line = Text(f"{finding['state']:<4}", style=_COLOURS.get(finding["state"], ""))
        line.append(f"  {finding['name']:<{width}}  {finding['found']}", style="not bold default")
        console.print(line, soft_wrap=True)
        if finding["do"]:
            console.print(Text(f"{'':<{width + 6}}  → {finding['do']}", style="cyan"), soft_wrap=True)
    counts = {state: sum(finding["state"] == state for finding in findings) for state in _COLOURS}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    console.print(Text(summary, style=_COLOURS[diagnosis["state"]]))


def _said(answer: server.Answer) -> bool:
    return answer.status in (0, 1) and answer.stdout.lstrip().startswith("{")


def _packed() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for file in sorted(_TOOL.glob("*.py")):
            tar.add(file, f"flask_release/{file.name}")
    return packed.getvalue()
