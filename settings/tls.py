"""Whether the site speaks https, and where its certificate comes from: the keys `tls`, `certificate…` and `acme…`."""

from __future__ import annotations

import datetime
import itertools
import re
from dataclasses import dataclass
from typing import Literal

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from settings.values import Values, integer, one_of, refuse, require_secret

MODES = ("none", "own", "acme")
# What host/flask_certificate/requirements.txt asks for.
CERTBOT_PYTHON = (3, 10)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
# An own certificate is renewed by nobody else; a month is what authorities leave for it.
_WARNED_DAYS = 30
_PEM = "one or more certificates in PEM form"


@dataclass(frozen=True)
class TlsSettings:
    """How the site gets its certificate.

    Attributes:
        mode: `own`: one that is given; `acme`: asked of a certificate authority by the server itself.
        hsts_seconds: how long browsers keep to https after a visit; 0: they are not told to.
        certificate: PEM chain, the site's own first; empty with `acme`.
        certificate_key: its private key in PEM form, secret; None with `acme`.
        acme_email: the account's address at the authority; empty with `own`.
        acme_directory: URL of the authority's directory.
        acme_ca: PEM of the authority that signed the directory's own certificate; empty: those that the server trusts.
    """

    mode: Literal["own", "acme"]
    hsts_seconds: int
    certificate: str
    certificate_key: pulumi.Output[str] | None
    acme_email: str
    acme_directory: str
    acme_ca: str


def tls(values: Values, domain: str | None) -> TlsSettings | None:
    """Read and check the keys; None is a site on http.

    Raises:
        pulumi.RunError: naming the key, its value and what is allowed.
    """
    mode = one_of(values, "tls", MODES)
    hsts_seconds = integer(values, "hstsSeconds", 0, 315_360_000)
    chain, key = _chain(values, "certificate"), values.optional("certificateKey")
    email = values.optional("acmeEmail") or ""
    if email and not _EMAIL.fullmatch(email):
        refuse("acmeEmail", email, "an email address such as admin@example.com")
    directory = values.text("acmeDirectory")
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", directory):
        refuse("acmeDirectory", directory, "the https address of an ACME directory")
    ca = _pem(_chain(values, "acmeCa"))
    if mode == "none":
        return None
    if domain is None:
        refuse("tls", mode, "none while domain is not set: a certificate is for a name")
    if mode == "acme":
        if not email:
            refuse("tls", mode, "acme with acmeEmail, which the certificate authority asks for")
        return TlsSettings("acme", hsts_seconds, "", None, email, directory, ca)
    if not chain or not key:
        refuse("tls", mode, "own with both certificate and certificateKey")
    require_secret("certificateKey")
    _check(chain, key, domain)
    secret = pulumi.Output.secret(key.strip() + "\n")
    return TlsSettings("own", hsts_seconds, _pem(chain), secret, "", directory, "")


def _chain(values: Values, key: str) -> list[x509.Certificate]:
    text = values.optional(key) or ""
    if not text:
        return []
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        first = text.strip().splitlines()[0] if text.strip() else text
        return refuse(key, first[:80], _PEM)


def _pem(chain: list[x509.Certificate]) -> str:
    return "".join(entry.public_bytes(serialization.Encoding.PEM).decode() for entry in chain)


def _check(chain: list[x509.Certificate], key: str, domain: str) -> None:
    """Refuse what a browser would refuse, and what nginx would not start with."""
    own = chain[0]
    if not _covers(own, domain):
        names = ", ".join(_names(own)) or "no name"
        raise pulumi.RunError(f"certificate is for {names}; allowed: one for domain, which is {domain!r}.")
    now = datetime.datetime.now(datetime.UTC)
    if now > own.not_valid_after_utc:
        end = f"{own.not_valid_after_utc:%Y-%m-%d}"
        raise pulumi.RunError(f"certificate expired on {end}; set a new one, and its certificateKey.")
    if now < own.not_valid_before_utc:
        start = f"{own.not_valid_before_utc:%Y-%m-%d %H:%M}"
        raise pulumi.RunError(f"certificate is valid from {start} UTC only; allowed: one that is valid now.")
    if _public(key) != own.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ):
        raise pulumi.RunError(
            "certificateKey is not the private key of the first certificate in certificate."
        )
    left = (own.not_valid_after_utc - now).days
    if left < _WARNED_DAYS:
        end = f"{own.not_valid_after_utc:%Y-%m-%d}"
        pulumi.log.warn(f"certificate ends on {end}, in {left} days: set a new one, and its certificateKey.")
    for below, above in itertools.pairwise(chain):
        if below.issuer != above.subject:
            raise pulumi.RunError(
                f"certificate: {below.subject.rfc4514_string()} is followed by {above.subject.rfc4514_string()},"
                " which did not sign it; allowed: the site's own, then each one that signed the one before."
            )


def _public(key: str) -> bytes:
    try:
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        # The value is a secret: not a letter of it goes into the message.
        raise pulumi.RunError(
            "certificateKey: [secret] is not a private key in PEM form without a passphrase."
        ) from None
    return loaded.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []  # browsers do not read the common name
    return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]


def _covers(certificate: x509.Certificate, domain: str) -> bool:
    # A star stands for one label.
    _, _, parent = domain.partition(".")
    return any(name in (domain, f"*.{parent}") for name in _names(certificate))
