"""One ECS instance that cloud-init prepares, and the way to reach it by SSH."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_tls as tls
from pulumi_alicloud import ecs
from pulumi_command import remote

from components.lookups import looked_up
from render.cloud_init import readiness_script, user_data
from render.profiles import OsProfile
from settings import ServerSettings

# A first boot takes one to four minutes on ECS; the script gives up by itself before this.
READY_TIMEOUT = "25m"
ADMIN_USER = "root"


class ServerArgs(TypedDict):
    """Arguments of Server."""

    settings: ServerSettings
    """System, size and keys."""
    vswitch_id: pulumi.Input[str]
    """Where the instance stands."""
    security_group_id: pulumi.Input[str]
    """What guards it."""
    reachable_after: Sequence[pulumi.Resource]
    """Resources without which SSH cannot get through: the firewall's rules."""


class Server(pulumi.ComponentResource):
    """A prepared server. What needs it to be ready depends on `ready`."""

    address: pulumi.Output[str]
    connection: remote.ConnectionArgs
    instance: ecs.Instance
    ready: remote.Command
    host_key: pulumi.Output[str]
    admin_key: pulumi.Output[str] | None

    def __init__(self, name: str, args: ServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flaskapp:index:Server", name, {}, opts)
        host_key = tls.PrivateKey(
            f"{name}-host-key", algorithm="ED25519", opts=pulumi.ResourceOptions(parent=self)
        )
        self.host_key = host_key.public_key_openssh.apply(str.strip)
        public_key = self._admin_keys(name, args["settings"])
        self.instance = self._instance(name, args, host_key, self._key_pair(name, public_key))
        self.address = self.instance.public_ip
        self.connection = self._connection()
        self.ready = self._readiness(name, args["reachable_after"])
        self.register_outputs({"address": self.address, "hostKey": self.host_key})

    def _admin_keys(self, name: str, settings: ServerSettings) -> pulumi.Input[str]:
        if settings.public_key:
            self.admin_key = settings.private_key  # None: the running ssh-agent has it
            return settings.public_key
        made = tls.PrivateKey(
            f"{name}-admin-key", algorithm="ED25519", opts=pulumi.ResourceOptions(parent=self)
        )
        self.admin_key = made.private_key_openssh
        return made.public_key_openssh.apply(str.strip)

    def _key_pair(self, name: str, public_key: pulumi.Input[str]) -> ecs.EcsKeyPair:
        # The provider takes a changed public key and does nothing, so a change replaces the pair. Its name says
        # which key it holds: the new pair can be made, and given to the instance, while the old one is still in use
        # (one that is attached cannot be deleted).
        return ecs.EcsKeyPair(
            f"{name}-key-pair",
            key_pair_name=pulumi.Output.from_input(public_key).apply(lambda key: f"{name}-{_digest(key)}"),
            public_key=public_key,
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["publicKey"]),
        )

    def _instance(
        self, name: str, args: ServerArgs, host_key: tls.PrivateKey, key_pair: ecs.EcsKeyPair
    ) -> ecs.Instance:
        settings, profile = args["settings"], args["settings"].profile
        return ecs.Instance(
            # Another system is another server: the new one is made before the old one goes, and a looked-up image
            # (kept by ignore_changes below) never meets the user data of the other system.
            f"{name}-{profile.name}",
            instance_name=name,
            image_id=settings.image_id or self._newest_image(profile),
            instance_type=settings.instance_type,
            security_groups=[args["security_group_id"]],
            vswitch_id=args["vswitch_id"],
            internet_charge_type="PayByTraffic",
            internet_max_bandwidth_out=settings.bandwidth_mbps,
            instance_charge_type="PostPaid",
            system_disk_category="cloud_essd",
            system_disk_size=settings.system_disk_size,
            key_name=key_pair.key_pair_name,
            status="Running",  # one that was stopped is started by the next `up` that looks (--refresh)
            user_data=pulumi.Output.secret(_user_data(settings, host_key)),
            opts=pulumi.ResourceOptions(
                parent=self,
                # cloud-init runs user data at the first boot only: a changed one is another server. The provider
                # would change the others in place: an image wipes the disk under an id that says nothing changed,
                # and a vswitch of another zone or VPC is refused.
                replace_on_changes=["userData", "imageId", "vswitchId"],
                # "newest" moves, and another image would wipe the system disk of a running server.
                ignore_changes=None if settings.image_id else ["imageId"],
            ),
        )

    def _newest_image(self, profile: OsProfile) -> str:
        images = looked_up(
            ecs.get_images,
            owners="system",
            name_regex=profile.image_name_regex,
            most_recent=True,
            opts=pulumi.InvokeOptions(parent=self),
        ).images
        if not images:
            raise pulumi.RunError(
                f"os is {profile.name!r}, and this region has no public image for it"
                f" ({profile.image_name_regex}); set imageId to an image of yours, or choose another os."
            )
        return images[0].id

    def _connection(self, *, patient: bool = False) -> remote.ConnectionArgs:
        return remote.ConnectionArgs(
            host=self.address,
            user=ADMIN_USER,
            private_key=self.admin_key,
            host_key=self.host_key,
            # The readiness command alone waits for SSH to answer (-1: without limit, under its own timeout).
            dial_error_limit=-1 if patient else None,
        )

    def _readiness(self, name: str, reachable_after: Sequence[pulumi.Resource]) -> remote.Command:
        return remote.Command(
            f"{name}-ready",
            connection=self._connection(patient=True),
            # The provider repeats a command that failed whole: the script goes another way.
            create="sh -s wait-until-ready",
            stdin=readiness_script(),
            triggers=[self.instance.id],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(reachable_after),
                deleted_with=self.instance,
                custom_timeouts=pulumi.CustomTimeouts(create=READY_TIMEOUT, update=READY_TIMEOUT),
            ),
        )


def _user_data(settings: ServerSettings, host_key: tls.PrivateKey) -> pulumi.Input[str]:
    return pulumi.Output.all(private=host_key.private_key_openssh, public=host_key.public_key_openssh).apply(
        lambda keys: _base64(
            user_data(
                settings.profile,
                host_key_private=keys["private"],
                host_key_public=keys["public"].strip(),
                python=settings.python,
                python_mirror=settings.python_mirror,
            )
        )
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _base64(text: str) -> str:
    # Encoded here, since the provider passes on as it is what happens to be valid base64.
    return base64.b64encode(text.encode()).decode()
