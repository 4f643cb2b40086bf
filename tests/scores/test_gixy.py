"""gixy reads nginx's files for what is known to go wrong with them."""

from __future__ import annotations

import json
import re

import pytest

from tests.host.files import rig
from tests.host.files.variants import VARIANTS
from tests.scores.tools import run, tool

# Findings that stay, with what they are about and why.
#
# It wants an open_file_cache beside try_files. There is one but for addresses with a version, which browsers keep: it
# would answer with the release before for up to its `valid` seconds (host/nginx/flask/static.conf.j2).
ACCEPTED = {("try_files_is_evil_too", "location @versioned_static")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_gixy_has_nothing_to_say(variant: str) -> None:
    settings = VARIANTS[variant]
    with rig.host(settings) as host:
        rig.point_to_slot(host)
        if settings.tls != "none":
            rig.redirect(host)
        _name_plain_ports(host)
        judged = run(tool("gixy"), "-f", "json", str(host.nginx_conf))
    found = json.loads(judged.stdout)
    left = [
        (finding["plugin"], place, finding["summary"])
        for finding in found
        # A finding that is about no location is about its server.
        for place in re.findall(r"location .*(?= \{)", finding["config"]) or ["server"]
        if (finding["plugin"], place) not in ACCEPTED
    ]
    assert left == []
    assert judged.stderr == ""


def _name_plain_ports(host: rig.Host) -> None:
    """gixy takes each port with 443 in it for https, and the rig's ports are any (54430)."""
    for file in (host.root / "etc/nginx").rglob("*.conf"):
        text = file.read_text()
        for port, plain in ((host.public, 80), (host.loopback, 8099)):
            text = text.replace(f"listen 127.0.0.1:{port}", f"listen 127.0.0.1:{plain}")
        file.write_text(text)


def test_gixy_would_say_it() -> None:
    """Guards the test above: it reads what is included, and complains."""
    with rig.host(VARIANTS["debian12-unix-address"]) as host:
        file = host.root / "etc/nginx/flask/hidden_files.conf"
        file.write_text(file.read_text() + "\nlocation /files { alias /srv/files/; }\n")
        judged = run(tool("gixy"), "-f", "json", str(host.nginx_conf))
    assert "alias_traversal" in {finding["plugin"] for finding in json.loads(judged.stdout)}
