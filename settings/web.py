"""What nginx serves and how: the `web` section of a stack's configuration."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from settings.values import Values, cidrs, integer, refuse

# RFC 1123 labels; at least one dot, since nothing else is reachable from the internet.
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# Directives with their sources (CSP level 3). Without the quote, backslash and dollar of nginx's own syntax, which no
# policy needs.
_POLICY = re.compile(r"[a-z][a-z-]*( [!#%&'()*+,./0-9:=?@A-Z_a-z~-]+)*")
_MOST_POLICY = 2000
# A part is the name of a folder (NAME_MAX). All of it is a word in nginx's configuration, and begins paths: both have
# 4096 bytes.
_MOST_STATIC_PART = 255
_MOST_STATIC_URL = 2000
# nginx: "connection limit must be less 65536".
_MOST_CONNECTIONS = 65535


@dataclass(frozen=True)
class WebSettings:
    """What nginx serves. The attributes are those of `HostSettings`; `domain` None: the server's address."""

    domain: str | None
    client_max_body_size: str
    static_url: str
    requests_per_second: int
    connections_per_address: int
    micro_cache_seconds: int
    trusted_proxies: tuple[str, ...]
    content_security_policy: str


def web(values: Values) -> WebSettings:
    """Read and check the section.

    Raises:
        pulumi.RunError: naming the key, its value and what is allowed.
    """
    domain = values.optional("domain")
    if domain and not _DOMAIN.fullmatch(domain):
        refuse("domain", domain, "a host name in small letters such as www.example.com (no scheme, no port)")
    size = values.text("clientMaxBodySize")
    if not re.fullmatch(r"[1-9][0-9]{0,5}[kmg]?", size):
        refuse("clientMaxBodySize", size, "a number with k, m or g, such as 16m")
    return WebSettings(
        domain=domain,
        client_max_body_size=size,
        static_url=_static_url(values),
        requests_per_second=integer(values, "requestsPerSecond", 0, 100_000),
        connections_per_address=integer(values, "connectionsPerAddress", 0, _MOST_CONNECTIONS),
        micro_cache_seconds=integer(values, "microCacheSeconds", 0, 3600),
        trusted_proxies=_trusted_proxies(values),
        content_security_policy=_policy(values),
    )


def _static_url(values: Values) -> str:
    url = values.optional("staticUrl") or ""
    # A part that begins with a dot is never published.
    fits = len(url) <= _MOST_STATIC_URL and max(map(len, url.split("/"))) <= _MOST_STATIC_PART
    if url and not (fits and re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/", url)):
        refuse(
            "staticUrl",
            url,
            f"a path that begins and ends with /, such as /static/, of at most {_MOST_STATIC_URL} characters and"
            f" {_MOST_STATIC_PART} in a part, or an empty text",
        )
    return url


def _trusted_proxies(values: Values) -> tuple[str, ...]:
    networks = cidrs(values, "trustedProxies")
    together = ipaddress.collapse_addresses(map(ipaddress.IPv4Network, networks))
    # More than half of all addresses are nobody's proxies.
    if sum(network.num_addresses for network in together) > 2**31:
        refuse(
            "trustedProxies",
            ", ".join(networks),
            "your proxies' own networks; these let every visitor make up an address",
        )
    return networks


def _policy(values: Values) -> str:
    policy = _joined(values.lines("contentSecurityPolicy") or "")
    directives = [directive.strip() for directive in policy.removesuffix(";").split(";")] if policy else []
    if len(policy) > _MOST_POLICY or not all(map(_POLICY.fullmatch, directives)):
        refuse(
            "contentSecurityPolicy",
            policy,
            "directives, one a line or with ; between them, such as default-src 'self'; img-src 'self' data:, at most"
            f" {_MOST_POLICY} characters"
            ' and none of " \\ $, or an empty text',
        )
    return policy


def _joined(policy: str) -> str:
    """A policy of several lines, as a block in YAML has them, with a directive or several in each: all on one line."""
    lines = [" ".join(line.split()).removesuffix(";").rstrip() for line in policy.splitlines()]
    return policy if len(lines) < 2 and policy == policy.strip() else "; ".join(filter(None, lines))
