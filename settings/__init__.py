"""The stack's configuration as frozen, checked values, a module a section. Read once, at the start of the program.

Keys, types, defaults and meanings stand in Pulumi.yaml; these modules hold what a type cannot say. A wrong value
ends in `pulumi.RunError`, which Pulumi prints without a traceback, before anything is created.
"""

from settings.application import ApplicationSettings
from settings.firewall import FirewallSettings
from settings.naming import resource_name
from settings.network import NetworkSettings
from settings.server import ServerSettings
from settings.stack import Settings, Site, load, load_site
from settings.tls import TlsSettings
from settings.web import WebSettings

__all__ = [
    "ApplicationSettings",
    "FirewallSettings",
    "NetworkSettings",
    "ServerSettings",
    "Settings",
    "Site",
    "TlsSettings",
    "WebSettings",
    "load",
    "load_site",
    "resource_name",
]
