"""Running this machine's programs (podman, nft, mmdebstrap) so that a failure explains itself."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

from sandbox.errors import SandboxError

_SHOWN_LINES = 12


def run(command: Sequence[str], *, doing: str, advice: str, stdin: str | None = None) -> str:
    """Run `command` to its end and return its standard output.

    Its end is its own: it is in a session and with files of its own, so that neither a Ctrl-C nor this process
    being killed stops it half-way. podman, stopped while it starts a container, never gives the address back.

    `doing` completes "Could not …", `advice` is a sentence telling what to do. Secrets belong in `stdin`.

    Raises:
        SandboxError: the program is missing or ended other than with 0.
    """
    try:
        code, output, complaints = _to_its_end(command, stdin or "")
    except FileNotFoundError as error:
        raise SandboxError(
            f"Could not {doing}: {command[0]} is not installed.\nInstall it: apt-get install {command[0]}"
        ) from error
    if code != 0:
        raise failure(doing, complaints or output, advice)
    return output


def _to_its_end(command: Sequence[str], stdin: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as complaints,
    ):
        given.write(stdin.encode())
        given.seek(0)
        with subprocess.Popen(
            command, stdin=given, stdout=output, stderr=complaints, start_new_session=True
        ) as process:
            code = process.wait()
        output.seek(0)
        complaints.seek(0)
        return code, output.read().decode(errors="replace"), complaints.read().decode(errors="replace")


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
