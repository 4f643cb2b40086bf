"""Software bills of materials (CycloneDX): of who operates a deployment, and of each kind of server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from audit import bootstrap
from audit.places import RESULTS, ROOT, TOOLS
from render.profiles import PROFILES
from settings.tls import CERTBOT_PYTHON

_CERTBOT = ROOT / "host/flask_certificate/requirements.txt"
_UNKNOWN = "the newest that the distribution's archive has at the first boot"
_CHECK = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(error) if error else 0)
"""


def write() -> dict[str, int]:
    """Write all of them into the results; return the name of each file and how many components it lists."""
    operator = RESULTS / "operator.cdx.json"
    _of_requirements(str(ROOT / "requirements.txt"), operator)
    files = [operator]
    for system, python in bootstrap.kinds():
        files.append(RESULTS / f"server-{system}-{python}-python.cdx.json")
        _of_server(system, python, files[-1])
    return {file.name: len(json.loads(file.read_text())["components"]) for file in files}


def _of_requirements(requirements: str, file: Path, stdin: str | None = None) -> None:
    command = [str(TOOLS / "cyclonedx-py"), "requirements", requirements]
    project = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--sv", "1.6"]
    _run([*command, *project, "--output-file", str(file)], stdin)


def _of_server(system: str, python: str, file: Path) -> None:
    """What is installed on it, certbot included where it can be asked for. The application is its owner's."""
    pins = bootstrap.pins(system, python)
    if python == "standalone" or PROFILES[system].system_python >= CERTBOT_PYTHON:
        pins += _CERTBOT.read_text()
    _of_requirements("-", file, pins)
    document = json.loads(file.read_text())
    document["metadata"]["component"]["name"] += f" server, {system}, {python} Python"
    document["components"] += [_package(system, name) for name in bootstrap.packages(system, python)]
    if python == "standalone":
        document["components"].append(_standalone_python(*bootstrap.standalone(system)))
    file.write_text(json.dumps(document, indent=2) + "\n")
    _run([str(TOOLS / "python"), "-c", _CHECK, str(file)], None)


def _package(system: str, name: str) -> dict[str, Any]:
    kind = {"debian12": "deb/debian", "centos7": "rpm/centos"}[system]
    return {
        "type": "application",
        "bom-ref": f"{system}-package-{name}",
        "name": name,
        "purl": f"pkg:{kind}/{name}",
        "properties": [{"name": "flask-on-ecs:version", "value": _UNKNOWN}],
    }


def _standalone_python(version: str, tag: str, digest: str) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": "python-build-standalone",
        "name": "python-build-standalone",
        "version": f"{version}+{tag}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "purl": f"pkg:github/astral-sh/python-build-standalone@{tag}",
        "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
    }


def _run(command: list[str], stdin: str | None) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
