"""pip in an environment, and what its failures mean."""

import re
from pathlib import Path
from typing import Dict

from flask_release.problem import Problem
from flask_release.process import Ran, run, system_environment

SECONDS = 1200

# In pip's own words, most telling first: an index that cannot be reached also ends in "No matching distribution".
_CAUSES = (
    (
        r"No space left on device",
        "the disk is full. Make room (`flask-release prune` removes old releases) and run this again",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        (
            "a package is not the one whose hash is in the requirements: the lock is out of date, or the package was"
            " changed. Compile the lock anew and look at what differs"
        ),
    ),
    (
        r"(?i)hashes are required|--require-hashes mode",
        "some requirement has no hash while others have. Compile the lock anew with a hash for each",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "the package index's certificate is not trusted. Set `cert` in /etc/pip.conf to the authority it is signed by",
    ),
    (
        (
            r"NewConnectionError|ConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|MaxRetryError"
            r"|Name or service not known|Temporary failure in name resolution|Connection refused|Connection reset"
        ),
        (
            "the package index cannot be reached from this host. Look at its network, and at `index-url` in"
            " /etc/pip.conf, and run this again"
        ),
    ),
    (
        r"Requires-Python|requires a different Python",
        "a requirement does not support this Python. Choose versions that do, or another Python for the server",
    ),
    (
        # Where pip.conf has `retries = 0`, pip says the same of an index that is down.
        r"\(from versions: none\)",
        (
            "the package index has no version at all of a requirement. Its name in requirements.txt is wrong, or the"
            " index did not answer (`index-url` in /etc/pip.conf)"
        ),
    ),
    (
        r"No matching distribution found|Could not find a version",
        "a requirement does not exist in this version. Correct requirements.txt",
    ),
    (
        r"Invalid requirement|InvalidRequirement",
        "requirements.txt has a line that is no requirement. Correct it",
    ),
    (
        r"Failed building wheel|error: command .*(gcc|cc)|metadata-generation-failed|subprocess-exited-with-error",
        "a requirement has no ready-made wheel for this system and could not be built. Choose a version that has one",
    ),
)


def install(venv: Path, what: str, *arguments: str) -> None:
    """Run `pip install` in an environment.

    Args:
        venv: the environment's folder.
        what: what is installed, for the message.
        arguments: of `pip install`.

    Raises:
        Problem: it failed, with the end of what it printed and the cause in plain words.
    """
    command = [
        str(venv / "bin/python"),
        "-s",
        "-m",
        "pip",
        "--no-input",
        "--disable-pip-version-check",
        "install",
    ]
    ran = run([*command, *arguments], env=_environment(), timeout=SECONDS, background=True)
    if ran.code != 0:
        raise Problem(f"Installing {what} failed: {_cause(ran)}.", ran.last(25))


def _environment() -> Dict[str, str]:
    # The host's own settings of pip hold: PIP_CERT, PIP_INDEX_URL, PIP_FIND_LINKS, proxies, /etc/pip.conf.
    environment = system_environment()
    environment["PIP_ROOT_USER_ACTION"] = "ignore"
    environment.setdefault("HOME", "/root")
    return environment


def _cause(ran: Ran) -> str:
    for pattern, words in _CAUSES:
        if re.search(pattern, ran.output):
            return words
    return f"pip ended with {ran.code}; its last lines tell why. Correct requirements.txt and run this again"
