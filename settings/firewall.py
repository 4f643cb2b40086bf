"""Who may reach the server."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from settings.values import Values, cidrs, refuse


@dataclass(frozen=True)
class FirewallSettings:
    """Who may reach the server: CIDR blocks as `a.b.c.d/n`."""

    admin_cidrs: tuple[str, ...]
    web_cidrs: tuple[str, ...]


def firewall(values: Values) -> FirewallSettings:
    """Read the firewall section."""
    admin, web = cidrs(values, "adminCidrs"), cidrs(values, "webCidrs")
    if not admin:
        raise pulumi.RunError(
            "adminCidrs is empty: nobody could reach the server's SSH port, this program included. Set it to"
            ' your own public address: pulumi config set --path "adminCidrs[0]" 203.0.113.7/32'
        )
    if not web:
        refuse("webCidrs", [], 'at least one network; ["0.0.0.0/0"] lets everyone in')
    return FirewallSettings(admin, web)
