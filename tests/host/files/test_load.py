"""Many connections, slow ones and hostile ones: meanwhile every other visitor is answered, and right.

FLASK_LOAD_SECONDS=30 has each go on for longer than the five seconds that suffice to see it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from render.host_files import HostSettings
from tests.e2e.visitor import answers
from tests.host.files import rig
from tests.host.files.client import get, raw
from tests.host.files.http2 import http2
from tests.host.files.rig import Host
from tests.host.files.variants import ACME, small

SECONDS = float(os.environ.get("FLASK_LOAD_SECONDS", "5"))
NAME = "www.example.com"
HEAD = f"Host: {NAME}\r\n"
# One thread: whoever holds it holds up all.
APPLICATION = """
def app(environ, start_response):
    body = b"x" * 1_000_000 if environ["PATH_INFO"] == "/large" else environ["QUERY_STRING"].encode()
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
FILE = bytes(range(256)) * 4096


SETTINGS = small(socket="unix", has_domain=True, server_names=(NAME,), processes=1, threads=1, **ACME)


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with rig.host(SETTINGS) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        static = made.root / "srv/flask/serving/public/static"
        static.mkdir(parents=True)
        (static / "file.bin").write_bytes(FILE)
        yield made


@contextlib.contextmanager
def others(host: Host) -> Iterator[None]:
    """A visitor who asks all the while, and once more afterwards, and gets what was asked for."""

    def ask() -> str:
        answer = client.get(
            f"http://127.0.0.1:{host.public}/?mine", headers={"Host": NAME, "Connection": "close"}
        )
        return f"{answer.status_code} {answer.text}"

    # By an address of their own: limits are by address.
    client = httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=20)
    with client:
        with answers(ask) as seen:
            yield
        seen.append(ask())
    assert set(seen) == {"200 mine"}


def pause() -> None:
    """Let things go on for a while."""
    threading.Event().wait(SECONDS)


def test_a_thousand_visitors(site: Host) -> None:
    async def visit(number: int, until: float) -> tuple[int, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.public)
        asked = wrong = 0
        while asyncio.get_running_loop().time() < until or not asked:
            asked += 1
            writer.write(f"GET /?{number}-{asked} HTTP/1.1\r\n{HEAD}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(len(f"{number}-{asked}"))
            wrong += not (head.startswith(b"HTTP/1.1 200 ") and body == f"{number}-{asked}".encode())
        writer.close()
        return asked, wrong

    async def visits() -> list[tuple[int, int]]:
        until = asyncio.get_running_loop().time() + SECONDS
        return await asyncio.gather(*(visit(number, until) for number in range(1000)))

    with others(site):
        found = asyncio.run(visits())
    assert sum(wrong for _, wrong in found) == 0
    assert sum(asked for asked, _ in found) >= 1000


@pytest.mark.parametrize(
    ("began", "goes_on"),
    [
        ("GET /?slow HTTP/1.1\r\n", b"X"),
        (f"POST /?slow HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n", b"x"),
        (f"POST /?slow HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (f"GET /large HTTP/1.1\r\n{HEAD}\r\n", b""),
    ],
    ids=["headers", "body", "chunks", "reader"],
)
def test_hundreds_who_take_their_time(site: Host, began: str, goes_on: bytes) -> None:
    with others(site), contextlib.ExitStack() as held:
        slow = []
        for _ in range(300):
            connection = held.enter_context(socket.socket())
            # What is not read waits with nginx, not in this machine's memory.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", site.public))
            connection.sendall(began.encode())
            slow.append(connection)
        for _ in range(10):
            threading.Event().wait(SECONDS / 10)
            for connection in slow:
                # nginx may have lost patience.
                with contextlib.suppress(OSError):
                    connection.sendall(goes_on) if goes_on else connection.recv(100)


@pytest.mark.parametrize(
    "limited",
    [replace(SETTINGS, connections_per_address=20), replace(SETTINGS, requests_per_second=20)],
    ids=["connections", "requests"],
)
def test_streams_that_are_opened_and_reset_by_the_thousand(limited: HostSettings) -> None:
    """HTTP/2's "rapid reset" (CVE-2023-44487): thousands of requests a second that nobody waits for."""
    # What takes its time lets a queue grow.
    slow = APPLICATION.replace("    body =", "    __import__('time').sleep(0.005)\n    body =", 1)
    with rig.host(limited) as host, rig.uwsgi(host, slow), rig.nginx(host):
        until = time.monotonic() + SECONDS
        with others(host), ThreadPoolExecutor(4) as attackers:
            opened = sum(attackers.map(lambda _: resets(host, until), range(4)))
        assert opened > 1000


def test_a_site_without_limits_outlives_it(site: Host) -> None:
    assert resets(site, time.monotonic() + 1) > 1000
    # Whoever asked in the middle may have found uWSGI's queue full: keeping a flood from it is what limits are for.
    rig.until(lambda: get(site, "/?after", {"Host": NAME}).text == "after")
    with http2(site) as connection:
        assert connection.answer(connection.request("GET", "/?after")) == (200, b"after")


def resets(host: Host, until: float) -> int:
    """Open streams and reset them, on one connection after the other; how many."""
    opened = 0
    while time.monotonic() < until:
        # nginx ends a connection after a thousand streams, and when it is reset more often than it likes.
        with contextlib.suppress(OSError), http2(host) as connection:
            for _ in range(10):
                connection.requests(100, "GET", "/?reset", reset=True)
                opened += 100
    return opened


def test_headers_that_never_end_by_http_2(site: Host) -> None:
    """Streams that begin and stay: as many as one connection may have, on many connections."""
    with others(site), contextlib.ExitStack() as held:
        for _ in range(20):
            connection = held.enter_context(http2(site))
            connection.requests(100, "POST", "/?slow", end=False)
        pause()


def test_many_ranges_make_no_answer_larger(site: Host) -> None:
    for ranges in (
        ",".join(["0-"] * 1300),
        ",".join(f"{at}-{at}" for at in range(900)),
        ",".join(f"{at}-" for at in range(1000)),
        ",".join(["-1"] * 1300),
        "0-0," * 1500 + "0-0",
        "10-19,30-39",
    ):
        for path in ("/static/file.bin", "/large"):
            asked = f"GET {path} HTTP/1.1\r\n{HEAD}Connection: close\r\nRange: bytes={ranges}\r\n\r\n"
            answer = raw(site, asked.encode())
            assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 416 ")), answer[:200]
            assert len(answer) < len(FILE) + 2000
    one = get(site, "/static/file.bin", {"Host": NAME, "Range": "bytes=10-19"})
    assert (one.status_code, one.content) == (206, FILE[10:20])
