"""Python environments, one for each lock of requirements.

An environment is built at its final place (its scripts hold their own path) and counts only once the file
`.complete` is in it, which is written last. One without is what a killed run left: it is removed and built again.
"""

import contextlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

from flask_release import files, pip, strays
from flask_release.archive import check_space
from flask_release.host import Host
from flask_release.problem import Problem, say
from flask_release.process import run
from flask_release.settings import Settings

MARKER = ".complete"
# A build has to fit beside what is there; a Flask application with a database driver needs less.
ROOM = 256 << 20
# The last pip that runs on Python 3.6; the one that came with it knows no wheels built since 2018.
PIP_FOR_OLD_PYTHON = "pip==21.3.1"

# What an installation of pip would leave; unpacked, it has no commands.
_PIP_COMMANDS = ("pip", "pip3")
_PIP_COMMAND = """#!{}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""

_FACTS = """
import json, sys, sysconfig
try:
    import ensurepip, glob, os
    bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
    folders = [folder for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR"), bundled) if folder]
    patterns = [os.path.join(folder, name + "-*.whl") for folder in folders for name in ("pip", "setuptools")]
    wheels = [wheel for pattern in patterns for wheel in sorted(glob.glob(pattern))[-1:]]
except ImportError:
    wheels = []
print(json.dumps({"version": sys.version, "old": sys.version_info < (3, 7), "wheels": wheels}))
"""


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

    What pip runs is other people's code: it runs as an account that reaches neither data nor secrets, and what it made
    is root's once it has ended.

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
    files.folder(host.venvs, 0o755)
    check_space(host.venvs, ROOM, "a new environment")
    if not hashed:
        say("warning: requirements are not pinned by hash; what is installed is what the index says today")
    lock = requirements.read_bytes()
    try:
        with _workplace(host, settings) as home:
            builder = pip.Builder(folder, settings.interpreter(host), settings.build_user, home)
            old_pip = _create(host, settings, folder)
            # The release is closed to the builder.
            given = home / "requirements.txt"
            files.write(given, lock)
            files.give_tree(folder, settings.build_user)
            if old_pip:
                builder.install("pip", PIP_FOR_OLD_PYTHON)
            checked = ["--require-hashes"] if hashed else []
            builder.install("the application's requirements", "--prefer-binary", *checked, "-r", str(given))
            # Last: it replaces a uWSGI that the requirements name.
            builder.install("uWSGI", "--no-index", "--no-deps", str(_uwsgi_wheel(host)))
        files.give_tree(folder, "root")
        files.write_json(folder / MARKER, {"lock": files.digest(lock), "hashed": hashed})
    except BaseException:
        files.remove_tree(folder)
        raise


@contextlib.contextmanager
def _workplace(host: Host, settings: Settings) -> Iterator[Path]:
    """A home for one build: what pip keeps there, and what a package may have left there, is no other build's.

    At its end the account that builds has no process any more, however the build ended.
    """
    place = host.state / "build"
    files.remove_tree(place)
    files.folder(place, 0o700, settings.build_user)
    try:
        yield place
    finally:
        strays.end(settings.build_user)
        files.remove_tree(place)


def _create(host: Host, settings: Settings, folder: Path) -> bool:
    """Make the environment with pip in it; tells whether that pip is too old."""
    interpreter = settings.interpreter(host)
    facts = _facts(host, settings)
    wheels = _pip_wheels(host, facts)
    # pip's bundled wheel is only unpacked: `venv` would take seconds to have pip install itself.
    options = ["--without-pip"] if wheels else []
    ran = run([interpreter, "-I", "-m", "venv", *options, str(folder)], background=True)
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
        for command in _PIP_COMMANDS:
            text = _PIP_COMMAND.format(folder / "bin/python")
            files.write(folder / "bin" / command, text.encode(), 0o755)
    return bool(facts["old"]) and not any(wheel.parent == host.wheels for wheel in wheels)


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
