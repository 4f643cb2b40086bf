"""nginx reads the rendered configuration, and the oldest nginx knows every word of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from render.host_files import host_files
from tests.host.files import rig
from tests.host.files.nginx_syntax import directives
from tests.host.files.programs import run
from tests.host.files.variants import VARIANTS

KNOWN = frozenset((Path(__file__).parent / "data/nginx-1.20.1-http-directives.txt").read_text().split())


@pytest.mark.parametrize("variant", VARIANTS)
def test_nginx_takes_it_before_and_after_the_first_release(variant: str) -> None:
    with rig.host(VARIANTS[variant]) as host:
        before = run("nginx", "-t", "-c", host.nginx_conf)
        assert before.returncode == 0, before.stdout
        rig.point_to_slot(host)
        after = run("nginx", "-t", "-c", host.nginx_conf)
        assert after.returncode == 0, after.stdout
        assert "[warn]" not in before.stdout + after.stdout


@pytest.mark.parametrize("length", [15, 46, 47, 110, 111, 238, 239, 253])
def test_nginx_has_room_for_names_of_every_length(length: int) -> None:
    name = ("a" * 63 + ".") * 3 + "b" * 61
    settings = replace(VARIANTS["debian12-unix-domain"], server_names=(name[-length:],))
    with rig.host(settings) as host:
        read = run("nginx", "-t", "-c", host.nginx_conf)
        assert read.returncode == 0, read.stdout


@pytest.mark.parametrize("variant", VARIANTS)
def test_nginx_1_20_1_knows_every_directive(variant: str) -> None:
    used = {
        (name, directive)
        for name, file in host_files(VARIANTS[variant]).items()
        # The other .default holds an entry of a map: data, not a directive.
        if name.startswith("etc/nginx/") and not name.endswith("certified.conf.default")
        for directive in directives(file.content.decode())
    }
    assert len(used) > 50
    assert {(name, directive) for name, directive in used if directive not in KNOWN} == set()


def test_the_reader_of_directives_reads_blocks_quotes_comments_and_data() -> None:
    text = """
    http { # http2 on;
        map $a $b { default ""; "~x{2}" "y;z"; }
        log_format f escape=json '{' '"a":"$b"' '}';
        location ~ /\\.(?!a) { return 404; }
    }
    """
    assert list(directives(text)) == ["http", "map", "log_format", "location", "return"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_included_by_name_is_missing(variant: str) -> None:
    files = host_files(VARIANTS[variant])
    included = {
        word.rstrip(";")
        for name, file in files.items()
        if name.startswith("etc/nginx/")
        for line in file.content.decode().splitlines()
        if line.split()[:1] == ["include"]
        for word in line.split()[1:]
        if word.startswith("flask/")
    }
    ours = {name.removeprefix("etc/nginx/") for name in files if name.startswith("etc/nginx/flask/")}
    assert included == {name for name in ours if not name.endswith(".default")}
