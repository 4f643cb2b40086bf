"""Whether the site speaks https, and where its certificate comes from: the keys `tls`, `certificate…` and `acme…`."""

from __future__ import annotations

import datetime
import itertools
import re
from dataclasses import dataclass
from typing import Literal

import pulumi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from render.messages import cut
from settings.values import Values, decimal, integer, one_of, refuse, require_secret

MODES = ("none", "own", "acme")
# What host/flask_certificate/requirements.txt asks for.
CERTBOT_PYTHON = (3, 10)
# No - at its beginning: certbot would take it for an option. An address has 254 characters at most (RFC 5321).
_EMAIL = re.compile(
    r"(?=.{1,254}$)[A-Za-z0-9._%+][A-Za-z0-9._%+-]{0,63}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}"
)
_DIRECTORY = re.compile(
    r"https://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:(?P<port>[0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?"
)
_MOST_PORT = 65535
# An own certificate is renewed by nobody else; a month is what authorities leave for it.
_WARNED_DAYS = 30
_PEM = "one or more certificates in PEM form"
# What OpenSSL lets nginx use (its security level 2) and browsers know; RSA's other bound is OpenSSL's own.
_RSA_BITS = range(2048, 16384 + 1)
_CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))
_KEYS = "allowed: one with RSA of 2048 bits or more, or with the curve P-256, P-384 or P-521"
# More than any authority sends: a browser reads 100 KiB at most.
_MOST_CERTIFICATES = 20
_NAMES_SHOWN = 5
# What cryptography raises for what it cannot read, each with a class of its own.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


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
    chain, key = _chain(values, "certificate"), values.lines("certificateKey")
    email = values.optional("acmeEmail") or ""
    if email and not _EMAIL.fullmatch(email):
        refuse("acmeEmail", email, "an email address such as admin@example.com")
    directory = values.text("acmeDirectory")
    address = _DIRECTORY.fullmatch(directory)
    if not address or (decimal(address["port"] or "443") or 0) not in range(1, _MOST_PORT + 1):
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
    text = values.lines(key) or ""
    if not text:
        return []
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except _UNREADABLE:
        return refuse(key, next(iter(text.strip().splitlines()), ""), _PEM)


def _pem(chain: list[x509.Certificate]) -> str:
    return "".join(entry.public_bytes(serialization.Encoding.PEM).decode() for entry in chain)


def _check(chain: list[x509.Certificate], key: str, domain: str) -> None:
    """Refuse what a browser would refuse, and what nginx would not start with."""
    try:
        _check_chain(chain, key, domain)
    except _UNREADABLE as error:
        raise pulumi.RunError(
            f"certificate cannot be read ({cut(str(error), 160)}); allowed: {_PEM}, as an authority makes them."
        ) from None


def _check_chain(chain: list[x509.Certificate], key: str, domain: str) -> None:
    own = chain[0]
    if not _covers(own, domain):
        names = _names(own)
        told = ", ".join(cut(name, 80) for name in names[:_NAMES_SHOWN]) or "no name"
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        raise pulumi.RunError(
            f"certificate is for {told}{more}; allowed: one for domain, which is {domain!r}."
        )
    if len(chain) > _MOST_CERTIFICATES:
        raise pulumi.RunError(
            f"certificate holds {len(chain)} certificates; allowed: the site's own and those above it, at most"
            f" {_MOST_CERTIFICATES}."
        )
    for certificate in chain:
        _check_strength(certificate)
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
                f"certificate: {_subject(below)} is followed by {_subject(above)},"
                " which did not sign it; allowed: the site's own, then each one that signed the one before."
            )


def _check_strength(certificate: x509.Certificate) -> None:
    """Refuse a key that nginx does not start with, or that browsers do not know; and a signature of the same kind."""
    key = certificate.public_key()
    why = ""
    if isinstance(key, rsa.RSAPublicKey):
        why = "" if key.key_size in _RSA_BITS else f"is RSA of {key.key_size} bits"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        why = "" if key.curve.name in _CURVES else f"has the curve {key.curve.name}"
    else:
        why = f"is {_kind(key)}"
    if why:
        raise pulumi.RunError(f"certificate has a key that {why} (in {_subject(certificate)}); {_KEYS}.")
    hashed = certificate.signature_hash_algorithm
    # A root's own signature is not looked at.
    if isinstance(hashed, hashes.SHA1 | hashes.MD5) and certificate.issuer != certificate.subject:
        raise pulumi.RunError(
            f"certificate is signed with {hashed.name} (in {_subject(certificate)}), which nginx does not take;"
            " allowed: a signature with SHA-256 or better."
        )


def _kind(key: object) -> str:
    return "DSA" if isinstance(key, dsa.DSAPublicKey) else type(key).__name__.removesuffix("PublicKey")


def _subject(certificate: x509.Certificate) -> str:
    return cut(certificate.subject.rfc4514_string(), 120)


def _public(key: str) -> bytes:
    try:
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
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
