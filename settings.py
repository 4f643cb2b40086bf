"""The stack's configuration as frozen, checked values. Read once, at the start of the program.

Keys, types, defaults and meanings stand in Pulumi.yaml; this module holds what a type cannot say. A wrong
value ends in `pulumi.RunError`, which Pulumi prints without a traceback, before anything is created.
"""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pulumi
from cryptography.hazmat.primitives import serialization

from config_values import Values, alternatives, cidrs, integer, one_of, refuse, require_secret
from health import HealthCheck
from render.host_files import HostSettings
from render.profiles import PROFILES, OsProfile
from render.release import Release, application_release
from tls_settings import CERTBOT_PYTHON, MODES, TlsSettings, tls
from web_settings import WebSettings, web

_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
# By these a module can define a name that its text does not show.
_DEFINERS = frozenset(("__getattr__", "exec", "globals", "setattr", "vars"))
# What the launcher of a slot sets itself, and what would change how its Python starts.
_RESERVED_ENV = re.compile(
    r"FLASK_(SLOT|RELEASE)\w*|UWSGI_\w*|PATH|HOME|USER|LD_\w+|PYTHON(PATH|HOME|STARTUP)|NOTIFY_SOCKET"
)


@dataclass(frozen=True)
class NetworkSettings:
    """Where the server stands. `vswitch_id` given: nothing is created and the rest is unused."""

    vpc_cidr: ipaddress.IPv4Network
    zone: str | None
    vswitch_id: str | None

    @property
    def vswitch_cidr(self) -> ipaddress.IPv4Network:
        """The first /24 of the VPC, or all of a smaller one."""
        if self.vpc_cidr.prefixlen >= 24:
            return self.vpc_cidr
        return next(self.vpc_cidr.subnets(new_prefix=24))


@dataclass(frozen=True)
class FirewallSettings:
    """Who may reach the server: CIDR blocks as `a.b.c.d/n`."""

    admin_cidrs: tuple[str, ...]
    web_cidrs: tuple[str, ...]


@dataclass(frozen=True)
class ServerSettings:
    """The instance. Sizes: disk in GiB, bandwidth in Mbit/s. `private_key` is OpenSSH or PEM text, secret."""

    profile: OsProfile
    image_id: str | None
    instance_type: str
    system_disk_size: int
    bandwidth_mbps: int
    public_key: str | None
    private_key: pulumi.Output[str] | None
    python: str
    python_mirror: str | None


@dataclass(frozen=True)
class ApplicationSettings:
    """The Flask application and how uWSGI runs it. `environment`: plain and secret variables together, secret."""

    path: Path
    python_path: str
    module: str
    callable: str
    processes: int
    threads: int
    socket: str
    environment: pulumi.Output[dict[str, str]]
    health: HealthCheck
    keep_releases: int


@dataclass(frozen=True)
class Settings:
    """All of a stack's configuration."""

    network: NetworkSettings
    firewall: FirewallSettings
    server: ServerSettings
    application: ApplicationSettings
    web: WebSettings
    tls: TlsSettings | None

    def host(self, address: str) -> HostSettings:
        """What the files on a server at `address` are rendered from."""
        return HostSettings(
            profile=self.server.profile,
            server_names=(self.web.domain or address,),
            has_domain=self.web.domain is not None,
            module=self.application.module,
            callable=self.application.callable,
            processes=self.application.processes,
            threads=self.application.threads,
            socket=self.application.socket,
            health=self.application.health,
            keep_releases=self.application.keep_releases,
            client_max_body_size=self.web.client_max_body_size,
            static_url=self.web.static_url,
            requests_per_second=self.web.requests_per_second,
            connections_per_address=self.web.connections_per_address,
            micro_cache_seconds=self.web.micro_cache_seconds,
            trusted_proxies=self.web.trusted_proxies,
            content_security_policy=self.web.content_security_policy,
            tls=self.tls.mode if self.tls else "none",
            hsts_seconds=self.tls.hsts_seconds if self.tls else 0,
            acme_email=self.tls.acme_email if self.tls else "",
            acme_directory=self.tls.acme_directory if self.tls else "",
            acme_ca=self.tls.acme_ca if self.tls else "",
        )

    def release(self) -> Release:
        """The application, packed.

        Raises:
            pulumi.RunError: the folder cannot be a release.
        """
        application = self.application
        try:
            return application_release(
                application.path, application.module, application.callable, application.python_path
            )
        except (ValueError, OSError) as error:
            raise pulumi.RunError(f"appPath: {error}") from error


def load(folder: Path | None = None) -> Settings:
    """Read and check the stack's configuration; relative paths in it count from `folder` (default: here).

    Raises:
        pulumi.RunError: naming the key, its value and what is allowed.
    """
    values = Values.read()
    web_settings = web(values)
    settings = Settings(
        network=_network(values),
        firewall=_firewall(values),
        server=_server(values),
        application=_application(values, folder or Path.cwd()),
        web=web_settings,
        tls=tls(values, web_settings.domain),
    )
    one_of(values, "target", ("alicloud", "sandbox"))
    _check_certbot(settings)
    return settings


def _check_certbot(settings: Settings) -> None:
    server = settings.server
    old = server.python == "system" and server.profile.system_python < CERTBOT_PYTHON
    if old and settings.tls and settings.tls.mode == "acme":
        why = "certbot needs a newer one"
        refuse("tls", "acme", f"none or own where python is system on {server.profile.name}", why)


@dataclass(frozen=True)
class Site:
    """A site as seen from outside. `domain` None: it is called by its server's address."""

    domain: str | None
    scheme: Literal["http", "https"]
    health: HealthCheck


def load_site() -> Site:
    """Read what concerns who looks at the site from outside, and nothing that may be encrypted.

    Raises:
        pulumi.RunError: as `load`.
    """
    values = Values.read()
    scheme: Literal["http", "https"] = "http" if one_of(values, "tls", MODES) == "none" else "https"
    return Site(web(values).domain, scheme, _health(values))


def _network(values: Values) -> NetworkSettings:
    cidr = values.text("vpcCidr")
    try:
        vpc_cidr = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        refuse("vpcCidr", cidr, "an IPv4 network such as 10.64.0.0/16", error)
    # Ranges the VPC API takes: its documentation allows /8 to /28 inside the private blocks.
    if not (8 <= vpc_cidr.prefixlen <= 28 and any(map(vpc_cidr.subnet_of, _PRIVATE))):
        refuse("vpcCidr", cidr, "a private IPv4 network of /8 to /28, such as 10.64.0.0/16")
    vswitch_id, zone = values.optional("vswitchId"), values.optional("zone")
    if vswitch_id and not re.fullmatch(r"vsw-[a-z0-9]+", vswitch_id):
        refuse("vswitchId", vswitch_id, "the id of a vswitch, such as vsw-bp1abc")
    if vswitch_id and zone:
        refuse("zone", zone, "no value beside vswitchId, which stands in a zone already")
    if zone and not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", zone):
        refuse("zone", zone, "a zone id such as cn-hangzhou-h")
    return NetworkSettings(vpc_cidr, zone, vswitch_id)


def _firewall(values: Values) -> FirewallSettings:
    admin, web = cidrs(values, "adminCidrs"), cidrs(values, "webCidrs")
    if not admin:
        raise pulumi.RunError(
            "adminCidrs is empty: nobody could reach the server's SSH port, this program included. Set it to"
            ' your own public address: pulumi config set --path "adminCidrs[0]" 203.0.113.7/32'
        )
    if not web:
        refuse("webCidrs", [], 'at least one network; ["0.0.0.0/0"] lets everyone in')
    return FirewallSettings(admin, web)


def _server(values: Values) -> ServerSettings:
    profile = PROFILES[one_of(values, "os", tuple(PROFILES))]
    python = values.optional("python") or profile.pythons[0]
    if python not in profile.pythons:
        refuse("python", python, f"{alternatives(profile.pythons)} on {profile.name}")
    mirror = values.optional("pythonMirror")
    if mirror and not re.fullmatch(r"https?://[^\s'\"\\$`]+", mirror):
        refuse("pythonMirror", mirror, "an http or https address without quotes or spaces")
    instance_type = values.text("instanceType")
    if not re.fullmatch(r"ecs\.[a-z0-9-]+(\.[a-z0-9]+)+", instance_type):
        refuse("instanceType", instance_type, "an ECS instance type such as ecs.e-c1m2.large")
    image_id = values.optional("imageId")
    if image_id and not re.fullmatch(r"[A-Za-z0-9._-]+", image_id):
        refuse(
            "imageId",
            image_id,
            "the id of an ECS image, such as m-bp1abc or debian_12_6_x64_20G_alibase_20240711.vhd",
        )
    public_key, private_key = _key_pair(values)
    return ServerSettings(
        profile=profile,
        image_id=image_id,
        instance_type=instance_type,
        system_disk_size=integer(values, "systemDiskSize", 20, 2048),
        bandwidth_mbps=integer(values, "bandwidthMbps", 1, 100),
        public_key=public_key,
        private_key=private_key,
        python=python,
        python_mirror=mirror.rstrip("/") if mirror else None,
    )


def _key_pair(values: Values) -> tuple[str | None, pulumi.Output[str] | None]:
    public, private = values.optional("publicKey"), values.optional("privateKey")
    if public is None:
        if private is not None:
            raise pulumi.RunError(
                "privateKey is set without publicKey: set both, or neither and a key pair is made."
            )
        return None, None
    public = public.strip()
    try:
        loaded = serialization.load_ssh_public_key(public.encode())
    except (ValueError, TypeError):
        refuse(
            "publicKey",
            public,
            "one line of an OpenSSH public key, such as the content of ~/.ssh/id_ed25519.pub",
        )
    if private is None:
        return public, None
    require_secret("privateKey")
    if _public_half(private) != _openssh(loaded):
        raise pulumi.RunError("privateKey is not the private half of publicKey.")
    return public, pulumi.Output.secret(private)


def _public_half(private: str) -> bytes:
    loaders = (serialization.load_ssh_private_key, serialization.load_pem_private_key)
    for loader in loaders:
        try:
            return _openssh(loader(private.encode(), password=None).public_key())
        except (ValueError, TypeError):
            continue
    # The value is a secret: not a letter of it goes into the message.
    raise pulumi.RunError(
        "privateKey: [secret] is not a private key in OpenSSH or PEM form without a passphrase."
    )


def _openssh(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded


def _application(values: Values, folder: Path) -> ApplicationSettings:
    path = (folder / values.text("appPath")).resolve()
    if not path.is_dir():
        refuse("appPath", values.text("appPath"), "a folder", f"there is none at {path}")
    python_path = values.text("pythonPath")
    source = (path / python_path).resolve()
    if not source.is_dir() or not source.is_relative_to(path):
        refuse("pythonPath", python_path, f"a folder inside {path}")
    module, callable_ = values.text("module"), values.text("callable")
    if not re.fullmatch(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*", module):
        refuse("module", module, "a Python module name such as app or package.module")
    if not re.fullmatch(rf"{_IDENTIFIER}(\(\))?", callable_):
        refuse("callable", callable_, "a name such as app, or a factory call such as create_app()")
    _check_callable(_module_file(source, module), module, callable_)
    return ApplicationSettings(
        path=path,
        python_path=source.relative_to(path).as_posix(),
        module=module,
        callable=callable_,
        processes=integer(values, "processes", 1, 64),
        threads=integer(values, "threads", 1, 64),
        socket=_socket(values),
        environment=_environment(values),
        health=_health(values),
        keep_releases=integer(values, "keepReleases", 2, 50),
    )


def _module_file(source: Path, module: str) -> Path:
    base = source.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file:
        return file
    found = sorted(
        {file.stem for file in source.glob("*.py")}
        | {file.parent.name for file in source.glob("*/__init__.py")}
    )
    return refuse("module", module, f"a module in {source}; found there: {', '.join(found) or 'none'}")


def _check_callable(file: Path, module: str, callable_: str) -> None:
    """Refuse a name that the module plainly does not define; what its text does not tell is left to the server."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # the server's Python may be newer; its import check shows the application's own traceback
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return
        if isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Store) or node.id in _DEFINERS):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
    name = callable_.removesuffix("()")
    if name in names or names & _DEFINERS:
        return
    likely = sorted(names & {"app", "application", "create_app", "make_app", "server"})
    hint = f"; it defines {', '.join(likely)}" if likely else ""
    refuse("callable", callable_, f"a name that module {module} defines ({file.name} does not{hint})")


def _socket(values: Values) -> str:
    socket = values.text("socket")
    if socket == "unix":
        return socket
    host, _, port = socket.rpartition(":")
    loopback = False
    with contextlib.suppress(ValueError):
        loopback = ipaddress.IPv4Address(host).is_loopback
    # The uwsgi protocol can load code: it is never bound to an address that others reach. The second slot
    # takes the next port; 8099 is the loopback listener of nginx.
    if not loopback or not port.isdigit() or not 1024 <= int(port) <= 65534 or int(port) in (8098, 8099):
        refuse(
            "socket",
            socket,
            "unix, or a loopback address and port such as 127.0.0.1:8080 (1024 to 65534, not 8098 or 8099)",
        )
    return socket


def _environment(values: Values) -> pulumi.Output[dict[str, str]]:
    plain, secret = values.mapping("env"), values.mapping("secrets")
    if secret:
        require_secret("secrets")
    merged: dict[str, str] = {}
    for key, variables in (("env", plain), ("secrets", secret)):
        for name, value in variables.items():
            place = f"{key}.{name}"
            if not re.fullmatch(_IDENTIFIER, name):
                raise pulumi.RunError(f"{place}: the name of a variable holds letters, digits and _ only.")
            if _RESERVED_ENV.fullmatch(name):
                raise pulumi.RunError(f"{place}: {name} is set by the server itself; choose another name.")
            if name in merged:
                raise pulumi.RunError(f"{place}: {name} stands in env and in secrets; keep one.")
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise pulumi.RunError(f"{place} is {type(value).__name__}; allowed: text (put it in quotes).")
            if "\0" in str(value):
                raise pulumi.RunError(f"{place} holds a NUL byte, which no environment variable can.")
            merged[name] = str(value)
    return pulumi.Output.secret(merged)


def _health(values: Values) -> HealthCheck:
    check = HealthCheck(
        path=_health_path(values),
        status=integer(values, "healthStatus", 100, 599),
        body=_health_body(values),
        attempts=integer(values, "healthAttempts", 1, 100),
        interval=integer(values, "healthInterval", 10, 60_000) / 1000,
        timeout=integer(values, "healthTimeout", 1, 900),
        settle=integer(values, "healthSettle", 0, 600),
    )
    if check.settle + (check.attempts - 1) * check.interval >= check.timeout:
        refuse(
            "healthTimeout",
            f"{check.timeout:g}",
            "more seconds than healthSettle and healthAttempts with their healthInterval take",
        )
    return check


def _health_body(values: Values) -> str:
    body = values.optional("healthBody") or ""
    if not body.isprintable() or len(body) > 200:
        refuse("healthBody", body, "one line of at most 200 characters")
    return body


def _health_path(values: Values) -> str:
    path = values.text("healthPath")
    if not re.fullmatch(r"/[A-Za-z0-9._~!&'()*+,;=:@%/?-]*", path):
        refuse("healthPath", path, "a path that begins with /, such as /healthz")
    return path
