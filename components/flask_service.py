"""A Flask application on a server: its configuration laid down, its release started behind nginx."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import pulumi
from pulumi_command import remote

from components.server import Server
from health import HealthCheck, smoke
from render.host_files import HostSettings
from render.release import Archive, Release, host_archive

# Archives are written here on their way to the server, named by their content. FileAsset wants a path.
BUILD_FOLDER = Path(".build")
INCOMING = "/var/lib/flask/incoming"
HOST_BUNDLES = "/var/lib/flask/host"
PYTHON = "/opt/flask/python/bin/python3"
# The gate on the server was patient already.
SMOKE_SECONDS = 10.0


class FlaskServiceArgs(TypedDict):
    """Arguments of FlaskService."""

    server: Server
    """Where it runs."""
    host: Callable[[str], HostSettings]
    """The host's settings, given the server's address."""
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


class FlaskService(pulumi.ComponentResource):
    """A served application: `url` answers when this is done, with the release named by `release_id`."""

    url: pulumi.Output[str]
    release_id: pulumi.Output[str]

    def __init__(self, name: str, args: FlaskServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flaskapp:index:FlaskService", name, {}, opts)
        self._server = args["server"]
        configured = self._configure(name, args["host"])
        released = self._release(name, args, configured)
        self.url = pulumi.Output.all(self._server.address, released.id).apply(
            lambda known: _looked_at(known[0], args["domain"] or known[0], args["health"])
        )
        # A secret on stdin makes the whole command's output secret; the id of a release is none.
        self.release_id = pulumi.Output.unsecret(released.stdout).apply(_released_id)
        self.register_outputs({"url": self.url, "release": self.release_id})

    def _configure(self, name: str, host: Callable[[str], HostSettings]) -> remote.Command:
        bundle = self._server.address.apply(lambda address: host_archive(host(address)))
        digest = bundle.apply(lambda archive: archive.digest)
        copy = self._copy(f"{name}-host-files", "host", bundle, self._server.ready)
        return self._command(
            f"{name}-configure",
            digest.apply(_configure_script),
            [digest],
            depends_on=copy,
        )

    def _release(self, name: str, args: FlaskServiceArgs, configured: remote.Command) -> remote.Command:
        release = args["release"]
        copy = self._copy(
            f"{name}-application", "release", pulumi.Output.from_input(release.archive), self._server.ready
        )
        archive = f"{INCOMING}/release-{release.archive.digest}.tar.gz"
        return self._command(
            f"{name}-release",
            f"/opt/flask/bin/flask-release release {archive}",
            [release.archive.digest, args["rollbacks"]],
            stdin=pulumi.Output.secret(args["environment"]).apply(
                lambda environment: json.dumps({"env": environment}, sort_keys=True)
            ),
            depends_on=[copy, configured],
        )

    def _copy(
        self, name: str, kind: str, archive: pulumi.Output[Archive], ready: remote.Command
    ) -> remote.CopyToRemote:
        return remote.CopyToRemote(
            name,
            connection=self._server.connection,
            source=archive.apply(lambda made: pulumi.FileAsset(str(_write(kind, made)))),
            remote_path=archive.apply(lambda made: f"{INCOMING}/{kind}-{made.digest}.tar.gz"),
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
            ),
        )


def _configure_script(digest: str) -> str:
    folder = f"{HOST_BUNDLES}/{digest}"
    return "\n".join(
        (
            "set -eu",
            f"rm -rf {folder} && mkdir -p {folder}",
            f"tar -xzf {INCOMING}/host-{digest}.tar.gz -C {folder}",
            f"exec {PYTHON} {folder}/opt/flask/lib/flask_release configure {folder}",
        )
    )


def _looked_at(address: str, host: str, check: HealthCheck) -> str:
    """Return the site's URL; a site that is not healthy as seen from here is a warning.

    Not an error: `webCidrs` may let a CDN in and nobody else.
    """
    if not pulumi.runtime.is_dry_run():
        problem = smoke(address, host, replace(check, settle=0, timeout=min(check.timeout, SMOKE_SECONDS)))
        if problem:
            pulumi.log.warn(f"The release serves, but seen from here the site does not: {problem}")
    return f"http://{host}"


def _released_id(stdout: str) -> str:
    answer = json.loads(stdout.strip().splitlines()[-1])
    return str(answer["release"])


def _write(kind: str, archive: Archive) -> Path:
    path = BUILD_FOLDER / f"{kind}-{archive.digest}.tar.gz"
    if not path.exists():
        BUILD_FOLDER.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(archive.content)
        part.replace(path)
    return path
