"""All sections of a stack's configuration together, and what follows from them for a host and a release."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pulumi
from pulumi.runtime import config as runtime_config

from health import HealthCheck
from render.host_files import SERVER_ADDRESS, HostSettings
from render.release import Release, application_release
from settings.application import ApplicationSettings, application
from settings.firewall import FirewallSettings, firewall
from settings.health_check import health
from settings.network import NetworkSettings, network
from settings.server import ServerSettings, server
from settings.tls import CERTBOT_PYTHON, MODES, TlsSettings, tls
from settings.values import Values, one_of, refuse
from settings.web import WebSettings, web

# Of the environment variables that the provider reads.
_PREFIXES = ("ALICLOUD", "ALIBABA_CLOUD")


@dataclass(frozen=True)
class Settings:
    """All of a stack's configuration."""

    network: NetworkSettings
    firewall: FirewallSettings
    server: ServerSettings
    application: ApplicationSettings
    web: WebSettings
    tls: TlsSettings | None

    def host(self) -> HostSettings:
        """What the files on a server are rendered from."""
        return HostSettings(
            profile=self.server.profile,
            server_names=(self.web.domain or SERVER_ADDRESS,),
            has_domain=self.web.domain is not None,
            admin_keys=(self.server.public_key,) if self.server.public_key else (),
            module=self.application.module,
            callable=self.application.callable,
            processes=self.application.processes,
            threads=self.application.threads,
            load=self.application.load,
            request_timeout=self.application.request_timeout,
            socket=self.application.socket,
            health=self.application.health,
            keep_releases=self.application.keep_releases,
            client_max_body_size=self.web.client_max_body_size,
            static_url=self.web.static_url,
            requests_per_second=self.web.requests_per_second,
            connections_per_address=self.web.connections_per_address,
            micro_cache_seconds=self.web.micro_cache_seconds,
            trusted_proxies=self.web.trusted_proxies,
            content_security_policy=self.web.content_security_policy,
            tls=self.tls.mode if self.tls else "none",
            hsts_seconds=self.tls.hsts_seconds if self.tls else 0,
            acme_email=self.tls.acme_email if self.tls else "",
            acme_directory=self.tls.acme_directory if self.tls else "",
            acme_ca=self.tls.acme_ca if self.tls else "",
        )

    def release(self) -> Release:
        """The application, packed.

        Raises:
            pulumi.RunError: the folder cannot be a release.
        """
        packed = self.application
        try:
            return application_release(packed.path, packed.module, packed.callable, packed.python_path)
        except (ValueError, OSError) as error:
            raise pulumi.RunError(f"appPath: {error}") from error


def load(folder: Path | None = None) -> Settings:
    """Read and check the stack's configuration; relative paths in it count from `folder` (default: here).

    Raises:
        pulumi.RunError: naming the key, its value and what is allowed.
    """
    values = Values.read()
    web_settings = web(values)
    settings = Settings(
        network=network(values),
        firewall=firewall(values),
        server=server(values),
        application=application(values, folder or Path.cwd()),
        web=web_settings,
        tls=tls(values, web_settings.domain),
    )
    if one_of(values, "target", ("alicloud", "sandbox")) == "alicloud":
        _check_region()
    _check_certbot(settings)
    return settings


def _check_region() -> None:
    # Without one the provider takes a region of its own choice.
    config = runtime_config.CONFIG.get()
    given = [config.get("alicloud:region"), config.get("alicloud:profile")]
    given += [os.environ.get(f"{prefix}_{name}") for prefix in _PREFIXES for name in ("REGION", "PROFILE")]
    if not any(given):
        raise pulumi.RunError(
            "no region is set, and the servers would stand where the provider likes; set one:"
            " pulumi config set alicloud:region cn-hangzhou"
        )


def _check_certbot(settings: Settings) -> None:
    instance = settings.server
    old = instance.python == "system" and instance.profile.system_python < CERTBOT_PYTHON
    if old and settings.tls and settings.tls.mode == "acme":
        why = "certbot needs a newer one"
        refuse("tls", "acme", f"none or own where python is system on {instance.profile.name}", why)


@dataclass(frozen=True)
class Site:
    """A site as seen from outside. `domain` None: it is called by its server's address."""

    domain: str | None
    scheme: Literal["http", "https"]
    health: HealthCheck


def load_site() -> Site:
    """Read what concerns who looks at the site from outside, and nothing that may be encrypted.

    Raises:
        pulumi.RunError: as `load`.
    """
    values = Values.read()
    scheme: Literal["http", "https"] = "http" if one_of(values, "tls", MODES) == "none" else "https"
    return Site(web(values).domain, scheme, health(values))
