"""The tool sends traffic to a slot's port by having the real nginx take up its upstream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.files import rig
from tests.host.files.variants import small
from tests.host.release_tool.fake_host import module

APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"well"]
"""


@pytest.fixture
def unreleased(monkeypatch: pytest.MonkeyPatch) -> Iterator[rig.Host]:
    """A host before its first release, whose slot has just passed its check; systemctl reloads this nginx."""
    with rig.host(small(socket="127.0.0.1:8080")) as made, rig.nginx(made), rig.uwsgi(made, APPLICATION):
        # The rig has named the slot already; nginx has not read it.
        (made.root / "etc/nginx/flask/upstream.conf").unlink()
        programs = made.root / "programs"
        programs.mkdir()
        for name, script in (
            ("systemctl", f"kill -HUP $(cat {made.root}/run/nginx.pid)"),
            ("nginx", "exit 0"),
        ):
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
        yield made


def test_a_first_release_leaves_no_error_in_nginx_log(unreleased: rig.Host) -> None:
    """Asked before it has taken up the slot, nginx would answer 502 and log "no live upstreams", which doctor shows."""
    host, traffic = module("host").Host(unreleased.root), module("traffic")
    settings = (
        module("settings")
        .load(host)
        ._replace(socket=unreleased.socket, verify_address=f"127.0.0.1:{unreleased.loopback}")
    )
    workers = traffic.nginx_workers(host)
    assert workers
    assert traffic.move(host, settings, "a") == workers
    traffic.verify(settings, "r1")
    assert "no live upstreams" not in unreleased.error_log.read_text()
