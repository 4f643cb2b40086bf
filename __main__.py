"""The program: settings → components → exports."""

import pulumi

import settings
from components.firewall import Firewall
from components.flask_service import FlaskService, FlaskServiceArgs
from components.lookups import image_for, zone_for
from components.network import Network
from components.rollbacks import rollbacks
from components.server import Server, ServerArgs

config = settings.load()
name = settings.resource_name(pulumi.get_project(), pulumi.get_stack())
# Before the first resource: what cannot be, costs nothing then.
release = config.release()
image_id = image_for(config.server, name)
zone = zone_for(config.network, config.server.instance_type)

network = Network(name, {"settings": config.network, "zone": zone})
firewall = Firewall(name, {"settings": config.firewall, "vpc_id": network.vpc_id})
server_args: ServerArgs = {
    "settings": config.server,
    "image_id": image_id,
    "vswitch_id": network.vswitch_id,
    "security_group_id": firewall.security_group_id,
    "reachable_after": firewall.rules,
}
server = Server(name, server_args)
service_args: FlaskServiceArgs = {
    "server": server,
    "host": config.host(),
    "release": release,
    "environment": config.application.environment,
    "rollbacks": rollbacks(server),
    "domain": config.web.domain,
    "health": config.application.health,
    "tls": config.tls,
}
service = FlaskService(name, service_args)

pulumi.export("url", service.url)
pulumi.export("address", server.address)
pulumi.export("release", service.release_id)
pulumi.export("hostKey", server.host_key)
