"""What the cloud is asked before the first resource is made: what is not there costs nothing then."""

from __future__ import annotations

import pulumi
import pulumi_alicloud as alicloud
from pulumi_alicloud import ecs

from components.asking import looked_up
from settings import NetworkSettings, ServerSettings


def image_for(settings: ServerSettings, name: str) -> str:
    """Return the id of the image of the server `name`.

    Of a system that the region no longer offers, a server that runs keeps its own.

    Raises:
        pulumi.RunError: there is no such image.
    """
    if settings.image_id:
        found = looked_up(ecs.get_images, image_id=settings.image_id, name_regex=".").images
    else:
        found = looked_up(
            ecs.get_images, owners="system", name_regex=settings.profile.image_name_regex, most_recent=True
        ).images
    if found:
        return settings.image_id or str(found[0].id)
    running = looked_up(ecs.get_instances, name_regex=f"^{name}$").instances
    if running:
        return settings.image_id or str(running[0].image_id)
    if settings.image_id:
        raise pulumi.RunError(
            f"imageId is {settings.image_id!r}, which this region and account do not have; leave it unset for the"
            f" newest public image of {settings.profile.name}."
        )
    raise pulumi.RunError(
        f"os is {settings.profile.name!r}, and this region has no public image for it"
        f" ({settings.profile.image_name_regex}); set imageId to an image of yours, or choose another os."
    )


def zone_for(settings: NetworkSettings, instance_type: str) -> str | None:
    """Return the zone of the vswitch that is to be made: the one that is set, or one that sells the instance type.

    None where a vswitch is given.

    Raises:
        pulumi.RunError: no zone sells it.
    """
    if settings.vswitch_id or settings.zone:
        return settings.zone
    zones = looked_up(
        alicloud.get_zones, available_instance_type=instance_type, available_resource_creation="VSwitch"
    ).zones
    if not zones:
        raise pulumi.RunError(
            f"instanceType is {instance_type!r}, which no zone of this region sells; choose another one."
        )
    return str(zones[0].id)
