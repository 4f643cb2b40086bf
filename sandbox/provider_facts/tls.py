"""A private key: what terraform-provider-tls 4.2 checks, in the words of Terraform's plugin framework.

Sources: internal/provider/resource_private_key.go; stringvalidator.OneOf of terraform-plugin-framework-validators 0.19.
The bridge adds where to look (pkg/pf/tfbridge/detect_check_failures.go) and drops what the schema does not know
(pkg/convert/object.go).
"""

from __future__ import annotations

from typing import Any

from sandbox import values
from sandbox.provider_facts.refusal import Refusal
from sandbox.provider_facts.schema import Field, Schema, terraform_name

_ALGORITHMS = ("RSA", "ECDSA", "ED25519")
_ALLOWED = {"algorithm": _ALGORITHMS, "ecdsaCurve": ("P224", "P256", "P384", "P521")}

PRIVATE_KEY = Schema(
    {
        "algorithm": Field(required=True, replaces=True),
        "ecdsaCurve": Field(replaces=True),
        "rsaBits": Field("int", replaces=True),
    },
    computed=frozenset(
        {
            "privateKeyOpenssh",
            "privateKeyPem",
            "privateKeyPemPkcs8",
            "publicKeyFingerprintMd5",
            "publicKeyFingerprintSha256",
            "publicKeyOpenssh",
            "publicKeyPem",
        }
    ),
)


def of_private_key(inputs: dict[str, Any]) -> list[Refusal]:
    """Return what is refused of a private key's inputs."""
    refusals = []
    if inputs.get("algorithm") is None:
        names = "`, `".join(_ALGORITHMS)
        refusals.append(
            Refusal(
                "",
                "Missing required property 'algorithm': Name of the algorithm to use when generating the private"
                f" key. Currently-supported values are: `{names}`. ",
            )
        )
    for name, allowed in _ALLOWED.items():
        value = values.unwrapped(inputs.get(name))
        if value is not None and not values.holds_unknown(value) and value not in allowed:
            words = " ".join(f'"{word}"' for word in allowed)
            refusals.append(
                Refusal(
                    "",
                    f"Invalid Attribute Value Match. Attribute {terraform_name(name)} value must be one of: [{words}],"
                    f' got: "{value}"',
                    examine=name,
                )
            )
    return refusals
