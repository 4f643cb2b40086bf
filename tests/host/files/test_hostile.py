"""Requests that others' servers fell for: refused, or no more than they are."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.client import get, raw
from tests.host.files.rig import Host
from tests.host.files.variants import ACME, small

NAME = "www.example.com"
HEAD = f"Host: {NAME}\r\n"
# Says what it was asked for; SMUGGLED in an answer is a second request that nobody sent as one.
SMUGGLED = f"GET /smuggled HTTP/1.1\r\n{HEAD}\r\n"
SECRET = "do not publish"


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    settings = replace(
        small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, **ACME),
        requests_per_second=1000,
        connections_per_address=100,
    )
    with rig.host(settings) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        public = made.root / "srv/flask/serving/public"
        for name in ("static/site.css", "static/.env", "static/.git/config", "secret.txt", "../secret.txt"):
            file = public / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("css" if name.endswith("css") else SECRET)
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 60\r\n",
        "Content-Length: 6, 6\r\n",
        "Content-Length: +6\r\n",
        "Content-Length: 0x6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 6 0\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    ],
)
def test_of_a_length_that_can_be_read_in_two_ways_nothing_is_believed(site: Host, headers: str) -> None:
    body = "0\r\n\r\nX" + SMUGGLED
    answer = raw(site, f"POST / HTTP/1.1\r\n{HEAD}{headers}\r\n{body}".encode())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.1 413 ")), answer[:80]
    assert answer.count(b"HTTP/1.1 ") == 1, "the connection ends with it"


def test_a_line_that_is_no_header_is_not_taken_for_one(site: Host) -> None:
    """nginx 1.20 leaves such a line out and later ones refuse the request; either way nothing hides in it."""
    for line in (
        "Content-Length : 6\r\n",
        "X-One: a\r\n Transfer-Encoding: chunked\r\n",
        "X-One\r\n",
        " X: y\r\n",
    ):
        answer = raw(
            site, f"GET / HTTP/1.1\r\n{HEAD}{line}Connection: close\r\n\r\n0\r\n\r\nX{SMUGGLED}".encode()
        )
        assert b"smuggled" not in answer, line
        assert b'HTTP_TRANSFER_ENCODING"' not in answer, line
        assert b'"CONTENT_LENGTH": "6"' not in answer, line


@pytest.mark.parametrize(
    "request_",
    [
        f"GET / HTTP/1.1\r\n{HEAD}X-One: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        f"GET /\0 HTTP/1.1\r\n{HEAD}\r\n",
        f"GET /%00 HTTP/1.1\r\n{HEAD}\r\n",
        f"GET /%zz HTTP/1.1\r\n{HEAD}\r\n",
        f"GET /../../etc/passwd HTTP/1.1\r\n{HEAD}\r\n",
        f"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n{HEAD}\r\n",
        f"GET / HTTP/3.0\r\n{HEAD}\r\n",
        f"GET / HTTP/1.1 x\r\n{HEAD}\r\n",
        f"G(T / HTTP/1.1\r\n{HEAD}\r\n",
        f"CONNECT {NAME}:80 HTTP/1.1\r\n{HEAD}\r\n",
        f"TRACE / HTTP/1.1\r\n{HEAD}\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_what_is_no_request_does_not_reach_the_application(site: Host, request_: str) -> None:
    answer = raw(site, request_.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode("latin-1"))
    assert b"PATH_INFO" not in answer, answer[:300]
    assert not answer.startswith(b"HTTP/1.1 2")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/..%2f..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/..%c0%afsecret.txt",
        "/static/..;/secret.txt",
        "/static../secret.txt",
        "/static/.env",
        "/static/%2eenv",
        "/static//.env",
        "/static/x/../.env",
        "/static/.git/config",
        "/.git/config",
        "/.%67it/config",
        "/x/.svn/entries",
        "/static/.env/",
        "/static/.env%20",
        "/.well-known/../static/.env",
        "/secret.txt",
        "/serving/public/secret.txt",
    ],
)
def test_no_path_leads_out_of_what_is_published(site: Host, path: str) -> None:
    answer = raw(site, f"GET {path} HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n".encode())
    assert SECRET.encode() not in answer
    assert raw(site, f"GET /static/site.css HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n".encode()).endswith(
        b"css"
    )


def test_names_that_uwsgi_loads_code_by_are_only_headers(site: Host) -> None:
    names = (
        "UWSGI_FILE",
        "UWSGI_SCRIPT",
        "UWSGI_MODULE",
        "UWSGI_CHDIR",
        "UWSGI_PYHOME",
        "UWSGI_APPID",
        "UWSGI_SETENV",
    )
    (site.root / "evil.py").write_text("def application(environ, start): raise SystemExit")
    for name in names:
        seen = get(site, "/", {"Host": NAME, name.replace("_", "-"): str(site.root / "evil.py")}).json()
        assert name not in seen
        # With an underscore it is no name of a header.
        assert name not in get(site, "/", {"Host": NAME, name: "x"}).json()
    assert get(site, "/?UWSGI_FILE=/etc/passwd", {"Host": NAME}).status_code == 200


def test_a_made_up_address_evades_no_limit() -> None:
    settings = small(socket="unix", processes=1, requests_per_second=1)
    with rig.host(settings) as host, rig.uwsgi(host, APPLICATION), rig.nginx(host):
        statuses = Counter(
            get(host, "/", {name: f"198.51.100.{number}"}).status_code
            for number in range(10)
            for name in ("X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP")
        )
    assert statuses[429] > statuses[200] > 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused(site: Host, version: str) -> None:
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    offered.check_hostname = False
    offered.verify_mode = ssl.CERT_NONE
    # Debian's OpenSSL would refuse to ask for it.
    offered.set_ciphers("ALL:@SECLEVEL=0")
    offered.minimum_version = offered.maximum_version = ssl.TLSVersion[version]
    with (
        socket.create_connection(("127.0.0.1", site.secure), timeout=20) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        offered.wrap_socket(plain, server_hostname=NAME)


def test_none_of_it_hurt_nginx(site: Host) -> None:
    """The last one: what came before is in its log."""
    with contextlib.suppress(FileNotFoundError):
        text = site.error_log.read_text()
        assert not [line for line in text.splitlines() if "[alert]" in line or "[emerg]" in line]
    assert get(site, "/", {"Host": NAME}).status_code == 200
