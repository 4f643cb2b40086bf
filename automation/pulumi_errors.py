"""What the Pulumi CLI says when it cannot go on, as one message that says what to do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pulumi import automation

from components.asking import refusal
from progress import DeploymentError, Step

_INSTALL = "as pulumi.com/docs/install says"
# Text of the CLI (3.219 to 3.276), and what to tell; {stack} is the stack's name, {said} the CLI's own words.
_KNOWN = {
    r"passphrase must be set with PULUMI_CONFIG_PASSPHRASE": (
        "stack {stack} needs its passphrase, which opens its secrets: set PULUMI_CONFIG_PASSPHRASE, or"
        " PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it."
    ),
    r"incorrect passphrase": (
        "the passphrase in PULUMI_CONFIG_PASSPHRASE (or in the file that PULUMI_CONFIG_PASSPHRASE_FILE names) is not"
        " that of stack {stack}."
    ),
    r"must be set for login during non-interactive|PULUMI_ACCESS_TOKEN": (
        "Pulumi does not know where to keep its state: `pulumi login --local` keeps it on this machine; other places"
        " are in pulumi.com/docs/iac/concepts/state-and-backends."
    ),
    r"does not satisfy the version range": (
        f"the Pulumi CLI is too old for this project; update it {_INSTALL}.\n{{said}}"
    ),
    r"plugin .* not found|no (?:resource|language) plugin|could not find plugin": (
        "a plugin of Pulumi is missing; `pulumi install` in the project's folder brings it.\n{said}"
    ),
}
_HELD_BY = re.compile(r"created by (?P<who>\S+) \(pid (?P<pid>\d+)\) at (?P<when>\S+)")
# Words that only wrap what was said already.
_EMPTY_WORDS = re.compile(
    r"(?:update|preview|refresh|destroy) (?:failed|canceled)\.?|(?:an unhandled error occurred: )?"
    r"program exited with non-zero exit code: \d+|resource monitor shut down.*|code: -?\d+|(?:stdout|stderr):"
)
_ON_A_SERVER = ("Command", "CopyToRemote")
# The server's door, as seen by Pulumi's command provider and by the sandbox.
_UNREACHABLE = re.compile(r"after \d+ failed attempts: dial tcp|no SSH server answers|dial tcp \S+:22: ")


@contextmanager
def explained(stack: str) -> Iterator[None]:
    """Turn each error of the CLI into a DeploymentError about the stack of this name."""
    try:
        yield
    except FileNotFoundError as error:
        raise DeploymentError(
            f"the Pulumi CLI is not installed, and this stack's target is the real cloud. Install it {_INSTALL}, or set"
            " target to sandbox."
        ) from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise DeploymentError(f"the Pulumi CLI cannot be run: {error}. Install it {_INSTALL}.") from error
    except automation.InvalidVersionError as error:
        raise DeploymentError(
            f"the Pulumi CLI is too old or too new: {error}. Get another {_INSTALL}."
        ) from error
    except automation.StackNotFoundError as error:
        raise DeploymentError(f"stack {stack} is not deployed; ./ops up {stack} does that.") from error
    except automation.ConcurrentUpdateError as error:
        raise DeploymentError(_held(stack, str(error))) from error
    except automation.CommandError as error:
        raise DeploymentError(sentence(stack, str(error))) from error


def sentence(stack: str, text: str) -> str:
    """Return what the CLI printed as a message: the known cause, or its own words without their wrapping."""
    said = own_words(text.splitlines())
    for pattern, message in _KNOWN.items():
        if re.search(pattern, text):
            return message.format(stack=stack, said=said)
    return said


def own_words(lines: Sequence[str]) -> str:
    """Return the lines that say something, each once, without what the CLI and its SDK put around them."""
    kept: list[str] = []
    for line in lines:
        bare = re.sub(r"^\s*(?:stdout|stderr):\s*", "", line).rstrip()
        bare = re.sub(r"^\s*error: ", "", bare)
        if bare.strip() and not _EMPTY_WORDS.fullmatch(bare.strip()) and bare not in kept:
            kept.append(bare)
    return "\n".join(kept[-30:]) or "the Pulumi CLI failed and did not say why."


def accounts_cause(failures: Sequence[tuple[Step, str]]) -> str | None:
    """Return why the cloud refused each step that failed, where that is one thing: of the account, not of a resource.

    What failed on a server is its own matter, whatever words it uses: a database may refuse a connection, too.
    """
    causes = {None if step.type in _ON_A_SERVER else refusal(text) for step, text in failures}
    return causes.pop() if len(causes) == 1 else None


def with_hint(stack: str, error: str) -> str:
    """Return an error or a warning, with what to do where the server did not answer."""
    if not _UNREACHABLE.search(error):
        return error
    return (
        f"{error}\nWas the server stopped or deleted? `./ops up {stack} --refresh` looks, and starts or makes it again."
        " Is your own address in adminCidrs?"
    )


def _held(stack: str, text: str) -> str:
    holder = _HELD_BY.search(text)
    by = f" ({holder['who']}, process {holder['pid']}, since {holder['when']})" if holder else ""
    return (
        f"another run holds stack {stack}{by}; wait for it to end. If it died, `pulumi cancel --stack {stack}`"
        " gives the stack back."
    )
