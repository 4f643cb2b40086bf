"""flask-certificate: which certificate nginx finds, whatever goes wrong."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from render.host_files import TEMPLATES
from tests.host.certificate.conftest import NAME, Server
from tests.unit.certificates import Pair, certificate

OTHER = "shop.example.com"


def given(pair: Pair) -> str:
    return json.dumps({"certificate": pair.pem, "key": pair.key})


def issue(server: Server, pair: Pair) -> None:
    """What the authority gives from now on."""
    folder = server.world / "issued"
    folder.mkdir(exist_ok=True)
    (folder / "fullchain.pem").write_text(pair.pem)
    (folder / "privkey.pem").write_text(pair.key)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_before_the_first_certificate_nginx_finds_one_and_the_site_stays_on_http(server: Server) -> None:
    server.configured()
    shown = subprocess.run(
        [
            "openssl",
            "x509",
            "-noout",
            "-subject",
            "-ext",
            "subjectAltName",
            "-in",
            server.live / "fullchain.pem",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "no certificate yet" in shown
    assert NAME in shown
    assert not server.certified
    assert mode(server.live / "privkey.pem") == 0o600
    assert mode(server.root / "etc/flask/tls") == 0o700


def test_a_given_certificate_is_used(server: Server) -> None:
    server.configured()
    pair = certificate(NAME)
    done = server.run("own", stdin=given(pair))
    assert done.returncode == 0, done.stderr
    assert f"{NAME} is served on https, until " in done.stderr
    assert (server.live / "fullchain.pem").read_text() == pair.pem
    assert (server.live / "privkey.pem").read_text() == pair.key
    assert mode(server.live / "privkey.pem") == 0o600
    assert server.certified
    assert server.calls[-3:] == [
        "nginx -t -q",
        "systemctl is-active -q nginx.service",
        "systemctl reload nginx.service",
    ]
    assert pair.key.splitlines()[1] not in done.stdout + done.stderr + "".join(server.calls)


def test_a_certificate_stays_where_the_host_is_configured_again(server: Server) -> None:
    server.configured()
    pair = certificate(NAME)
    server.run("own", stdin=given(pair))
    server.configured()
    assert (server.live / "fullchain.pem").read_text() == pair.pem
    assert server.certified


def test_a_certificate_of_another_name_is_none(server: Server) -> None:
    server.configured()
    server.run("own", stdin=given(certificate(NAME)))
    server.configured(OTHER)
    assert "own-" not in str(server.live.resolve())
    assert not server.certified


def test_what_nginx_does_not_take_changes_nothing(server: Server) -> None:
    server.configured()
    pair = certificate(NAME)
    server.run("own", stdin=given(pair))
    server.fails("nginx", "key values mismatch")
    done = server.run("own", stdin=given(certificate(NAME)))
    assert done.returncode == 1
    assert "nginx does not take the certificate" in done.stderr
    assert "key values mismatch" in done.stderr
    assert (server.live / "fullchain.pem").read_text() == pair.pem
    assert server.certified


def test_a_first_certificate_that_nginx_does_not_take_leaves_the_site_on_http(server: Server) -> None:
    server.configured()
    server.fails("nginx", "key values mismatch")
    assert server.run("own", stdin=given(certificate(NAME))).returncode == 1
    assert server.live.readlink() == Path("placeholder")
    assert not server.certified


@pytest.mark.parametrize("text", ["", "s3cr3t", '{"certificate": "s3cr3t"}', '["s3cr3t"]'])
def test_standard_input_that_is_no_certificate_is_not_shown(server: Server, text: str) -> None:
    server.configured()
    done = server.run("own", stdin=text)
    assert done.returncode == 1
    assert "Standard input holds no" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_an_authority_is_asked_and_its_certificate_used(server: Server) -> None:
    server.configured(mode="acme")
    pair = certificate(NAME)
    issue(server, pair)
    done = server.run("acme")
    assert done.returncode == 0, done.stderr
    assert (server.live / "fullchain.pem").read_text() == pair.pem
    assert server.certified
    (asked,) = [call for call in server.calls if " certonly " in call]
    for words in (
        "--server https://ca.example/directory",
        "--email admin@example.com",
        f"-d {NAME}",
        f"--webroot-path {server.root}/srv/flask/acme",
        "--non-interactive",
    ):
        assert words in asked
    assert f"ca {server.root}/etc/flask/acme-ca.pem" in server.calls
    (installed,) = [call for call in server.calls if " pip " in call]
    assert "--require-hashes" in installed


def test_certbot_is_installed_once(server: Server) -> None:
    server.configured(mode="acme")
    issue(server, certificate(NAME))
    for _ in range(2):
        assert server.run("acme").returncode == 0
    assert len([call for call in server.calls if " pip " in call]) == 1


def test_certbot_that_could_not_be_installed_is_installed_the_next_time(server: Server) -> None:
    server.configured(mode="acme")
    issue(server, certificate(NAME))
    server.fails("pip", "no route to host")
    done = server.run("acme")
    assert done.returncode == 1
    assert "certbot could not be installed" in done.stderr
    assert "no route to host" in done.stderr
    server.recovers("pip")
    assert server.run("acme").returncode == 0


def test_an_authority_that_refuses_is_told_with_what_serves(server: Server) -> None:
    server.configured(mode="acme")
    server.fails("certbot", "DNS problem: NXDOMAIN")
    done = server.run("acme")
    assert done.returncode == 1
    assert f"There is no new certificate for {NAME}" in done.stderr
    assert "the site is served on http" in done.stderr
    assert "DNS problem: NXDOMAIN" in done.stderr
    assert not server.certified
    server.recovers("certbot")
    issue(server, certificate(NAME))
    assert server.run("acme").returncode == 0
    server.fails("certbot", "rate limited")
    done = server.run("renew")
    assert "the certificate of before serves on, until " in done.stderr
    assert server.certified


def test_a_renewed_certificate_is_used_and_an_unchanged_one_reloads_nothing(server: Server) -> None:
    server.configured(mode="acme")
    issue(server, certificate(NAME))
    server.run("acme")
    before = server.calls
    assert server.run("renew").returncode == 0
    assert "nginx" not in "".join(server.calls[len(before) :])
    issue(server, certificate(NAME))
    before = server.calls
    assert server.run("renew").returncode == 0
    assert "systemctl reload nginx.service" in server.calls[len(before) :]


def test_a_renewal_that_nginx_could_not_be_told_of_is_told_the_next_time(server: Server) -> None:
    server.configured(mode="acme")
    issue(server, certificate(NAME))
    server.run("acme")
    issue(server, certificate(NAME))
    server.fails("nginx", "another file is broken")
    assert server.run("renew").returncode == 1
    server.recovers("nginx")
    before = server.calls
    assert server.run("renew").returncode == 0
    assert "systemctl reload nginx.service" in server.calls[len(before) :]


def test_another_authority_is_asked_though_the_certificate_is_good(server: Server) -> None:
    server.configured(mode="acme")
    issue(server, certificate(NAME))
    server.run("acme")
    assert "--force-renewal" not in "".join(server.calls)
    server.configured(mode="acme", directory="https://other.example/directory")
    server.run("acme")
    assert "--force-renewal" in [call for call in server.calls if " certonly " in call][-1]


def test_a_site_on_http_has_nothing_to_renew(server: Server) -> None:
    server.configured(mode="acme")
    (server.root / "etc/flask/tls.json").unlink()
    done = server.run("renew")
    assert done.returncode == 0
    assert server.calls == []


def test_python_3_6_knows_every_word_of_it() -> None:
    """vermin reads it; CentOS 7's own Python runs it where python is system."""
    tool = TEMPLATES / "flask_certificate"
    checker = [
        str(Path(sys.executable).with_name("vermin")),
        "-t=3.6-",
        "--no-tips",
        "--violations",
        str(tool),
    ]
    checked = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_it_starts_as_it_stands_on_a_server(server: Server) -> None:
    server.configured()
    python = shutil.which("python3") or sys.executable
    done = subprocess.run(
        [python, "-B", "-I", str(server.root / "opt/flask/lib/flask_certificate")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: flask-certificate placeholder")
