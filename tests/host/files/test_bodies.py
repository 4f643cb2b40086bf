"""A request's body reaches Flask whole, however its length was told."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.host.files import rig
from tests.host.files.client import raw, request
from tests.host.files.http2 import http2
from tests.host.files.rig import Host
from tests.host.files.variants import ACME, small

MIB = 1 << 20
FLASK = """
import hashlib
from flask import Flask, request

app = Flask(__name__)

@app.route("/", methods=["GET", "POST", "PUT"])
def read():
    body = request.data
    return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "told": request.content_length,
            "names": sorted(request.environ)}

@app.post("/form")
def form():
    return {"fields": request.form, "files": {name: len(file.read()) for name, file in request.files.items()}}

@app.post("/unread")
def unread():
    return {}
"""
# Nothing, a line, what nginx keeps in memory (128 KiB) and uWSGI does not (64 KiB), and what goes through files.
SIZES = (0, 1, 5000, 65536, 65537, 100_000, 131_072, 131_073, MIB, 12 * MIB)


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    settings = replace(
        small(socket="unix", has_domain=True, server_names=("www.example.com",), processes=1, **ACME),
        client_max_body_size="16m",
    )
    with rig.host(settings) as made, rig.uwsgi(made, FLASK), rig.nginx(made):
        yield made


@pytest.mark.parametrize("size", SIZES)
def test_a_chunked_body(site: Host, size: int) -> None:
    # A body that comes from an iterator has no length, so httpx sends it in chunks.
    answer = post(site, "/", pieces(size))
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.json() | {"names": 0} == {
        "length": size,
        "sha256": hashlib.sha256(body(size)).hexdigest(),
        "told": size,
        "names": 0,
    }
    # How it came is between the client and nginx.
    assert "HTTP_TRANSFER_ENCODING" not in answer.json()["names"]


@pytest.mark.parametrize("size", SIZES)
def test_a_body_by_http_2_that_tells_no_length(site: Host, size: int) -> None:
    with http2(site) as connection:
        stream = connection.request("POST", "/", end=False)
        connection.send(stream, body(size))
        status, answer = connection.answer(stream)
    assert status == 200
    told = httpx.Response(status, content=answer).json()
    assert (told["length"], told["sha256"]) == (size, hashlib.sha256(body(size)).hexdigest())


def test_a_form_and_a_file_in_chunks(site: Host) -> None:
    form = httpx.Request("POST", "http://x/", data={"a": "ü"}, files={"f": body(200_000)})
    answer = post(site, "/form", [form.read()], {"Content-Type": form.headers["Content-Type"]})
    assert answer.json() == {"fields": {"a": "ü"}, "files": {"f": 200_000}}


def test_a_chunked_body_that_nobody_reads_and_the_request_after_it(site: Host) -> None:
    """On one connection: what is left of the first would be read as the second."""
    chunked = b"Host: www.example.com\r\nTransfer-Encoding: chunked\r\n"
    unread = b"POST /unread HTTP/1.1\r\n" + chunked + b"\r\n40000\r\n" + b"x" * 0x40000 + b"\r\n0\r\n\r\n"
    last = b"POST / HTTP/1.1\r\n" + chunked + b"Connection: close\r\n\r\n7\r\nseventh\r\n0\r\n\r\n"
    answers = raw(site, unread * 5 + last)
    assert answers.count(b"HTTP/1.1 200 ") == 6
    assert hashlib.sha256(b"seventh").hexdigest().encode() in answers


def test_chunks_with_extensions_and_trailers(site: Host) -> None:
    chunks = (
        b"POST / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert hashlib.sha256(b"hello world").hexdigest().encode() in raw(site, chunks)


def test_a_chunked_body_above_the_limit_is_refused(site: Host) -> None:
    assert post(site, "/", pieces(17 * MIB)).status_code == 413


def test_a_packed_body_stays_packed(site: Host) -> None:
    """A gzip bomb is what it weighs: neither nginx nor uWSGI unpacks it, and Flask does not either."""
    bomb = gzip.compress(b"\0" * (64 * MIB))
    assert len(bomb) < MIB
    answer = post(site, "/", bomb, {"Content-Encoding": "gzip"}).json()
    assert (answer["length"], answer["sha256"]) == (len(bomb), hashlib.sha256(bomb).hexdigest())


def body(size: int) -> bytes:
    return (b"0123456789abcde\n" * (size // 16 + 1))[:size]


def pieces(size: int) -> list[bytes]:
    whole = body(size)
    return [whole[at : at + 50_000] for at in range(0, size, 50_000)]


def post(
    host: Host, path: str, content: bytes | list[bytes], headers: dict[str, str] | None = None
) -> httpx.Response:
    named = {"Host": "www.example.com", **(headers or {})}
    return request(host, "POST", path, headers=named, content=content)
