"""What nginx, uWSGI, systemd, sshd and the kernel would not take is refused beforehand, in one short sentence."""

from __future__ import annotations

import base64
import datetime
import itertools
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from settings.values import Values
from tests.unit.certificates import certificate
from tests.unit.loading import load, make_project, refusal
from tests.unit.recorder import ed25519 as key_pair

NAME = "www.example.com"
LONGEST_MESSAGE = 1000
# Keys whose text has lines.
LINES = ("publicKey", "privateKey", "certificate", "certificateKey", "acmeCa", "contentSecurityPolicy")
TEXTS = [
    key for key, default in Values.read().defaults.items() if isinstance(default, str) and key not in LINES
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


# Control characters, and long values


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\x85", "\u2028", "\u202e", "\ud800"])
def test_a_text_is_one_line_without_control_characters(project: Path, key: str, character: str) -> None:
    message = refusal(project, {key: f"a{character}b"})
    assert message.startswith(f"{key} is {f'a{character}b'!r}; allowed: text on one line")
    assert f"U+{ord(character):04X}" in message
    assert message.isprintable()


@pytest.mark.parametrize("key", LINES)
@pytest.mark.parametrize("character", ["\0", "\x1b", "\x85", "\u2028", "\u202e", "\ud800"])
def test_a_text_of_several_lines_has_no_other_control_characters(
    project: Path, key: str, character: str
) -> None:
    message = refusal(project, {key: f"a{character}b"}, [key])
    assert message.startswith(f"{key} is '[secret]'; allowed: ")
    assert message.isprintable()


# certificateKey is looked into with `tls: own` alone.
@pytest.mark.parametrize("key", sorted(Values.read().defaults.keys() - {"certificateKey"}))
@pytest.mark.parametrize(
    "value", ["x" * 5000, "\u4e2d" * 5000, '["' + "x" * 5000 + '"]', "[" * 5000], ids=itertools.count()
)
def test_a_message_does_not_repeat_a_long_value(project: Path, key: str, value: str) -> None:
    message = refusal(project, {key: value})
    assert key in message
    assert len(message) <= LONGEST_MESSAGE
    assert message.isprintable()


@pytest.mark.parametrize("key", ["env", "adminCidrs", "webCidrs", "trustedProxies"])
def test_deep_nesting_is_a_wrong_value(project: Path, key: str) -> None:
    assert refusal(project, {key: "[" * 100_000}).startswith(f"{key} is ")
    assert refusal(project, {key: "[" * 900 + "]" * 900}).startswith(f"{key} is ")


def test_keys_that_do_not_exist_are_cut_too(project: Path) -> None:
    message = refusal(project, {f"{'x' * 300}{number}\n": "1" for number in range(50)})
    assert message.startswith("unknown configuration key ")
    assert len(message) <= LONGEST_MESSAGE + 200
    assert message.isprintable()


def test_variables_are_never_shown_whatever_is_wrong(project: Path) -> None:
    for value in (
        "s3cr3t",
        '["s3cr3t"]',
        '{"A": "s3cr3t\\u0000"}',
        '{"A": "s3cr3t\\ud800"}',
        '{"A": ["s3cr3t"]}',
    ):
        assert "s3cr3t" not in refusal(project, {"env": value})
    for key in ("privateKey", "certificateKey"):
        config = {key: "s3cr3t\0", "publicKey": key_pair()[1]}
        assert "s3cr3t" not in refusal(project, config)


# contentSecurityPolicy


@pytest.mark.parametrize(
    "text",
    [
        "default-src 'self'\nimg-src 'self' data:\n",
        "default-src 'self';\n  img-src   'self'\tdata:;\n\n",
        "default-src 'self'; img-src 'self' data:\n",
        "\r\ndefault-src 'self'\r\nimg-src 'self' data:",
    ],
)
def test_a_policy_of_several_lines_is_joined(project: Path, text: str) -> None:
    policy = load(project, {"contentSecurityPolicy": text}).web.content_security_policy
    assert policy == "default-src 'self'; img-src 'self' data:"


@pytest.mark.parametrize("text", ["script-src 'self'\n  https://cdn.example.com", "img-src *\n\x0bx"])
def test_a_policy_whose_lines_are_no_directives_is_refused(project: Path, text: str) -> None:
    assert refusal(project, {"contentSecurityPolicy": text}).startswith("contentSecurityPolicy is ")


# Bounds


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("connectionsPerAddress", "65536", "a whole number from 0 to 65535"),
        ("socket", "127.0.0.1:²", "unix, or a loopback address and port"),
        ("socket", "127.0.0.1:\uff18\uff10\uff18\uff10", "unix, or a loopback address and port"),
        ("socket", "127.0.0.1:1_0000", "unix, or a loopback address and port"),
        ("socket", "127.0.0.1:" + "9" * 500, "unix, or a loopback address and port"),
        ("socket", "127.255.255.255:8080", "unix, or a loopback address and port"),
        ("systemDiskSize", "\uff14\uff10", "a whole number from 20 to 2048"),
        ("staticUrl", "/" + "a" * 256 + "/", "a path"),
        ("staticUrl", "/" + "a/" * 1500, "a path"),
        ("healthPath", "/%", "a path"),
        ("healthPath", "/%zz", "a path"),
        ("healthPath", "/%00", "a path"),
        ("healthPath", "/.env", "hidden"),
        ("healthPath", "/a/.git/b", "hidden"),
        ("healthPath", "/%2eenv", "hidden"),
        ("healthPath", "/..", "hidden"),
        ("healthPath", "/.well-known/acme-challenge/x", "hidden"),
        ("healthPath", "/" + "a" * 5000, "text on one line"),
        ("healthPath", "/" + "a" * 2500, "a path"),
        ("healthStatus", "100", "a whole number from 200 to 599"),
        ("domain", ".".join(["a" * 64, "example.com"]), "a host name"),
        ("domain", ".".join(["a" * 60] * 4) + ".example.com", "a host name"),
        ("acmeEmail", "-x@example.com", "an email address"),
        ("acmeEmail", "a@" + "b." * 300 + "com", "an email address"),
        ("acmeDirectory", "https://ca.example:70000/x", "the https address of an ACME directory"),
        ("acmeDirectory", "https://-/x", "the https address of an ACME directory"),
        ("pythonMirror", "https://mirror.example.com/" + "a" * 1000, "an http or https address"),
        ("pythonMirror", "https://[1-9]{a,b}", "an http or https address"),
        ("imageId", "-m", "the id of an ECS image"),
        ("imageId", "m" * 256, "the id of an ECS image"),
        ("module", ".".join(["a" * 250] * 20), "text on one line"),
        ("module", "a" * 300, "a module in"),
    ],
)  # fmt: skip
def test_what_a_program_of_the_server_would_not_take(
    project: Path, key: str, value: str, allowed: str
) -> None:
    message = refusal(project, {key: value})
    assert message.startswith(f"{key} is ")
    assert allowed in message
    assert len(message) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connectionsPerAddress", "65535"),
        ("requestsPerSecond", "100000"),
        ("clientMaxBodySize", "999999g"),
        ("domain", ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "com"])),
        ("healthPath", "/a%20b?c=%2e/.x"),
        ("healthPath", "/.well-known/health"),
        ("staticUrl", "/" + "a" * 255 + "/"),
        ("socket", "127.0.0.2:1024"),
    ],
)
def test_what_they_take_is_accepted(project: Path, key: str, value: str) -> None:
    load(project, {key: value})


def test_a_port_is_written_as_a_number(project: Path) -> None:
    assert load(project, {"socket": "127.0.0.1:08080"}).application.socket == "127.0.0.1:8080"


def test_an_answer_without_a_body_holds_no_text(project: Path) -> None:
    assert refusal(project, {"healthStatus": "204", "healthBody": "fine"}).startswith("healthBody is 'fine'")


# Variables


def test_a_variable_is_no_longer_than_the_kernel_takes(project: Path) -> None:
    longest = 128 * 1024 - len("A=") - 1
    load(project, {"env": json.dumps({"A": "x" * longest})})
    message = refusal(project, {"env": json.dumps({"A": "x" * (longest + 1)})})
    assert message.startswith("env.A is 131070 bytes long; allowed: ")
    assert "env.A" in refusal(project, {"env": json.dumps({"A": "é" * 70_000})})


def test_all_variables_together_fit_a_program(project: Path) -> None:
    many = {f"A{number}": "x" * 100_000 for number in range(11)}
    message = refusal(project, {"env": json.dumps(many)})
    assert message.startswith("env and secrets are ")
    load(project, {"env": json.dumps({f"A{number}": "x" * 100_000 for number in range(10)})})


def test_the_name_of_a_variable_is_cut_and_escaped(project: Path) -> None:
    message = refusal(project, {"env": json.dumps({"\x1b" + "A" * 5000: "x"})})
    assert message.isprintable()
    assert len(message) < 300


# Networks


@pytest.mark.parametrize(
    "networks",
    [
        ["0.0.0.0/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"],
        ["0.0.0.0/1", "128.0.0.0/2"],
    ],
)
def test_proxies_are_not_everybody(project: Path, networks: list[str]) -> None:
    message = refusal(project, {"trustedProxies": json.dumps(networks)})
    assert message.startswith("trustedProxies is ")
    assert "your proxies' own networks" in message


# Keys of operators


def ssh_key(type_: str, *parts: bytes) -> str:
    content = b"".join(struct.pack(">I", len(part)) + part for part in (type_.encode(), *parts))
    return f"{type_} {base64.b64encode(content).decode()}"


def openssh(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return text.decode()


ED25519 = openssh(ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "key",
    [
        "ssh-unknown AAAA",
        ssh_key("ssh-foo", b"x" * 32),
        ssh_key("ssh-dss", b"x" * 32),
        ssh_key("ssh-ed25519-cert-v01@openssh.com", b"x" * 32),
        ssh_key("ssh-rsa", b"\3", b"\1" + b"\0" * 63 + b"\1"),
        ssh_key("ssh-rsa", b"\1\0\1", b"\1" + b"\0" * 4000 + b"\1"),
        "ssh-ed25519 " + "!" * 68,
        "ssh-ed25519",
        f"command=\"x\" {ED25519}",
        f"{ED25519}\n{ED25519}",
        f"{ED25519} comment\nsecond line",
        f"{ED25519}\r{ED25519}",
        f"{ED25519} {'x' * 8200}",
        f"{ED25519[:40]};{ED25519[40:]}",
        f"{ED25519[:40]}-{ED25519[41:]}",
        f"{ED25519}=",
        f"{ED25519[:-4]}",
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_public_keys_that_sshd_would_skip(project: Path, key: str) -> None:
    message = refusal(project, {"publicKey": key})
    assert message.startswith("publicKey is ")
    assert "one line of an OpenSSH public key" in message
    assert len(message) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    "key",
    [
        ED25519,
        openssh(rsa.generate_private_key(65537, 2048)),
        openssh(ec.generate_private_key(ec.SECP256R1())),
        openssh(ec.generate_private_key(ec.SECP521R1())),
        f"  {ED25519} a comment of Jürgen's\n",
    ],
    ids=itertools.count(),
)
def test_public_keys_that_sshd_takes(project: Path, key: str) -> None:
    assert load(project, {"publicKey": key}).server.public_key == key.strip()


def test_a_key_on_a_token_needs_a_newer_sshd_than_centos_has(project: Path) -> None:
    token = ssh_key("sk-ssh-ed25519@openssh.com", b"\1" * 32, b"ssh:")
    assert "sk-ssh-ed25519@openssh.com on centos7" in refusal(project, {"publicKey": token})
    assert load(project, {"publicKey": token, "os": "debian12"}).server.public_key == token


def test_private_keys_of_unknown_kinds(project: Path) -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "A" * 100 + "\n-----END OPENSSH PRIVATE KEY-----\n"
    message = refusal(project, {"publicKey": ED25519, "privateKey": text}, ["privateKey"])
    assert message.startswith("privateKey: [secret] is not a private key")


# Certificates


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


def signed(key: Any, *extensions: x509.ExtensionType, by: Any = None) -> str:
    """A certificate of `key`, signed by a good key unless another one is given."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(other).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(90))
    )  # fmt: skip
    for extension in extensions or (x509.SubjectAlternativeName([x509.DNSName(NAME)]),):
        builder = builder.add_extension(extension, critical=False)
    made = builder.sign(by or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits"),  # noqa: S505 -- that is the point
        (ec.generate_private_key(ec.SECP224R1()), "the curve secp224r1"),
        (ec.generate_private_key(ec.SECP256K1()), "the curve secp256k1"),
        (dsa.generate_private_key(2048), "DSA"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=["rsa-1024", "p-224", "secp256k1", "dsa", "ed25519"],
)
def test_certificates_with_keys_that_nginx_or_browsers_refuse(project: Path, key: Any, why: str) -> None:
    config = {"tls": "own", "domain": NAME, "certificate": signed(key), "certificateKey": pem(key)}
    message = refusal(project, config, ["certificateKey"])
    assert message.startswith("certificate has a key that ")
    assert why in message
    assert "RSA of 2048" in message


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["rsa-2048", "p-256", "p-384"],
)
def test_certificates_with_keys_that_they_take(project: Path, key: Any) -> None:
    config = {"tls": "own", "domain": NAME, "certificate": signed(key), "certificateKey": pem(key)}
    assert load(project, config, ["certificateKey"]).tls


@pytest.mark.parametrize("content", [b"", b"0", b"\x30\x05\x82\x03\xff\xfe\xfd", b"\x30\x00", b"\x04\x01x"])
def test_names_of_a_certificate_that_cannot_be_read(project: Path, content: bytes) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    malformed = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, content)
    config = {"tls": "own", "domain": NAME, "certificateKey": pem(key)}
    message = refusal(project, {**config, "certificate": signed(key, malformed)}, ["certificateKey"])
    assert message.startswith("certificate ")


def test_a_certificate_with_very_many_names_is_named_shortly(project: Path) -> None:
    made = certificate(*(f"host{number}.example.com" for number in range(2000)))
    config = {"tls": "own", "domain": NAME, "certificate": made.pem, "certificateKey": made.key}
    message = refusal(project, config, ["certificateKey"])
    assert message.startswith("certificate is for host0.example.com, host1.example.com")
    assert len(message) <= LONGEST_MESSAGE


# Folders


@pytest.mark.parametrize("key", ["appPath", "pythonPath"])
def test_a_path_that_no_system_call_takes(project: Path, key: str) -> None:
    (project / "loop").symlink_to("loop")
    (project / "app/loop").symlink_to("loop")
    for value in ("loop", "loop/x", "a" * 300, "/".join(["a" * 200] * 20), "app.py/x"):
        message = refusal(project, {key: value})
        assert message.startswith(f"{key} is ")
        assert "a folder" in message
        assert len(message) <= LONGEST_MESSAGE


@pytest.mark.parametrize("name", ["x@(y)", "x$(y)", "x%(y)"])
def test_a_folder_that_uwsgi_would_read_as_a_placeholder(project: Path, name: str) -> None:
    folder = project / "app" / name
    folder.mkdir()
    (folder / "app.py").write_text("app = 1\n")
    assert refusal(project, {"pythonPath": name}).startswith("pythonPath is ")
    (project / "app" / "plain").symlink_to(name)
    assert refusal(project, {"pythonPath": "plain"}).startswith("pythonPath is ")


def test_a_module_is_looked_into_only_as_far_as_is_sensible(project: Path) -> None:
    module = project / "app" / "app.py"
    module.write_text("-" * 100_000 + "1\n")
    load(project)
    module.write_text("(" * 100_000)
    load(project)
    os.truncate(module, 6 << 30)
    load(project)


def test_modules_that_are_there_are_not_all_named(project: Path) -> None:
    for number in range(300):
        (project / "app" / f"module_{number}{'x' * 100}.py").write_text("")
    message = refusal(project, {"module": "nowhere"})
    assert "found there: app, module_0" in message
    assert len(message) <= LONGEST_MESSAGE
