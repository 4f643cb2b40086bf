"""Talking to a uWSGI instance: requests on its socket, what it tells on its stats socket.

Packet layout: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
"""

import os
import socket
import struct
import time
from pathlib import Path
from typing import Dict, NamedTuple, Tuple, Union

from flask_release import untrusted

# A path of a unix socket, or a TCP host and port.
Address = Union[str, Tuple[str, int]]

BODY_LIMIT = 1 << 20


class Answer(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


def get(address: Address, path: str, timeout: float, host: str = "", scheme: str = "http") -> Answer:
    """GET `path` (with its query) on the uwsgi protocol.

    Args:
        address: socket of the instance.
        path: what comes after the host in a URL.
        timeout: seconds for all of it.
        host: Host header; empty: localhost.
        scheme: http or https, as the application is to believe.

    Raises:
        OSError: nothing listens there, or no whole answer came in time.
        ValueError: what came is no HTTP answer.
    """
    until = time.monotonic() + timeout
    with _connect(address, timeout) as connection:
        connection.sendall(_packet(path, host or "localhost", scheme))
        return _parse(_receive(connection, until, BODY_LIMIT))


def receive(path: Path, timeout: float, limit: int) -> bytes:
    """All that is told at a unix socket without being asked, up to a limit of bytes.

    Raises:
        OSError: nothing listens there, or it did not end in time.
    """
    with _connect(str(path), timeout) as connection:
        return _receive(connection, time.monotonic() + timeout, limit)


def _connect(address: Address, timeout: float) -> socket.socket:
    opened = untrusted.socket(Path(address)) if isinstance(address, str) else None
    try:
        connection = socket.socket(socket.AF_INET if opened is None else socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address if opened is None else f"/proc/self/fd/{opened}")
        except BaseException:
            connection.close()
            raise
        return connection
    finally:
        if opened is not None:
            os.close(opened)


def _packet(path: str, host: str, scheme: str) -> bytes:
    pathname, _, query = path.partition("?")
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": path,
        "PATH_INFO": pathname,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host.partition(":")[0],
        "SERVER_PORT": "443" if scheme == "https" else "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "0",
        "REQUEST_SCHEME": scheme,
        "HTTP_HOST": host,
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "flask-release",
    }
    if scheme == "https":
        variables["HTTPS"] = "on"
    body = b""
    for name, value in variables.items():
        for part in (name.encode(), value.encode()):
            body += struct.pack("<H", len(part)) + part
    # modifier1 0: a WSGI request; modifier2 0.
    return struct.pack("<BHB", 0, len(body), 0) + body


def _receive(connection: socket.socket, until: float, limit: int) -> bytes:
    received = b""
    while len(received) < limit:
        left = until - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        connection.settimeout(left)
        chunk = connection.recv(65536)
        if not chunk:
            return received
        received += chunk
        if _complete(received):
            return received
    return received


def _complete(received: bytes) -> bool:
    # An instance may keep the connection for a moment after a whole answer.
    head, end, body = received.partition(b"\r\n\r\n")
    if not end or not head.startswith(b"HTTP/"):
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def _parse(received: bytes) -> Answer:
    if not received:
        raise ConnectionError("the connection was closed without an answer")
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise ValueError(f"not an HTTP answer: {lines[0][:80]!r}")
    headers: Dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        # One that is there several times counts with all its values: none of them can stand in for another.
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return Answer(int(words[1]), headers, body)
