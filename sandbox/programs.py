"""Running this machine's programs (podman, nft, mmdebstrap) so that a failure explains itself."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from sandbox.errors import SandboxError

_SHOWN_LINES = 12


def run(command: Sequence[str], *, doing: str, advice: str, stdin: str | None = None) -> str:
    """Run `command` to its end and return its standard output.

    `doing` completes "Could not …", `advice` is a sentence telling what to do. Secrets belong in `stdin`.

    Raises:
        SandboxError: the program is missing or ended other than with 0.
    """
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise SandboxError(
            f"Could not {doing}: {command[0]} is not installed.\nInstall it: apt-get install {command[0]}"
        ) from error
    if done.returncode != 0:
        raise failure(doing, done.stderr or done.stdout, advice)
    return done.stdout


def succeeds(command: Sequence[str]) -> bool:
    """Whether `command` ends with 0; what it prints is dropped.

    Raises:
        SandboxError: the program is missing.
    """
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError as error:
        raise SandboxError(
            f"{command[0]} is not installed.\nInstall it: apt-get install {command[0]}"
        ) from error


def failure(doing: str, printed: str, advice: str) -> SandboxError:
    """The error for a program that failed, with the last lines it printed."""
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()][-_SHOWN_LINES:]
    said = "\n".join(f"  {line}" for line in lines) or "  (it printed nothing)"
    return SandboxError(f"Could not {doing}:\n{said}\n{advice}")
