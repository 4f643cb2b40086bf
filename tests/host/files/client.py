"""Requests to a host of the rig."""

from __future__ import annotations

import httpx

from tests.host.files.rig import Host


def get(
    host: Host, path: str, headers: dict[str, str] | None = None, port: int | None = None
) -> httpx.Response:
    """The answer to a GET on the public port, or on another one."""
    return httpx.get(f"http://127.0.0.1:{port or host.public}{path}", headers=headers, timeout=20)
