"""Made-up configurations: every key of Pulumi.yaml with values that could be meant, and with ones that nobody means.

A new key comes in by itself, by its type and default; one with a grammar of its own gets a line in MEANT.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from settings.values import Values
from tests.unit.certificates import certificate
from tests.unit.properties.profile import mostly
from tests.unit.recorder import ed25519

DEFAULTS: Mapping[str, Any] = Values.read().defaults
DOMAIN = "www.example.com"
_KEY, _OTHER_KEY = ed25519(), ed25519()
_CERTIFICATE, _OTHER_CERTIFICATE = certificate(DOMAIN), certificate("other.example")

_BOUNDS = [0, 1, 2, 5, 10, 20, 50, 64, 65, 100, 255, 599, 900, 1024, 2048, 3600, 60000, 65535, 65536, 100_000]
_NUMBERS: st.SearchStrategy[str] = mostly(
    st.one_of(st.sampled_from(_BOUNDS), st.integers(0, 200)),
    st.one_of(st.sampled_from([-1, 2**31, 2**63, 10**30]), st.integers(-(10**12), 10**12)),
    once_in=6,
).map(str)
_ANY_TEXT = st.text(st.characters(), max_size=60)
_HOSTILE = st.one_of(
    _ANY_TEXT,
    st.sampled_from(
        ["", " ", "\n", "\0", "-x", "--help", "../..", "/", "~", "²", "\u0661", "${x}", "$(id)", "@(x)", "%(x)",
         "{{ 1 }}",
         "'", '"', "\\", ";", "}", "# x", "null", "true", "[]", "{}", "[" * 2000, "\u2028", "\u202e", "\ud800", "é",
         "x" * 5000]
    ),
)  # fmt: skip
_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", fullmatch=True)
_PART = st.from_regex(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,260}", fullmatch=True)
_WORD = st.from_regex(r"[A-Za-z0-9._~!&'()*+,/:=?@-]{1,40}", fullmatch=True)
_NETWORK = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: ".".join(str(pair[0] >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{pair[1]}"
)
_ALIGNED = st.tuples(st.integers(0, 255), st.integers(0, 255)).map(lambda pair: f"{pair[0]}.{pair[1]}.0.0/16")
_DOMAIN = st.lists(_LABEL, min_size=1, max_size=6).map(lambda labels: ".".join([*labels, "com"]))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY_TEXT, inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
_VARIABLES = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    st.one_of(
        _ANY_TEXT, st.integers(), st.sampled_from([1000, 131_000, 131_072, 400_000]).map(lambda size: "x" * size)
    ),
    max_size=4,
).map(json.dumps)  # fmt: skip
MEANT: dict[str, st.SearchStrategy[str]] = {
    "target": st.sampled_from(["alicloud", "sandbox"]),
    "vpcCidr": st.tuples(_NETWORK, st.integers(8, 28)).map(lambda pair: f"10.0.0.0/{pair[1]}"),
    "zone": st.from_regex(r"cn-[a-z]{2,8}-[a-z]", fullmatch=True),
    "vswitchId": st.from_regex(r"vsw-[a-z0-9]{1,12}", fullmatch=True),
    "os": st.sampled_from(["centos7", "debian12"]),
    "imageId": st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True),
    "instanceType": st.from_regex(r"ecs\.[a-z0-9-]{1,8}\.[a-z0-9]{1,8}", fullmatch=True),
    "publicKey": st.sampled_from([_KEY[1], _OTHER_KEY[1]]).flatmap(
        lambda key: _ANY_TEXT.map(lambda comment: f"{key} {comment}")
    ),
    "privateKey": st.sampled_from([_KEY[0], _OTHER_KEY[0]]),
    "python": st.sampled_from(["system", "standalone"]),
    "pythonMirror": st.lists(_WORD, max_size=20).map(lambda words: "https://mirror.example.com/" + "/".join(words)),
    "appPath": st.sampled_from(["app", "./app", "app/../app", "link"]),
    "pythonPath": st.sampled_from([".", "", "./", "x/..", "src"]),
    "module": st.sampled_from(["app", "app", "other", "src.app"]),
    "callable": st.sampled_from(["app", "app()", "Flask", "other"]),
    "load": st.sampled_from(["cpu", "io", "mixed"]),
    "socket": st.tuples(st.integers(0, 255), _NUMBERS).map(lambda pair: f"127.0.0.{pair[0]}:{pair[1]}"),
    "healthPath": st.lists(_PART | _WORD, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    "healthBody": st.text(max_size=220),
    "domain": _DOMAIN,
    "clientMaxBodySize": st.tuples(st.integers(0, 10**6), st.sampled_from(["", "k", "m", "g"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
    "staticUrl": st.lists(_PART, max_size=10).map(lambda parts: "/" + "/".join(parts) + "/"),
    "contentSecurityPolicy": st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z-]{0,12}", fullmatch=True), st.lists(_WORD, max_size=5)).map(
            lambda pair: " ".join((pair[0], *pair[1]))
        ),
        max_size=8,
    ).flatmap(lambda lines: st.sampled_from(["; ", ";", "\n", ";\n", "\n\n"]).map(lambda between: between.join(lines))),
    "tls": st.sampled_from(["none", "own", "acme"]),
    "certificate": st.sampled_from([_CERTIFICATE.pem, _OTHER_CERTIFICATE.pem, _CERTIFICATE.pem * 2]),
    "certificateKey": st.sampled_from([_CERTIFICATE.key, _OTHER_CERTIFICATE.key]),
    "acmeEmail": st.tuples(_WORD, _DOMAIN).map("@".join),
    "acmeDirectory": st.tuples(_DOMAIN, st.integers(0, 70000)).map(lambda pair: f"https://{pair[0]}:{pair[1]}/x"),
    "acmeCa": st.just(_CERTIFICATE.pem),
}  # fmt: skip
BY_TYPE: dict[type, st.SearchStrategy[str]] = {
    int: _NUMBERS,
    str: _HOSTILE,
    list: st.lists(_NETWORK | _ALIGNED, max_size=5).map(json.dumps) | _JSON,
    dict: _VARIABLES | _JSON,
}
# These reach nginx, uWSGI or systemd: tried three times as often as the others.
_RENDERED = (
    "domain", "clientMaxBodySize", "staticUrl", "contentSecurityPolicy", "requestsPerSecond", "connectionsPerAddress",
    "microCacheSeconds", "trustedProxies", "hstsSeconds", "requestTimeout", "socket", "processes", "threads",
    "healthPath",
)  # fmt: skip
_KEYS = sorted([*DEFAULTS, *_RENDERED, *_RENDERED])
# What a configuration begins with, so that more than single keys are tried.
_KINDS: list[dict[str, str]] = [
    {},
    {"os": "debian12"},
    {"domain": DOMAIN, "os": "debian12"},
    {"domain": DOMAIN, "tls": "acme", "acmeEmail": "a@example.com"},
    {"domain": DOMAIN, "tls": "own", "certificate": _CERTIFICATE.pem, "certificateKey": _CERTIFICATE.key},
]  # fmt: skip


@st.composite
def _spoilt(draw: st.DrawFn, meant: st.SearchStrategy[str]) -> str:
    """A value that could be meant, with something in it that nobody means."""
    value = draw(meant)
    at = draw(st.integers(0, len(value)))
    return value[:at] + draw(_HOSTILE) + value[at:]


def _value(key: str) -> st.SearchStrategy[str]:
    default = DEFAULTS[key]
    kept = default if isinstance(default, str) else json.dumps(default)
    meant = MEANT.get(key, BY_TYPE[type(default)])
    return mostly(st.one_of(meant, st.just(kept)), st.one_of(_spoilt(meant), _HOSTILE), once_in=8)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, str]:
    """Keys and values as the engine hands them over."""
    config = dict(draw(st.sampled_from(_KINDS)))
    for key in draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=4, unique=True)):
        config[key] = draw(_value(key))
    return config
