"""Python environments, one for each lock of requirements.

An environment is built at its final place (its scripts hold their own path) and counts only once the file
`.complete` is in it, which is written last. One without is what a killed run left: it is removed and built again.
"""

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, Dict, List

from flask_release import files
from flask_release.archive import check_space
from flask_release.host import Host
from flask_release.problem import Problem, say
from flask_release.process import Ran, run, system_environment
from flask_release.settings import Settings

MARKER = ".complete"
# A build has to fit beside what is there; a Flask application with a database driver needs less.
ROOM = 256 << 20
PIP_SECONDS = 1200
# The last pip that runs on Python 3.6; the one that came with it knows no wheels built since 2018.
PIP_FOR_OLD_PYTHON = "pip==21.3.1"

_FACTS = """
import json, sys, sysconfig
try:
    import ensurepip, glob, os
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR"), os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")]
    wheels = [w for f in folders if f for n in ("pip", "setuptools") for w in sorted(glob.glob(f + "/" + n + "-*.whl"))[-1:]]
except ImportError:
    wheels = []
print(json.dumps({"version": sys.version, "old": sys.version_info < (3, 7), "wheels": wheels}))
"""

# In pip's own words, most telling first: an index that cannot be reached also ends in "No matching distribution".
_CAUSES = (
    (
        r"No space left on device",
        "the disk is full. Make room (`flask-release prune` removes old releases) and run this again",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a package is not the one whose hash is in the requirements: the lock is out of date, or the package was"
        " changed. Compile the lock anew and look at what differs",
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
        r"NewConnectionError|ConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|MaxRetryError"
        r"|Name or service not known|Temporary failure in name resolution|Connection refused|Connection reset",
        "the package index cannot be reached from this host. Look at its network, and at `index-url` in"
        " /etc/pip.conf, and run this again",
    ),
    (
        r"Requires-Python|requires a different Python",
        "a requirement does not support this Python. Choose versions that do, or another Python for the server",
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


def name(host: Host, settings: Settings, requirements: bytes) -> str:
    """Name of the environment: a digest of the requirements, the interpreter and uWSGI's wheel."""
    python = _facts(host, settings)["version"]
    wheel = _uwsgi_wheel(host)
    return files.digest(b"\0".join((requirements, python.encode(), wheel.name.encode())))[:16]


def complete(host: Host, venv: str) -> bool:
    """The environment is there, whole."""
    return (host.venvs / venv / MARKER).is_file()


def build(host: Host, settings: Settings, venv: str, requirements: Path, hashed: bool) -> None:
    """Make the environment, unless it is there.

    Args:
        host: the host.
        settings: its settings.
        venv: name of the environment.
        requirements: the lock.
        hashed: every requirement has a hash, and they are checked.

    Raises:
        Problem: pip failed, with the end of what it printed and the cause in plain words.
    """
    folder = host.venvs / venv
    if complete(host, venv):
        return
    files.remove_tree(folder)
    host.venvs.mkdir(parents=True, exist_ok=True)
    check_space(host.venvs, ROOM, "a new environment")
    if not hashed:
        say(
            "warning: the requirements are not pinned by hash; what is installed is what the index says today"
        )
    try:
        _create(host, settings, folder)
        checked = ["--require-hashes"] if hashed else []
        _pip(
            folder,
            ["install", "--prefer-binary", *checked, "-r", str(requirements)],
            "the application's requirements",
        )
        _pip(folder, ["install", "--no-index", "--no-deps", str(_uwsgi_wheel(host))], "uWSGI")
        if not (folder / "bin/uwsgi").exists():
            raise Problem(
                f"{host.wheels} installs no bin/uwsgi. Put the pinned uWSGI wheel there (the bootstrap does)."
            )
        files.write_json(folder / MARKER, {"lock": files.digest(requirements.read_bytes()), "hashed": hashed})
    except BaseException:
        files.remove_tree(folder)
        raise


def _create(host: Host, settings: Settings, folder: Path) -> None:
    interpreter = settings.interpreter(host)
    facts = _facts(host, settings)
    wheels = _pip_wheels(host, facts)
    # pip's bundled wheel is only unpacked: `venv` would take seconds to have pip install itself.
    options = ["--without-pip"] if wheels else []
    ran = run([interpreter, "-I", "-m", "venv", *options, str(folder)])
    if ran.code != 0:
        raise Problem(
            f"{interpreter} cannot make an environment. Install its venv module (python3-venv on Debian).",
            ran.last(20),
        )
    if wheels:
        ran = run(
            [str(folder / "bin/python"), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        )
        for wheel in wheels:
            with zipfile.ZipFile(str(wheel)) as packed:
                packed.extractall(ran.output.strip())
    if facts["old"] and not any(wheel.parent == host.wheels for wheel in wheels):
        _pip(folder, ["install", PIP_FOR_OLD_PYTHON], "pip")


def _pip(folder: Path, arguments: List[str], what: str) -> None:
    ran = run(
        [
            str(folder / "bin/python"),
            "-s",
            "-m",
            "pip",
            "--no-input",
            "--disable-pip-version-check",
            *arguments,
        ],
        env=_pip_environment(),
        timeout=PIP_SECONDS,
    )
    if ran.code != 0:
        raise Problem(f"Installing {what} failed: {_cause(ran)}.", ran.last(25))


def _pip_environment() -> Dict[str, str]:
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


def _facts(host: Host, settings: Settings) -> Dict[str, Any]:
    interpreter = settings.interpreter(host)
    ran = run([interpreter, "-I", "-S", "-c", _FACTS])
    try:
        facts = json.loads(ran.output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Problem(f"{interpreter} does not run. Look at the bootstrap's log.", ran.last(20))
    return dict(facts)


def _pip_wheels(host: Host, facts: Dict[str, Any]) -> List[Path]:
    own = sorted(host.wheels.glob("pip-*.whl"))[-1:]
    bundled = [Path(wheel) for wheel in facts["wheels"]]
    if own:
        return own + [wheel for wheel in bundled if not wheel.name.startswith("pip-")]
    return bundled if any(wheel.name.startswith("pip-") for wheel in bundled) else []


def _uwsgi_wheel(host: Host) -> Path:
    found = sorted(path for path in host.wheels.glob("*.whl") if "uwsgi" in path.name.lower())
    if not found:
        raise Problem(f"{host.wheels} holds no uWSGI wheel. The bootstrap puts it there: look at its log.")
    return found[-1]


def used(host: Host) -> List[str]:
    """Names of all environments that are on disk, whole or not."""
    return sorted(entry.name for entry in os.scandir(str(host.venvs))) if host.venvs.is_dir() else []
