"""Requests to a host of the rig."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable

import httpx

from tests.host.files.rig import Host

# Read once: httpx would read the machine's authorities for each request.
_TRUSTED = ssl.create_default_context()


def get(
    host: Host, path: str, headers: dict[str, str] | None = None, port: int | None = None
) -> httpx.Response:
    """The answer to a GET on the public port, or on another one."""
    return request(host, "GET", path, headers=headers, port=port)


def request(
    host: Host,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    content: str | bytes | Iterable[bytes] | None = None,
    port: int | None = None,
) -> httpx.Response:
    """The answer to a request on the public port, or on another one. What comes in pieces is sent in chunks."""
    return httpx.request(
        method,
        f"http://127.0.0.1:{port or host.public}{path}",
        headers=headers,
        content=content,
        timeout=20,
        verify=_TRUSTED,
    )


def raw(host: Host, request: bytes) -> bytes:
    """What comes for these bytes on the public port, until nginx closes the connection."""
    with socket.create_connection(("127.0.0.1", host.public), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        # Refused without an answer (444) is a reset connection.
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
        return received
