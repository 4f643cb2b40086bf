"""Headers by which a proxy speaks for a visitor: the application never gets what the visitor wrote there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.client import get, raw
from tests.host.files.rig import Host
from tests.host.files.variants import small

EVIL = "203.0.113.66"
# Who asks: of nginx and its modules, of CDNs and balancers, of Java's servers, of old scripts.
ADDRESSES = """
    X-Forwarded-For X-Real-IP Client-IP X-Client-IP X-Cluster-Client-IP X-Originating-IP X-Remote-IP X-Remote-Addr
    Remote-Addr Proxy-Client-IP WL-Proxy-Client-IP True-Client-IP CF-Connecting-IP CF-Connecting-IPv6
    Ali-CDN-Real-IP CDN-Src-IP Fastly-Client-IP Fly-Client-IP X-Envoy-External-Address
"""
# What was asked for, how and where.
ADDRESSED = """
    Forwarded X-Forwarded X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto
    X-Forwarded-Protocol X-Forwarded-Server X-Forwarded-Ssl X-Forwarded-Scheme X-Forwarded-By X-Forwarded-Path
    X-Forwarded-Uri X-Forwarded-Method X-Forwarded-Script-Name X-Original-URL X-Original-URI X-Original-Host
    X-Original-Method X-Original-Proto X-Original-Forwarded-For X-Rewrite-URL X-Script-Name Script-Name X-Host
    X-HTTP-Host-Override X-Scheme X-Url-Scheme X-Proto Front-End-Https X-Https X-Arr-Ssl Proxy
"""
# Who the visitor is, as a proxy that asks for a password or a certificate says it.
USERS = """
    Remote-User Remote-Name Remote-Email Remote-Groups X-Remote-User X-Remote-Email X-Remote-Groups
    X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token
    X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups X-Auth-Request-Preferred-Username
    X-Auth-Request-Access-Token X-Authenticated-User X-Authenticated-Userid X-WebAuth-User X-Authentik-Username
    X-Goog-Authenticated-User-Email X-Goog-IAP-JWT-Assertion Cf-Access-Authenticated-User-Email
    X-MS-Client-Principal X-MS-Client-Principal-Name X-Amzn-Oidc-Identity X-Amzn-Oidc-Data X-Forwarded-Client-Cert
    X-Forwarded-Tls-Client-Cert Client-Cert Client-Cert-Chain X-Client-Cert X-SSL-Cert X-SSL-Client-Cert
    X-SSL-Client-Verify X-SSL-Client-S-DN X-SSL-Client-DN SSL-Client-Cert SSL-Client-Verify SSL-Client-S-DN
    X-Client-Verify X-Client-DN
"""
# Claims of nobody but the visitor.
OTHERS = """
    Authorization Cookie X-Requested-With X-CSRFToken X-Api-Key X-Custom-Header X-User X-Auth-Token Idempotency-Key
    X-HTTP-Method-Override If-None-Match Accept-Language Origin X-Hub-Signature-256 Traceparent X-Correlation-Id
    X-Forwarded-Nonsense Upgrade-Insecure-Requests Sec-Fetch-Site
"""


@pytest.fixture(scope="module", params=[(), ("198.51.100.0/24",)], ids=["alone", "other-proxies"])
def site(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host that the tests are a visitor of: without proxies, and with some that the tests are not."""
    settings = small(socket="unix", processes=1, trusted_proxies=request.param)
    with rig.host(settings) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        yield made


@pytest.fixture(scope="module")
def behind() -> Iterator[Host]:
    """A host that takes the tests for its proxy."""
    settings = small(socket="unix", processes=1, trusted_proxies=("127.0.0.0/8",))
    with rig.host(settings) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        yield made


@pytest.mark.parametrize("names", [ADDRESSES, ADDRESSED, USERS], ids=["addresses", "addressed", "users"])
def test_a_visitors_claims_do_not_reach_the_application(site: Host, names: str) -> None:
    for written in (str, str.lower, str.upper):
        seen = get(site, "/", {written(name): EVIL for name in names.split()}).json()
        assert [name for name, value in seen.items() if EVIL in value] == []


@pytest.mark.parametrize(
    "name", ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Remote-User", "Proxy"]
)
def test_nor_by_an_odd_spelling_or_a_second_line(site: Host, name: str) -> None:
    odd = {name.replace("-", "_"), name.replace("-", "."), name.replace("-", "_", 1), f"{name} ", f"{name}\t"}
    for written in (*sorted(odd - {name}), f"{name}: x\r\n{name}"):
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{written}: {EVIL}\r\n\r\n"
        assert EVIL.encode() not in raw(site, request.encode()), written


def test_https_is_not_claimed_by_any_of_uwsgis_own_names(site: Host) -> None:
    """UWSGI looks at these two itself, whatever Flask is told."""
    for claim in ({"X-Forwarded-Ssl": "on"}, {"X-Forwarded-Proto": "https"}):
        seen = get(site, "/", claim).json()
        assert (seen["wsgi.url_scheme"], seen.get("HTTPS", "")) == ("http", "")


def test_addresses_are_the_one_that_nginx_knows(site: Host, behind: Host) -> None:
    assert get(site, "/", {"X-Real-IP": EVIL}).json()["HTTP_X_REAL_IP"] == "127.0.0.1"
    # A CDN passes on what its visitors write in a header that is not its own; X-Forwarded-For is what counts.
    seen = get(behind, "/", {"X-Forwarded-For": "198.51.100.9", "CF-Connecting-IP": EVIL}).json()
    for name in ("REMOTE_ADDR", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_FOR", "HTTP_CF_CONNECTING_IP"):
        assert seen[name] == "198.51.100.9", name
    for name in ("Remote-User", "X-Forwarded-Host", "X-Original-URL"):
        assert EVIL not in get(behind, "/", {name: EVIL}).json().values(), name


def test_other_headers_arrive(site: Host) -> None:
    seen = get(site, "/", dict.fromkeys(OTHERS.split(), "as it was written")).json()
    for name in OTHERS.split():
        assert seen["HTTP_" + name.upper().replace("-", "_")] == "as it was written", name
