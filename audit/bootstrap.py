"""What the bootstrap of a server installs, read from its scripts in cloud-init/."""

from __future__ import annotations

import re

from audit.places import ROOT
from render.profiles import PROFILES


def kinds() -> list[tuple[str, str]]:
    """Return each operating system with each Python that it may have."""
    return [(profile.name, python) for profile in PROFILES.values() for python in profile.pythons]


def pins(system: str, python: str) -> str:
    """Return what comes from the package index, as lines of a requirements file."""
    own = _script(system)
    if "build_requirements()" in own and python == "system":
        uwsgi = _one(r"^  echo '(uWSGI==\S+ --hash=sha256:[0-9a-f]{64})'", own)
        return f"{_heredoc(own, 'REQUIREMENTS')}\n{uwsgi}\n"
    return _heredoc(_script("common"), "REQUIREMENT") + "\n"


def packages(system: str, python: str) -> list[str]:
    """Return the names of the distribution's packages."""
    own = _script(system)
    arrays = {
        name: names.split() for name, names in re.findall(r"^(\w*packages)=\(([^)]*)\)$", own, re.MULTILINE)
    }
    if not arrays:
        raise _changed("a list of packages")
    return [
        package
        for name, names in arrays.items()
        if name != "build_packages" or python == "system"
        for package in names
    ]


def standalone(system: str) -> tuple[str, str, str]:
    """Return version, tag and SHA-256 of the Python that is no distribution's."""
    own = _script(system)
    version, tag, digest = (_one(rf"^python_{part}=(\S+)$", own) for part in ("version", "tag", "sha256"))
    return version, tag, digest


def _script(name: str) -> str:
    return (ROOT / f"cloud-init/{name}.sh").read_text()


def _heredoc(script: str, end: str) -> str:
    return _one(rf"<<'{end}'\n(.*?)\n{end}$", script, re.DOTALL)


def _one(pattern: str, text: str, flags: int = 0) -> str:
    found = re.search(pattern, text, re.MULTILINE | flags)
    if not found:
        raise _changed(pattern)
    return found[1]


def _changed(looked_for: str) -> ValueError:
    return ValueError(
        f"The bootstrap has changed: {looked_for} is not in it.\nChange audit/bootstrap.py as well."
    )
