"""What nginx does for a host that asks for it."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter

import httpx
import pytest

from tests.host.files import rig
from tests.host.files.client import get
from tests.host.files.variants import small

COUNTING = """
count = 0

def app(environ, start_response):
    global count
    count += 1
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"%d" % count]
"""
SEEN = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    names = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "REQUEST_SCHEME", "HTTPS")
    return [" ".join(environ.get(name, "-") for name in names).encode()]
"""


def test_an_address_that_asks_too_often_is_told_so() -> None:
    settings = small(socket="unix", requests_per_second=5, processes=1)
    with rig.host(settings) as host, rig.uwsgi(host, SEEN), rig.nginx(host):
        with httpx.Client() as client:
            answers = Counter(client.get(f"http://127.0.0.1:{host.public}/").status_code for _ in range(60))
        assert set(answers) == {200, 429}
        assert answers[200] >= 21, "the burst is answered"


@pytest.mark.parametrize("port", ["public", "loopback"])
def test_the_operators_checks_are_never_refused(port: str) -> None:
    """Whoever floods: visitors, or the application's own account at the port of the checks."""
    settings = small(
        socket="unix", requests_per_second=1, connections_per_address=1, micro_cache_seconds=60, processes=1
    )
    with rig.host(settings) as host, rig.uwsgi(host, SEEN), rig.nginx(host):
        refused = Counter(get(host, "/", port=getattr(host, port)).status_code for _ in range(30))
        assert set(refused) == ({200, 429} if port == "public" else {200})
        with contextlib.ExitStack() as held:
            for _ in range(20):
                client = held.enter_context(socket.create_connection(("127.0.0.1", host.loopback)))
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for path in ("/", "/nginx_status"):
                assert {get(host, path, port=host.loopback).status_code for _ in range(30)} == {200}, path
            if port == "loopback":
                # Nor does the one count for the other.
                assert get(host, "/").status_code == 200


def test_visitors_without_a_session_share_an_answer_and_others_do_not() -> None:
    settings = small(socket="unix", micro_cache_seconds=60, processes=1, threads=1)
    with rig.host(settings) as host, rig.uwsgi(host, COUNTING), rig.nginx(host):
        assert [get(host, "/").text for _ in range(3)] == ["1", "1", "1"]
        assert get(host, "/?page=2").text == "2"
        assert get(host, "/", {"Cookie": "session=x"}).text == "3"
        assert get(host, "/", {"Authorization": "Basic x"}).text == "4"
        assert httpx.post(f"http://127.0.0.1:{host.public}/").text == "5"
        assert get(host, "/").text == "1"
        assert get(host, "/", port=host.loopback).text == "6", "a check asks the application"


def test_only_a_trusted_proxy_is_believed() -> None:
    claims = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1", "X-Forwarded-Proto": "https"}
    for trusted, seen in (
        ((), "127.0.0.1 127.0.0.1 http http -"),
        (("10.0.0.0/8",), "127.0.0.1 127.0.0.1 http http -"),
        (("127.0.0.0/8",), "198.51.100.1 198.51.100.1 https https on"),
        (("127.0.0.0/8", "198.51.100.0/24"), "203.0.113.9 203.0.113.9 https https on"),
    ):
        settings = small(socket="unix", trusted_proxies=trusted, processes=1)
        with rig.host(settings) as host, rig.uwsgi(host, SEEN), rig.nginx(host):
            assert get(host, "/", claims).text == seen, trusted


def test_a_policy_for_pages_that_bring_none() -> None:
    policy = "default-src 'self'; frame-ancestors 'none'"
    own = SEEN.replace('"text/html")', '"text/html"), ("Content-Security-Policy", "own")')
    for application, sent in ((SEEN, [policy]), (own, ["own"])):
        with (
            rig.host(small(socket="unix", content_security_policy=policy, processes=1)) as host,
            rig.uwsgi(host, application),
            rig.nginx(host),
        ):
            assert get(host, "/").headers.get_list("content-security-policy") == sent
