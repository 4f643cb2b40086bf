"""What each judge says. The tests assert it, `python -m bench scores` reports it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from render.host_files import HostSettings
from tests.host.files import rig
from tests.host.files.variants import ACME, small
from tests.scores.tools import OBSERVATORY, PROJECT, MissingToolError, run, tool
from tests.unit.recorder import INSTANCE, KEY_PAIR, RULE, SECURITY_GROUP, VPC, VSWITCH, Record, Secret
from tests.unit.test_program import STACKS, program

NAME = "www.example.com"
SITE = replace(small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, **ACME))

# Findings of gixy that stay, with what they are about and why.
#
# It wants an open_file_cache beside try_files. There is one but for addresses with a version, which browsers keep: it
# would answer with the release before for up to its `valid` seconds (host/nginx/flask/static.conf.j2).
GIXY_ACCEPTED = {("try_files_is_evil_too", "location @versioned_static")}

# Findings of checkov that stay, and why.
CHECKOV_ACCEPTED: dict[str, str] = {}

# What sslyze says of every certificate of the tests: no browser knows their authority.
OWN_AUTHORITY = "certificate_path_validation"

# The provider is a bridged one: each type and property has a name in Terraform.
TERRAFORM = {
    INSTANCE: "alicloud_instance",
    KEY_PAIR: "alicloud_ecs_key_pair",
    RULE: "alicloud_security_group_rule",
    SECURITY_GROUP: "alicloud_security_group",
    VPC: "alicloud_vpc",
    VSWITCH: "alicloud_vswitch",
}

_APPLICATION = """
import os, sys
os.environ["SECRET_KEY"] = "only for this test"
sys.path.insert(0, {folder!r})
from app import create_app
app = create_app(instance_path={instance!r})
"""


def gixy(settings: HostSettings) -> list[tuple[str, str, str]]:
    """(plugin, place, summary) of each finding in the files of a host that is not accepted."""
    with rig.host(settings) as host:
        rig.point_to_slot(host)
        if settings.tls != "none":
            rig.redirect(host)
        _name_plain_ports(host)
        found = gixy_of_files(host.nginx_conf)
    return [
        (finding["plugin"], place, finding["summary"])
        for finding in found
        # A finding that is about no location is about its server.
        for place in re.findall(r"location .*(?= \{)", finding["config"]) or ["server"]
        if (finding["plugin"], place) not in GIXY_ACCEPTED
    ]


def gixy_of_files(nginx_conf: Path) -> list[dict[str, Any]]:
    """All findings in a configuration; it must have read the whole of it."""
    judged = run(tool("gixy"), "-f", "json", str(nginx_conf))
    assert judged.stderr == ""
    found: list[dict[str, Any]] = json.loads(judged.stdout)
    return found


def _name_plain_ports(host: rig.Host) -> None:
    """gixy takes each port with 443 in it for https, and the rig's ports are any (54430)."""
    for file in (host.root / "etc/nginx").rglob("*.conf"):
        text = file.read_text()
        for port, plain in ((host.public, 80), (host.loopback, 81)):
            text = text.replace(f"listen 127.0.0.1:{port}", f"listen 127.0.0.1:{plain}")
        file.write_text(text)


def sslyze() -> list[str]:
    """What deviates from Mozilla's intermediate, a line each; with what it says of OWN_AUTHORITY."""
    with rig.host(SITE) as host, rig.nginx(host):
        judged = run(
            tool("sslyze"),
            "--mozilla_config=intermediate",
            f"--sni={NAME}",
            f"127.0.0.1:{host.secure}",
        )
    said = judged.stdout[judged.stdout.index("COMPLIANCE AGAINST") :]
    return [line.strip() for line in said.splitlines() if line.strip().startswith("*")]


def observatory(instance: Path) -> dict[str, Any]:
    """What MDN's Observatory says of the sample application with the default keys: scan and tests.

    `instance` is a folder for the application's own files.
    """
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    settings = replace(
        SITE,
        content_security_policy=schema["contentSecurityPolicy"]["default"],
        hsts_seconds=schema["hstsSeconds"]["default"],
    )
    text = _APPLICATION.format(folder=str(PROJECT / "app"), instance=str(instance))
    with rig.host(settings) as host, rig.uwsgi(host, text):
        rig.redirect(host)
        with rig.nginx(host):
            return _scanned(host)


def _scanned(host: rig.Host) -> dict[str, Any]:
    if not OBSERVATORY.exists():
        raise MissingToolError("the Observatory is missing: make scores-tools")
    node = shutil.which("node")
    if node is None:
        raise MissingToolError("node is missing: apt-get install nodejs")
    done = run(
        node,
        str(OBSERVATORY),
        NAME,
        NODE_OPTIONS=f"--require {Path(__file__).with_name('observatory') / 'ports.cjs'}",
        NODE_EXTRA_CA_CERTS=str(host.root / "ca.pem"),
        SITE=NAME,
        HTTP_PORT=str(host.public),
        HTTPS_PORT=str(host.secure),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    judged: dict[str, Any] = json.loads(done.stdout)
    return judged


@dataclass(frozen=True)
class Checks:
    """How many checks passed; (check, resource, its name) of each that failed."""

    passed: int
    failed: frozenset[tuple[str, str, str]]

    @property
    def left(self) -> frozenset[tuple[str, str, str]]:
        """Those that failed and are not accepted."""
        return frozenset(check for check in self.failed if check[0] not in CHECKOV_ACCEPTED)


def checkov(folder: Path) -> Checks:
    """What checkov says of all that the example stacks ask the cloud for; `folder` is an empty one to write to."""
    planned = folder / "planned"
    planned.mkdir()
    with _elsewhere(folder):
        for stack in STACKS:
            (planned / f"{stack}.tf.json").write_text(json.dumps(_planned(program(stack), stack)))
    return checkov_of_files(planned)


def checkov_of_files(folder: Path) -> Checks:
    """What checkov says of Terraform's files in a folder."""
    judged = run(
        tool("checkov"),
        *("--directory", str(folder), "--framework", "terraform_json", "terraform"),
        *("--skip-download", "--quiet", "--compact", "--output", "json"),
    )
    found = json.loads(judged.stdout)
    results = found if isinstance(found, list) else [found]
    return Checks(
        sum(result["summary"]["passed"] for result in results),
        frozenset(
            (check["check_id"], check["resource"], check["check_name"])
            for result in results
            for check in result["results"]["failed_checks"]
        ),
    )


@contextlib.contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    """As in tests/unit/test_program.py: archives are written here, and no server is there to be asked."""
    (folder / "app").symlink_to(PROJECT / "app")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("components.rollbacks.asked", lambda connection: "0")
        patch.setattr("components.flask_service.smoke", lambda *_: None)
        yield


def _planned(record: Record, stack: str) -> dict[str, Any]:
    """The resources of a run as Terraform's JSON."""
    resources: dict[str, dict[str, Any]] = {}
    for resource in record.resources:
        if resource.type in TERRAFORM:
            name = re.sub(r"[^A-Za-z0-9_-]", "_", resource.name)
            resources.setdefault(TERRAFORM[resource.type], {})[f"{stack}_{name}"] = {
                _snake(key): "secret" if isinstance(value, Secret) else value
                for key, value in resource.inputs.items()
            }
    assert set(resources) == set(TERRAFORM.values())
    return {"resource": resources}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
