"""https: what readers get, what http does beside it, and what a stranger sees."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.rig import Host
from tests.host.files.variants import ACME, small

NAME = "www.example.com"
SETTINGS = replace(
    small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, **ACME),
    content_security_policy="default-src 'self'",
)
CHALLENGE = "/.well-known/acme-challenge/token"


@pytest.fixture(scope="module")
def secured() -> Iterator[Host]:
    """A site with a certificate that its readers know."""
    with rig.host(SETTINGS) as made, rig.uwsgi(made, APPLICATION):
        rig.redirect(made)
        _put_challenge(made)
        with rig.nginx(made):
            yield made


@pytest.fixture
def waiting() -> Iterator[Host]:
    """A site that has no certificate yet, but a placeholder."""
    with rig.host(SETTINGS) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        _put_challenge(made)
        yield made


def test_a_page_by_https(secured: Host) -> None:
    answer = by_https(secured, "/page")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert by_https(secured, "/.git/config").headers["strict-transport-security"] == "max-age=63072000"
    seen = by_https(secured, "/").json()
    assert (seen["HTTPS"], seen["REQUEST_SCHEME"], seen["HTTP_HOST"]) == ("on", "https", NAME)
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"


def test_http_leads_to_https_with_the_whole_address(secured: Host) -> None:
    answer = by_http(secured, "/some/path?q=1&r=%20x")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"https://{NAME}/some/path?q=1&r=%20x"
    assert "strict-transport-security" not in answer.headers
    assert by_http(secured, "/static/x.css").status_code == 301


def test_the_authority_is_answered_on_http_before_and_after(secured: Host, waiting: Host) -> None:
    for host in (secured, waiting):
        answer = by_http(host, CHALLENGE)
        assert (answer.status_code, answer.text) == (200, "the answer")
        assert by_http(host, "/.well-known/acme-challenge/other").status_code == 404


def test_without_a_certificate_the_site_is_on_http(waiting: Host) -> None:
    answer = by_http(waiting, "/page")
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


def test_a_check_from_the_host_is_told_what_readers_use(secured: Host) -> None:
    answer = httpx.get(f"http://127.0.0.1:{secured.loopback}/", timeout=20)
    assert (answer.json()["HTTPS"], answer.json()["HTTP_HOST"]) == ("on", NAME)


def test_a_stranger_is_shown_no_certificate(secured: Host) -> None:
    for name in ("other.example", None):
        with (
            socket.create_connection(("127.0.0.1", secured.secure), timeout=20) as plain,
            pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
        ):
            context(secured).wrap_socket(plain, server_hostname=name)


def test_a_request_for_another_name_on_our_connection_is_misdirected(secured: Host) -> None:
    trusted = ssl.create_default_context(cafile=str(secured.root / "ca.pem"))
    with httpx.Client(verify=trusted) as client:
        answer = client.get(
            f"https://127.0.0.1:{secured.secure}/",
            headers={"Host": "other.example"},
            extensions={"sni_hostname": NAME},
        )
    assert answer.status_code == 421


def test_http_2_is_spoken(secured: Host) -> None:
    offers = context(secured)
    offers.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", secured.secure), timeout=20) as plain,
        offers.wrap_socket(plain, server_hostname=NAME) as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


def test_a_proxy_that_brought_https_is_not_sent_away() -> None:
    settings = replace(SETTINGS, trusted_proxies=("127.0.0.0/8",))
    with rig.host(settings) as made, rig.uwsgi(made, APPLICATION):
        rig.redirect(made)
        with rig.nginx(made):
            answer = by_http(made, "/page", {"X-Forwarded-Proto": "https"})
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
            assert by_http(made, "/page", {"X-Forwarded-Proto": "http"}).status_code == 301


def test_the_application_decides_on_its_own_transport_policy() -> None:
    own = APPLICATION.replace('("X-Frame-Options", "DENY")', '("Strict-Transport-Security", "max-age=0")')
    with rig.host(SETTINGS) as made, rig.uwsgi(made, own), rig.nginx(made):
        answer = by_https(made, "/own")
        assert answer.headers.get_list("strict-transport-security") == ["max-age=0"]


def context(host: Host) -> ssl.SSLContext:
    """Trusts the tests' authority; takes a call without a name as well."""
    made = ssl.create_default_context(cafile=str(host.root / "ca.pem"))
    made.check_hostname = False
    return made


def by_https(host: Host, path: str) -> httpx.Response:
    trusted = ssl.create_default_context(cafile=str(host.root / "ca.pem"))
    with httpx.Client(verify=trusted) as client:
        return client.get(
            f"https://127.0.0.1:{host.secure}{path}",
            headers={"Host": NAME},
            extensions={"sni_hostname": NAME},
            timeout=20,
        )


def by_http(host: Host, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(
        f"http://127.0.0.1:{host.public}{path}", headers={"Host": NAME, **(headers or {})}, timeout=20
    )


def _put_challenge(host: Host) -> None:
    place = host.root / "srv/flask/acme" / CHALLENGE.removeprefix("/")
    place.parent.mkdir(parents=True)
    place.write_text("the answer")
