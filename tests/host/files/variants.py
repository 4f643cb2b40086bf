"""The kinds of host that files are rendered for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
    health_path="/",
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


def write(settings: HostSettings, root: Path) -> None:
    """Lay the rendered files down below `root`."""
    for name, file in host_files(settings).items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.mode)
