"""The files that land on a server, rendered from its settings.

A template's place under `host/` says where its file goes (PLACES). A template that renders to nothing is a file that
this host does not need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jinja2

from health import HealthCheck
from render.profiles import OsProfile

TEMPLATES = Path(__file__).parent.parent / "host"
# Folder of templates → folder on the server, mode of its files.
PLACES = {
    "nginx": ("etc/nginx", 0o644),
    "uwsgi": ("etc/flask/uwsgi", 0o644),
    "systemd": ("etc/systemd", 0o644),
    "system": ("", 0o644),
    "bin": ("opt/flask/bin", 0o755),
}
# These go as they stand: the tools, and what certbot's environment is made from.
LIBRARIES = ("flask_release", "flask_certificate")
LIBRARIES_PLACE = "opt/flask/lib"
LIBRARY_FILES = (".py", ".txt")
# Stands in a bundle for the address of the server, which nobody knows before there is one: `configure` puts it in
# (host/flask_release/bundle.py), so that the bundle, and with it every plan, is whole beforehand.
SERVER_ADDRESS = "__SERVER_ADDRESS__"
# nginx's listener for checks from the server itself. Below 1024, so that the application cannot take it while nginx
# restarts, which would then not start; and one that SELinux knows as a web server's.
LOOPBACK = "127.0.0.1:81"
CONFIGURE_SCRIPT = TEMPLATES / "configure.sh"


@dataclass(frozen=True)
class HostFile:
    """A file of a server: its content and its permission bits."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class HostSettings:
    """What the files of a host depend on, checked by who makes it.

    Attributes:
        profile: the operating system.
        server_names: names that the site is called by, or SERVER_ADDRESS; the first is the one that checks use.
        has_domain: the site has a name of its own, so requests for other names are refused.
        module: Python module of the application; the release names it on the server, no file here does.
        callable: its WSGI callable; as `module`.
        processes: uWSGI worker processes of a slot; 0: chosen on the host.
        threads: threads in each; 0: chosen on the host.
        socket: `unix`, or the loopback address and port of the first slot (the second takes the next port).
        health: when the application is well.
        keep_releases: releases on the host, the live one among them.
        client_max_body_size: largest request body, in nginx's notation.
        admin_keys: lines of SSH public keys that open root's account, beside the one that the server was made with.
        load: what the application mostly does, `cpu`, `io` or `mixed`: what is chosen on the host depends on it.
        request_timeout: seconds that a request may take.
        other_servers: uWSGI of other servers, as address and port in a network of one's own, that share the work.
        static_url: address of static files, as `/static/`, which nginx serves itself; empty: the application does.
        requests_per_second: of one address, four times as many at once; 0: no limit.
        connections_per_address: 0: no limit.
        micro_cache_seconds: how long answers to visitors without a session are kept; 0: not at all.
        trusted_proxies: networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed.
        content_security_policy: sent with pages that bring none of their own; empty: none.
        tls: `none`, or where the certificate of the first name comes from: `own` or `acme`.
        hsts_seconds: how long browsers keep to https; 0: they are not told to.
        acme_email: account at the certificate authority.
        acme_directory: URL of its directory.
        acme_ca: PEM of who signed the directory's certificate; empty: who the host trusts anyway.
    """

    profile: OsProfile
    server_names: tuple[str, ...]
    has_domain: bool
    module: str
    callable: str
    processes: int
    threads: int
    socket: str
    health: HealthCheck
    keep_releases: int
    client_max_body_size: str
    admin_keys: tuple[str, ...] = ()
    load: str = "mixed"
    request_timeout: int = 60
    other_servers: tuple[str, ...] = ()
    static_url: str = "/static/"
    requests_per_second: int = 0
    connections_per_address: int = 0
    micro_cache_seconds: int = 0
    trusted_proxies: tuple[str, ...] = ()
    content_security_policy: str = ""
    tls: Literal["none", "own", "acme"] = "none"
    hsts_seconds: int = 0
    acme_email: str = ""
    acme_directory: str = ""
    acme_ca: str = ""


def host_files(settings: HostSettings) -> dict[str, HostFile]:
    """The files of a host by their place on it, without the leading slash.

    Raises:
        jinja2.UndefinedError: a template uses a name that HostSettings does not have.
    """
    rendered = dict(_rendered(settings))
    tools = {
        f"{LIBRARIES_PLACE}/{file.relative_to(TEMPLATES).as_posix()}": HostFile(file.read_bytes(), 0o644)
        for library in LIBRARIES
        for file in sorted((TEMPLATES / library).rglob("*"))
        if file.suffix in LIBRARY_FILES
    }
    return rendered | tools


def configure_script() -> str:
    """A script for sh, run as root on the server: unpacks the bundle named by its arguments and installs it."""
    return CONFIGURE_SCRIPT.read_text(encoding="utf-8")


def _rendered(settings: HostSettings) -> Iterator[tuple[str, HostFile]]:
    environment = jinja2.Environment(  # noqa: S701 -- HTML's escapes would break configuration # nosec B701
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Not asdict(): it would turn the profile into a dictionary.
    names = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    names["loopback"] = LOOPBACK
    for template in sorted(TEMPLATES.rglob("*.j2")):
        name = template.relative_to(TEMPLATES)
        folder, mode = PLACES[name.parts[0]]
        text = environment.get_template(name.as_posix()).render(names)
        if text.strip():
            place = Path(folder, *name.parts[1:]).with_suffix("")
            yield place.as_posix(), HostFile(text.encode(), mode)
