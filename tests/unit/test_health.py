"""The check from outside, against a real server on loopback."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import health
from health import HealthCheck, smoke
from tests.unit.certificates import authority, certificate

CHECK = HealthCheck(path="/healthz", status=200, body="", attempts=2, interval=0.01, timeout=0.3, settle=0)


class Site(HTTPServer):
    """Answers with what `answers` holds, one after the other, the last again and again; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, str]] = [(200, "all is well")]
        self.asked: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(health, "HTTP_PORT", server.server_port)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_enough_good_answers_are_healthy(site: Site) -> None:
    assert smoke("127.0.0.1", "www.example.com", CHECK) is None
    assert site.asked == [("www.example.com", "/healthz")] * 2


def test_good_answers_have_to_follow_each_other(site: Site) -> None:
    site.answers = [(200, ""), (503, ""), (200, ""), (200, "")]
    assert smoke("127.0.0.1", "site", CHECK) is None
    assert len(site.asked) == 4


def test_another_status_is_told(site: Site) -> None:
    site.answers = [(500, "")]
    assert smoke("127.0.0.1", "site", CHECK) == "http://site/healthz answers 500, not 200"
    assert smoke("127.0.0.1", "site", replace(CHECK, status=500)) is None


def test_the_body_has_to_hold_the_text(site: Site) -> None:
    assert smoke("127.0.0.1", "site", replace(CHECK, body="is well")) is None
    problem = smoke("127.0.0.1", "site", replace(CHECK, body="is ill"))
    assert problem == "http://site/healthz answers without the text 'is ill'"


def test_nobody_there_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HTTP_PORT", 1)
    problem = smoke("127.0.0.1", "site", CHECK)
    assert problem
    assert "does not answer" in problem


@pytest.fixture
def secure(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site on https, for www.example.com; its authority is in tmp_path/ca.pem."""
    ca = authority()
    made = certificate("www.example.com", signed_by=ca)
    (tmp_path / "site.pem").write_text(made.pem + made.key)
    (tmp_path / "ca.pem").write_text(ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem")
    site.socket = context.wrap_socket(site.socket, server_side=True)
    monkeypatch.setattr(health, "HTTPS_PORT", site.server_port)
    return site


def test_https_is_asked_by_the_sites_name_at_the_servers_address(
    secure: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert smoke("127.0.0.1", "www.example.com", CHECK, "https") is None
    assert secure.asked == [("www.example.com", "/healthz")] * 2
    secure.answers = [(500, "")]
    problem = smoke("127.0.0.1", "www.example.com", CHECK, "https")
    assert problem == "https://www.example.com/healthz answers 500, not 200"


def test_a_certificate_that_is_not_trusted_or_for_another_name_is_told(
    secure: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = smoke("127.0.0.1", "www.example.com", CHECK, "https")
    assert problem
    assert "has a certificate that this machine does not trust" in problem
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    problem = smoke("127.0.0.1", "shop.example.com", CHECK, "https")
    assert problem
    assert "shop.example.com" in problem
    assert secure.asked == []
