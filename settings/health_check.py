"""When a release counts as healthy."""

from __future__ import annotations

import re
from urllib.parse import unquote

from health import HealthCheck
from settings.values import Values, integer, refuse

# Answers that have no body (RFC 9110).
_WITHOUT_BODY = (204, 205, 304)
# nginx takes 8 KiB of a request line; a log and a message repeat it.
_MOST_PATH = 2000
# What nginx does not ask the application for: hidden files (host/nginx/flask/hidden_files.conf), paths upwards, the
# authority's questions (acme_challenge.conf), its own counters (loopback.conf).
_NOT_ASKED = re.compile(
    r".*/\.(?!well-known(/|$)).*|/\.well-known/acme-challenge/.*|/nginx_status", re.DOTALL
)


def health(values: Values) -> HealthCheck:
    """Read the keys of the health check."""
    check = HealthCheck(
        path=_health_path(values),
        status=integer(values, "healthStatus", 200, 599),
        body=_health_body(values),
        attempts=integer(values, "healthAttempts", 1, 100),
        interval=integer(values, "healthInterval", 10, 60_000) / 1000,
        timeout=integer(values, "healthTimeout", 1, 900),
        settle=integer(values, "healthSettle", 0, 600),
    )
    if check.body and check.status in _WITHOUT_BODY:
        refuse("healthBody", check.body, f"no text while healthStatus is {check.status}, which has no body")
    if check.settle + (check.attempts - 1) * check.interval >= check.timeout:
        refuse(
            "healthTimeout",
            f"{check.timeout:g}",
            "more seconds than healthSettle and healthAttempts with their healthInterval take",
        )
    return check


def _health_body(values: Values) -> str:
    body = values.optional("healthBody") or ""
    if not body.isprintable() or len(body) > 200:
        refuse("healthBody", body, "one line of at most 200 characters")
    return body


def _health_path(values: Values) -> str:
    path = values.text("healthPath")
    # What comes after a % are two hexadecimal digits, and never a NUL: nginx answers others with 400 by itself.
    pattern = r"/([A-Za-z0-9._~!&'()*+,;=:@/?-]|%(?!00)[0-9A-Fa-f]{2})*"
    if not re.fullmatch(pattern, path) or len(path) > _MOST_PATH:
        refuse(
            "healthPath",
            path,
            f"a path that begins with /, such as /healthz, of at most {_MOST_PATH} characters; after % come two digits",
        )
    if _NOT_ASKED.fullmatch(unquote(path.partition("?")[0], errors="replace")):
        refuse(
            "healthPath",
            path,
            "a path of the application's; nginx answers for hidden files and its own by itself",
        )
    return path
