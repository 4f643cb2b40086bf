"""When a site counts as healthy, and the check of it from outside.

The same data is the gate of a release on the server (host/flask_release) and the smoke test from here.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

HTTP_PORT = 80
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


def smoke(address: str, host: str, check: HealthCheck) -> str | None:
    """Ask the site at `address` (IPv4) as `host`; return what is wrong with it, None when it is healthy."""
    deadline = time.monotonic() + check.timeout
    good = 0
    while True:
        problem = _ask(address, host, check, max(0.1, deadline - time.monotonic()))
        good = 0 if problem else good + 1
        if good >= check.attempts:
            return None
        if time.monotonic() + check.interval > deadline:
            return problem or f"only {good} of {check.attempts} good answers within {check.timeout:g} s"
        time.sleep(check.interval)


def _ask(address: str, host: str, check: HealthCheck, seconds: float) -> str | None:
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=min(10.0, seconds))
    try:
        connection.request("GET", check.path, headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_BODY_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"http://{host}{check.path} does not answer ({error})"
    finally:
        connection.close()
    if answer.status != check.status:
        return f"http://{host}{check.path} answers {answer.status}, not {check.status}"
    if check.body not in body:
        return f"http://{host}{check.path} answers without the text {check.body!r}"
    return None
