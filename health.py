"""When a site counts as healthy, and the check of it from outside.

The same data is the gate of a release on the server (host/flask_release) and the smoke test from here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Literal

from printable import printable

HTTP_PORT = 80
HTTPS_PORT = 443
# What is read of an answer to find a text in it.
_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class HealthCheck:
    """What has to be answered. Times in seconds.

    Attributes:
        path: what is asked for, with its query if it has one.
        status: expected status.
        body: text that the answer has to hold; empty: any.
        attempts: good answers needed, one after the other.
        interval: pause between two requests.
        timeout: time from the first request, or a slot's start, to the last good answer.
        settle: pause before the first request.
    """

    path: str
    status: int
    body: str
    attempts: int
    interval: float
    timeout: float
    settle: float


def smoke(
    address: str, host: str, check: HealthCheck, scheme: Literal["http", "https"] = "http"
) -> str | None:
    """Ask the site at `address` (IPv4) as `host`; return what is wrong with it, None when it is healthy.

    With https that includes a certificate that this machine does not trust, or that is for another name.
    """
    deadline = time.monotonic() + check.timeout
    good = 0
    while True:
        problem = _ask(address, host, check, scheme, max(0.1, deadline - time.monotonic()))
        good = 0 if problem else good + 1
        if good >= check.attempts:
            return None
        if time.monotonic() + check.interval > deadline:
            return problem or f"only {good} of {check.attempts} good answers within {check.timeout:g} s"
        time.sleep(check.interval)


def _ask(address: str, host: str, check: HealthCheck, scheme: str, seconds: float) -> str | None:
    url = f"{scheme}://{host}{check.path}"
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=min(10.0, seconds))
    try:
        if scheme == "https":
            connection.sock = _https(address, host, min(10.0, seconds))
        # The application's answer of now, not one that was kept (microCacheSeconds, or a CDN).
        headers = {"Host": host, "Connection": "close", "Cache-Control": "no-cache"}
        connection.request("GET", check.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(_BODY_BYTES).decode(errors="replace")
    except ssl.SSLCertVerificationError as error:
        return f"{url} has a certificate that this machine does not trust ({error.verify_message})"
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer ({printable(str(error))})"
    finally:
        connection.close()
    if answer.status != check.status:
        return f"{url} answers {answer.status}, not {check.status}"
    if check.body not in body:
        return f"{url} answers without the text {check.body!r}"
    return None


def _https(address: str, host: str, seconds: float) -> ssl.SSLSocket:
    plain = socket.create_connection((address, HTTPS_PORT), timeout=seconds)
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
