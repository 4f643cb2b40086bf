"""When a release counts as healthy."""

from __future__ import annotations

import re

from health import HealthCheck
from settings.values import Values, integer, refuse


def health(values: Values) -> HealthCheck:
    """Read the keys of the health check."""
    check = HealthCheck(
        path=_health_path(values),
        status=integer(values, "healthStatus", 100, 599),
        body=_health_body(values),
        attempts=integer(values, "healthAttempts", 1, 100),
        interval=integer(values, "healthInterval", 10, 60_000) / 1000,
        timeout=integer(values, "healthTimeout", 1, 900),
        settle=integer(values, "healthSettle", 0, 600),
    )
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
    if not re.fullmatch(r"/[A-Za-z0-9._~!&'()*+,;=:@%/?-]*", path):
        refuse("healthPath", path, "a path that begins with /, such as /healthz")
    return path
