"""What a host's files say, by its settings."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from render import host_files as module
from render.host_files import HostSettings, host_files
from render.profiles import PROFILES
from tests.host.files.variants import BLOG
from tests.host.release_tool.fake_host import module as tool_module

DEBIAN = replace(
    BLOG, profile=PROFILES["debian12"], socket="unix", server_names=("www.example.com",), has_domain=True
)


def lines(settings: HostSettings, name: str) -> list[str]:
    """Lines of a file but comments, without indentation."""
    text = host_files(settings)[name].content.decode()
    return [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]


def test_the_blog_posts_values() -> None:
    assert "server 127.0.0.1:8080 max_fails=0;" in lines(BLOG, "etc/nginx/flask/upstream.conf.default")
    told = json.loads(host_files(BLOG)["etc/flask/host.json"].content)
    assert (told["processes"], told["threads"], told["socket"]) == (4, 2, "127.0.0.1:8080")
    site = lines(BLOG, "etc/nginx/flask/site.conf")
    assert "server_name 203.0.113.7;" in site
    assert "location / {" in lines(BLOG, "etc/nginx/flask/pages.conf")
    assert "uwsgi_pass flask;" in lines(BLOG, "etc/nginx/flask/pages.conf")


def test_a_unix_socket_needs_no_file_of_the_release_tool() -> None:
    assert lines(DEBIAN, "etc/nginx/flask/application_servers.conf") == [
        "upstream flask {", "server unix:/run/flask/current.sock;", "}",
    ]  # fmt: skip
    assert not [name for name in host_files(DEBIAN) if "nginx/flask/upstream" in name]


def test_the_release_tool_owns_the_upstream_of_a_tcp_socket() -> None:
    """Rendered is only what it starts from: a configure that wrote the file would send traffic to slot a."""
    assert "etc/nginx/flask/upstream.conf" not in host_files(BLOG)


def test_names_and_refusal_of_others() -> None:
    named = replace(DEBIAN, server_names=("www.example.com", "example.com"))
    assert "server_name www.example.com example.com;" in lines(named, "etc/nginx/flask/site.conf")
    assert "listen 80;" in lines(named, "etc/nginx/flask/site.conf")
    assert lines(named, "etc/nginx/flask/unknown_hosts.conf")[1:] == [
        "listen 80 default_server;", "server_name _;", "access_log off;", "return 444;", "}",
    ]  # fmt: skip
    # Without a name it is the default server itself that refuses: tests/host/files/test_serving.py.
    assert "listen 80 default_server;" in lines(BLOG, "etc/nginx/flask/site.conf")


@pytest.mark.parametrize(
    ("length", "size"), [(46, None), (47, 128), (110, 128), (111, 256), (238, 256), (239, 512), (253, 512)]
)
def test_the_table_of_names_has_room_for_a_long_one(length: int, size: int | None) -> None:
    named = replace(DEBIAN, server_names=("a" * length,))
    found = [line for line in lines(named, "etc/nginx/nginx.conf") if "server_names_hash" in line]
    assert found == ([f"server_names_hash_bucket_size {size};"] if size else [])


@pytest.mark.parametrize(("settings", "user"), [(BLOG, "nginx"), (DEBIAN, "www-data")])
def test_nginx_runs_as_the_systems_own_account(settings: HostSettings, user: str) -> None:
    assert f"user {user};" in lines(settings, "etc/nginx/nginx.conf")
    assert f"include {settings.profile.nginx_modules};" in lines(settings, "etc/nginx/nginx.conf")
    assert f"d /var/log/flask 0750 root {user} -" in lines(settings, "etc/tmpfiles.d/flask.conf")


def test_limits_on_restarts_stand_where_each_systemd_reads_them() -> None:
    unit = "etc/systemd/system/flask-app@.service"
    old, new = lines(BLOG, unit), lines(DEBIAN, unit)
    assert old.index("StartLimitInterval=0") > old.index("[Service]")
    assert new.index("StartLimitIntervalSec=0") < new.index("[Service]")
    assert "StartLimitInterval=0" not in new


def test_a_health_path_with_quotes_and_ampersands_arrives_as_it_is() -> None:
    odd = "/health?a=1&b='x'"
    told = json.loads(
        host_files(replace(BLOG, health=replace(BLOG.health, path=odd)))["etc/flask/host.json"].content
    )
    assert told["health_path"] == odd


def test_the_hosts_tool_knows_what_the_size_of_a_slot_depends_on(tmp_path: Path) -> None:
    settings = replace(BLOG, processes=0, threads=0, load="io", request_timeout=300)
    file = tmp_path / "host.json"
    file.write_bytes(host_files(settings)["etc/flask/host.json"].content)
    tool = tool_module("settings").load(None, file)
    assert (tool.processes, tool.threads, tool.load, tool.drain_seconds) == (0, 0, "io", 300)


def test_body_limit() -> None:
    limits = lines(replace(BLOG, client_max_body_size="512k"), "etc/nginx/flask/limits.conf")
    assert "client_max_body_size 512k;" in limits


def test_modes() -> None:
    files = host_files(BLOG)
    executable = {name for name, file in files.items() if file.mode == 0o755}
    assert executable == {
        f"opt/flask/bin/{name}"
        for name in ("flask-certificate", "flask-release", "flask-slot", "flask-upkeep")
    }
    assert {file.mode for name, file in files.items() if name not in executable} == {0o644}


def test_the_release_tool_goes_along_as_it_is() -> None:
    files = host_files(BLOG)
    source = Path(module.TEMPLATES, "flask_release")
    sent = {name: file for name, file in files.items() if name.startswith("opt/flask/lib/flask_release/")}
    assert "opt/flask/lib/flask_release/__main__.py" in sent
    assert {Path(name).name for name in sent} == {file.name for file in source.glob("*.py")}
    for name, file in sent.items():
        assert file.content == (source / Path(name).name).read_bytes()


@pytest.mark.parametrize("settings", [BLOG, DEBIAN], ids=["blog", "debian"])
def test_places_are_relative_and_contents_whole(settings: HostSettings) -> None:
    for name, file in host_files(settings).items():
        assert not name.startswith("/")
        assert ".." not in Path(name).parts
        assert not name.endswith(".j2")
        if not name.startswith("opt/flask/lib/"):
            text = file.content.decode()
            assert not re.search(r"\{\{|\{%|None|Undefined", text), name
            assert text.endswith("\n"), name
            assert not re.search(r"[ \t]$|\n\n\n", text, re.MULTILINE), name


def test_a_template_that_asks_for_what_there_is_not_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/x.conf.j2").write_text("listen {{ port }};\n")
    monkeypatch.setattr(module, "TEMPLATES", tmp_path)
    with pytest.raises(jinja2.UndefinedError, match="port"):
        host_files(BLOG)


def test_the_same_settings_give_the_same_files() -> None:
    assert host_files(BLOG) == host_files(replace(BLOG))
    assert host_files(BLOG) != host_files(replace(BLOG, threads=3))


TLS = replace(
    DEBIAN,
    tls="acme",
    hsts_seconds=300,
    acme_email="admin@example.com",
    acme_directory="https://ca.example/directory",
)


def test_without_tls_nothing_of_it_is_there() -> None:
    named = [name for name in host_files(DEBIAN) if re.search("tls|certified|acme-ca|certificate\\.", name)]
    assert named == []
    assert "443" not in "".join(lines(DEBIAN, "etc/nginx/flask/site.conf"))


def test_what_the_certificate_tool_is_told() -> None:
    files = host_files(TLS)
    assert json.loads(files["etc/flask/tls.json"].content) == {
        "mode": "acme",
        "names": ["www.example.com"],
        "email": "admin@example.com",
        "directory": "https://ca.example/directory",
    }
    assert "etc/flask/acme-ca.pem" not in files
    assert "opt/flask/lib/flask_certificate/requirements.txt" in files
    assert json.loads(files["etc/flask/host.json"].content)["check"]["scheme"] == "https"
    assert "d /srv/flask/acme 0755 root root -" in lines(TLS, "etc/tmpfiles.d/flask.conf")


def test_a_given_certificate_needs_no_timer() -> None:
    own = replace(TLS, tls="own")
    assert [name for name in host_files(TLS) if name.endswith(".timer")]
    assert not [name for name in host_files(own) if "flask-certificate." in name]
