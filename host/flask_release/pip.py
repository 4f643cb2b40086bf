"""pip in an environment, and what its failures mean."""

import re
import sys
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

from flask_release.problem import Problem
from flask_release.process import run, system_environment

SECONDS = 1200

# What pip says last of all where it finds no version to install.
_NONE_FITS = r"No matching distribution found|Could not find a version"
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
            " changed, or its download was cut off. Run this again; if it is the same again, compile the lock anew and"
            " look at what differs"
        ),
    ),
    (
        r"IncompleteRead|Connection broken|ProtocolError|incomplete-download|Wheel '.*' located at .* is invalid",
        "a download was cut off: the package index, or the way to it, went away in the middle. Run this again",
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
        r"requires a different Python",
        "a requirement is not for Python {python}, which this server runs. Choose a version that is{newer}",
    ),
    (
        # Where pip.conf has `retries = 0`, pip says the same of an index that is down.
        r"\(from versions: none\)",
        (
            "the package index has no version at all of a requirement{for_old}. Its name in requirements.txt is wrong,"
            " or the index did not answer (`index-url` in /etc/pip.conf){newer}"
        ),
    ),
    (_NONE_FITS, "a requirement does not exist in this version. Correct requirements.txt"),
    (
        r"Invalid requirement|InvalidRequirement",
        "requirements.txt has a line that is no requirement. Correct it",
    ),
    (
        r"Failed building wheel|error: command .*(gcc|cc)|metadata-generation-failed|subprocess-exited-with-error",
        "a requirement has no ready-made wheel for this system and could not be built. Choose a version that has one",
    ),
)


# The requirement, and the versions that pip has to choose from.
_CHOICE = re.compile(r"satisfies the requirement (\S+).*\(from versions: ([^)]*)\)")
# The last Python whose pip is too old to say that it leaves versions out: CentOS 7's own.
_SILENT = (3, 6)
_NEWER = "; `python: standalone` has a newer Python, on a new server"


class Builder(NamedTuple):
    """pip in an environment that is being built, run as an account of its own.

    Attributes:
        venv: the environment's folder.
        interpreter: the Python that it was made from.
        user: the account.
        home: its home, for this build alone.
    """

    venv: Path
    interpreter: str
    user: str
    home: Path

    def install(self, what: str, *arguments: str) -> None:
        """Run `pip install` in the environment.

        Args:
            what: what is installed, for the message.
            arguments: of `pip install`.

        Raises:
            Problem: it failed, with the end of what it printed and the cause in plain words.
        """
        command = [
            str(self.venv / "bin/python"),
            "-s",
            "-m",
            "pip",
            "--no-input",
            "--disable-pip-version-check",
            "install",
        ]
        ran = run(
            [*command, *arguments],
            env=_environment(self.home),
            cwd=str(self.home),
            user=self.user,
            timeout=SECONDS,
            background=True,
        )
        if ran.code != 0:
            why = cause(ran.output, _version(self.interpreter)) or (
                f"pip ended with {ran.code}; its last lines tell why. Correct requirements.txt and run this again"
            )
            raise Problem(f"Installing {what} failed: {why}.", ran.last(25))


def cause(output: str, python: Tuple[int, int]) -> str:
    """Why pip failed and what to do, from what it printed and its Python's version; empty where it is not known."""
    old = python <= _SILENT
    version = "{}.{}".format(*python)
    for pattern, words in _CAUSES:
        if re.search(pattern, output):
            other = _for_another_python(output, version, old) if pattern == _NONE_FITS else ""
            for_old = f" for Python {version}" if old else ""
            return other or words.format(python=version, for_old=for_old, newer=_NEWER if old else "")
    return ""


def _for_another_python(output: str, version: str, old: bool) -> str:
    """What to say of a version that is there, or may be, and not for this Python."""
    found = _CHOICE.search(output)
    if not found:
        return ""
    requirement, known = found.groups()
    if old:
        return (
            f"{requirement} is not there for Python {version}, which this server runs; the newest that is:"
            f" {known.rpartition(', ')[2]}. Choose a version that is{_NEWER}"
        )
    wanted = re.escape(requirement.partition("==")[2])
    if wanted and re.search(rf"[:;] {wanted} Requires-Python", output):
        return f"{requirement} is not for Python {version}, which this server runs. Choose a version that is"
    return ""


def _environment(home: Path) -> Dict[str, str]:
    # The host's own settings of pip hold: PIP_CERT, PIP_INDEX_URL, PIP_FIND_LINKS, proxies, /etc/pip.conf.
    environment = system_environment()
    # Who this tool was called by is not who builds.
    for name in ("SUDO_USER", "SUDO_UID", "SUDO_GID", "USER", "LOGNAME", "MAIL", "XDG_RUNTIME_DIR"):
        environment.pop(name, None)
    environment["PIP_ROOT_USER_ACTION"] = "ignore"
    environment["HOME"] = str(home)
    environment["TMPDIR"] = str(home)
    return environment


def _version(interpreter: str) -> Tuple[int, int]:
    """The environment's Python; where it does not tell, this tool's, which is the same but for a setting of its own."""
    # Not the environment's own: what packages put there is theirs to run, and not root's.
    asked = [interpreter, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        major, minor = run(asked).output.split()
        return int(major), int(minor)
    except (Problem, ValueError):
        return sys.version_info[:2]
