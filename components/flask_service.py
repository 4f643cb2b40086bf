"""A Flask application on a server: its configuration laid down, its release started behind nginx."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict

import pulumi
from pulumi_command import remote

from components.server import Server
from health import HealthCheck, smoke
from render.archive import Archive
from render.host_files import SERVER_ADDRESS, HostSettings, configure_script
from render.release import Release, host_archive
from settings import TlsSettings

# Archives are written here on their way to the server, named by their content. FileAsset wants a path.
BUILD_FOLDER = Path(".build")
INCOMING = "/var/lib/flask/incoming"
# The gate on the server was patient already.
SMOKE_SECONDS = 10.0
# certbot is installed, and an authority may take its time.
CERTIFICATE_TIMEOUT = "10m"


class FlaskServiceArgs(TypedDict):
    """Arguments of FlaskService."""

    server: Server
    """Where it runs."""
    host: HostSettings
    """What the server's files are rendered from."""
    release: Release
    """The application and what it needs."""
    environment: pulumi.Input[dict[str, str]]
    """Environment variables of the application; secret."""
    rollbacks: pulumi.Input[str]
    """How often a release was rolled back on the server; another number makes the release anew."""
    domain: str | None
    """Host name of the site; None serves it at the server's address."""
    health: HealthCheck
    """What the site has to answer when all is done, asked from here."""
    tls: TlsSettings | None
    """How the site gets its certificate; None is a site on http."""


class FlaskService(pulumi.ComponentResource):
    """A served application: `url` answers when this is done, with the release named by `release_id`."""

    url: pulumi.Output[str]
    release_id: pulumi.Output[str]

    def __init__(self, name: str, args: FlaskServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flaskapp:index:FlaskService", name, {}, opts)
        self._server = args["server"]
        tls = args["tls"]
        done = [self._configure(name, args["host"])]
        # A given certificate cannot fail for a reason outside, so no visitor needs to come by http. An authority's may:
        # by then the release serves.
        if tls and tls.mode == "own":
            done.append(self._certificate(name, args["domain"], tls, done))
        released = self._release(name, args, done)
        done.append(released)
        if tls and tls.mode == "acme":
            done.append(self._certificate(name, args["domain"], tls, done))
        scheme: Literal["http", "https"] = "https" if tls else "http"
        self.url = pulumi.Output.all(self._server.address, *(command.id for command in done)).apply(
            lambda known: _looked_at(str(known[0]), args["domain"] or str(known[0]), args["health"], scheme)
        )
        # A secret on stdin makes the whole command's output secret; the id of a release is none.
        self.release_id = pulumi.Output.unsecret(released.stdout).apply(_released_id)
        self.register_outputs({"url": self.url, "release": self.release_id})

    def _configure(self, name: str, host: HostSettings) -> remote.Command:
        bundle = host_archive(host)
        copy = self._copy(f"{name}-host-files", "host", bundle, self._server.ready)
        arguments: list[pulumi.Input[str]] = [bundle.digest]
        if SERVER_ADDRESS in host.server_names:
            arguments.append(self._server.address)
        return self._command(
            f"{name}-configure",
            # The provider repeats a command that failed whole: the script goes another way.
            pulumi.Output.all(*arguments).apply(lambda known: " ".join(("sh -s configure", *known))),
            arguments,
            stdin=configure_script(),
            depends_on=copy,
        )

    def _certificate(
        self, name: str, domain: str | None, tls: TlsSettings, after: list[remote.Command]
    ) -> remote.Command:
        facts = (domain or "", tls.certificate, tls.acme_email, tls.acme_directory, tls.acme_ca)
        return self._command(
            f"{name}-certificate",
            f"/opt/flask/bin/flask-certificate {tls.mode}",
            [hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]],
            stdin=None if tls.certificate_key is None else _pair(tls.certificate, tls.certificate_key),
            depends_on=[*after],
            timeout=CERTIFICATE_TIMEOUT,
        )

    def _release(self, name: str, args: FlaskServiceArgs, after: list[remote.Command]) -> remote.Command:
        release = args["release"]
        copy = self._copy(f"{name}-application", "release", release.archive, self._server.ready)
        archive = f"{INCOMING}/release-{release.archive.digest}.tar.gz"
        return self._command(
            f"{name}-release",
            f"/opt/flask/bin/flask-release release {archive}",
            [release.archive.digest, args["rollbacks"]],
            stdin=pulumi.Output.secret(args["environment"]).apply(
                lambda environment: json.dumps({"env": environment}, sort_keys=True)
            ),
            depends_on=[copy, *after],
        )

    def _copy(self, name: str, kind: str, archive: Archive, ready: remote.Command) -> remote.CopyToRemote:
        return remote.CopyToRemote(
            name,
            connection=self._server.connection,
            # Not an output of anything: the provider refuses a plan in which the source is not known yet.
            source=pulumi.FileAsset(str(_write(kind, archive))),
            remote_path=f"{INCOMING}/{kind}-{archive.digest}.tar.gz",
            # A copy does not notice a changed connection: without the instance's id nothing would be copied to
            # the server that replaced another.
            triggers=[self._server.instance.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[ready], deleted_with=self._server.instance),
        )

    def _command(
        self,
        name: str,
        create: pulumi.Input[str],
        triggers: list[pulumi.Input[str]],
        *,
        depends_on: remote.CopyToRemote | list[pulumi.Resource],
        stdin: pulumi.Input[str] | None = None,
        timeout: str | None = None,
    ) -> remote.Command:
        return remote.Command(
            name,
            connection=self._server.connection,
            create=create,
            stdin=stdin,
            triggers=[self._server.instance.id, *triggers],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=depends_on,
                deleted_with=self._server.instance,
                custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout) if timeout else None,
            ),
        )


def _pair(certificate: str, key: pulumi.Output[str]) -> pulumi.Output[str]:
    # What comes of a secret is one.
    return key.apply(lambda plain: json.dumps({"certificate": certificate, "key": plain}, sort_keys=True))


def _looked_at(address: str, host: str, check: HealthCheck, scheme: Literal["http", "https"]) -> str:
    """Return the site's URL; a site that is not healthy as seen from here is a warning.

    Not an error: `webCidrs` may let a CDN in and nobody else.
    """
    if not pulumi.runtime.is_dry_run():
        brief = replace(check, settle=0, timeout=min(check.timeout, SMOKE_SECONDS))
        problem = smoke(address, host, brief, scheme)
        if problem:
            pulumi.log.warn(f"The release serves, but seen from here the site does not: {problem}")
    return f"{scheme}://{host}"


def _released_id(stdout: str) -> str:
    answer = json.loads(stdout.strip().splitlines()[-1])
    return str(answer["release"])


def _write(kind: str, archive: Archive) -> Path:
    path = BUILD_FOLDER / f"{kind}-{archive.digest}.tar.gz"
    if not path.exists():
        BUILD_FOLDER.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                archive.write(file)
        except (ValueError, OSError) as error:
            # A file of the application changed since it was read, or this disk is full.
            raise pulumi.RunError(f"the archive {path} cannot be written: {error}") from error
        part.replace(path)
    return path
