"""The kinds of host that files are rendered for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from health import HealthCheck
from render.host_files import HostSettings, host_files
from render.profiles import PROFILES

BLOG = HostSettings(
    profile=PROFILES["centos7"],
    server_names=("203.0.113.7",),
    has_domain=False,
    module="uwsgi",
    callable="app",
    processes=4,
    threads=2,
    socket="127.0.0.1:8080",
    health=HealthCheck(path="/", status=200, body="", attempts=3, interval=0.1, timeout=60, settle=0),
    keep_releases=5,
    client_max_body_size="16m",
)
VARIANTS = {
    f"{profile.name}-{'unix' if socket == 'unix' else 'tcp'}-{'domain' if domain else 'address'}": replace(
        BLOG,
        profile=profile,
        socket=socket,
        has_domain=domain,
        server_names=("www.example.com",) if domain else ("203.0.113.7",),
    )
    for profile in PROFILES.values()
    for socket in ("unix", "127.0.0.1:8080")
    for domain in (False, True)
}

ACME: dict[str, Any] = {
    "tls": "acme",
    "hsts_seconds": 63072000,
    "acme_email": "admin@example.com",
    "acme_directory": "https://ca.example/directory",
    "acme_ca": "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n",
}

# Everything that a host may have, at once.
VARIANTS |= {
    f"{name}-everything": replace(
        VARIANTS[name],
        requests_per_second=50,
        connections_per_address=20,
        micro_cache_seconds=1,
        trusted_proxies=("100.64.0.0/10", "198.51.100.7/32"),
        content_security_policy="default-src 'self'; frame-ancestors 'none'",
        **(ACME if "domain" in name else {}),
    )
    for name in ("centos7-tcp-domain", "debian12-unix-address", "debian12-unix-domain")
}


def small(**changes: Any) -> HostSettings:
    """The blog post's host, with bodies of at most 1 MiB."""
    return replace(BLOG, client_max_body_size="1m", **changes)


def write(settings: HostSettings, root: Path) -> None:
    """Lay the rendered files down below `root`."""
    for name, file in host_files(settings).items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.mode)
