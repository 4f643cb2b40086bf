"""MDN's HTTP Observatory reads the sample application's headers and cookies as a browser gets them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.host.files import rig
from tests.host.files.variants import ACME, small
from tests.scores.tools import OBSERVATORY, PROJECT, run

NAME = "www.example.com"
# Grade A+.
BAR = 100
APPLICATION = """
import os, sys
os.environ["SECRET_KEY"] = "only for this test"
sys.path.insert(0, {folder!r})
from app import create_app
app = create_app(instance_path={instance!r})
"""


def test_the_sample_application_gets_an_a_plus_with_the_default_keys(tmp_path: Path) -> None:
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    settings = replace(
        small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, **ACME),
        content_security_policy=schema["contentSecurityPolicy"]["default"],
        hsts_seconds=schema["hstsSeconds"]["default"],
    )
    text = APPLICATION.format(folder=str(PROJECT / "app"), instance=str(tmp_path))
    with rig.host(settings) as host, rig.uwsgi(host, text):
        rig.redirect(host)
        with rig.nginx(host):
            judged = _judged(host)
    worse = {name: test["result"] for name, test in judged["tests"].items() if test["scoreModifier"] < 0}
    assert worse == {}
    assert judged["scan"]["score"] >= BAR, judged
    assert judged["scan"]["grade"] == "A+"


def _judged(host: rig.Host) -> dict[str, Any]:
    if not OBSERVATORY.exists():
        pytest.fail("the Observatory is missing: make scores-tools")
    node = shutil.which("node") or pytest.fail("node is missing: apt-get install nodejs")
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
