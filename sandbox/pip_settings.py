"""This machine's pip settings for an instance: its index, certificates and folders of wheels.

The application's requirements are installed on the instance, which has to reach the index as this machine does.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass
from pathlib import Path

# pip's option → the environment variables that set it, the stronger last. Only what says where packages come from.
_OPTIONS = {
    "index-url": ("PIP_INDEX_URL",),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL",),
    "find-links": ("PIP_FIND_LINKS",),
    "no-index": ("PIP_NO_INDEX",),
    "trusted-host": ("PIP_TRUSTED_HOST",),
    "proxy": ("PIP_PROXY",),
    "cert": ("PIP_CERT",),
    "client-cert": ("PIP_CLIENT_CERT",),
    "timeout": ("PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT"),
    "retries": ("PIP_RETRIES",),
    "disable-pip-version-check": ("PIP_DISABLE_PIP_VERSION_CHECK",),
}
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class PipSettings:
    """`content` of an /etc/pip.conf, and the `mounts` it needs: path on this machine → path in the instance."""

    content: str
    mounts: Mapping[str, str]


def pip_settings(environment: Mapping[str, str], home: Path) -> PipSettings:
    """Return the settings pip follows on this machine: its files' and, stronger, those of `environment`.

    Local paths in them are renamed to where they are mounted; one that does not exist is left out.
    """
    values = _of_files(environment, home)
    for option, variables in _OPTIONS.items():
        for variable in variables:
            if environment.get(variable):
                values[option] = environment[variable]
    mounts: dict[str, str] = {}
    for option in ("find-links", "cert", "client-cert"):
        places = [_mounted(place, mounts) for place in values.pop(option, "").split()]
        if found := [place for place in places if place]:
            values[option] = "\n".join(found)
    values.setdefault("cert", _CA_BUNDLE)
    parser = RawConfigParser()
    parser["global"] = values
    text = io.StringIO()
    parser.write(text)
    return PipSettings(text.getvalue(), mounts)


def _of_files(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """pip's own order: the machine's file, the account's two, and one named by the environment."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf"]
    if environment.get("PIP_CONFIG_FILE"):
        files.append(Path(environment["PIP_CONFIG_FILE"]))
    values: dict[str, str] = {}
    for file in files:
        parser = RawConfigParser()
        try:
            parser.read(file)
        except (Error, UnicodeDecodeError):
            continue  # pip itself complains of it, with the line
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return {key: value for key, value in values.items() if key in _OPTIONS and value}


def _mounted(place: str, mounts: dict[str, str]) -> str | None:
    """Where the instance finds `place`: an address as it is, a path under /mnt/pip, None for one not here."""
    path = Path(place.removeprefix("file://")).expanduser()
    if "://" in place and not place.startswith("file://"):
        return place
    if not path.is_absolute() or not path.exists():
        return None
    if str(path) == _CA_BUNDLE:
        return _CA_BUNDLE
    source = str(path.resolve())
    return mounts.setdefault(source, f"/mnt/pip/{len(mounts)}-{path.name}")
