import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

import settings
from health import HealthCheck
from render.host_files import SERVER_ADDRESS
from settings import WebSettings
from settings.values import PROJECT_FILE
from tests.unit.certificates import DAY, authority, certificate
from tests.unit.loading import ADMIN, load, make_project, refusal
from tests.unit.recorder import Secret, ed25519, run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def environment(project: Path, config: Mapping[str, str], secrets: Sequence[str] = ()) -> dict[str, str]:
    record = run(
        lambda: pulumi.export("environment", settings.load(project).application.environment),
        config={**ADMIN, **config},
        secrets=secrets,
    )
    exported = record.exports["environment"]
    assert isinstance(exported, Secret)
    found: dict[str, str] = exported.value
    return found


def test_defaults(project: Path) -> None:
    loaded = load(project)
    assert str(loaded.network.vpc_cidr) == "10.64.0.0/16"
    assert (loaded.network.zone, loaded.network.vswitch_id) == (None, None)
    assert loaded.firewall.admin_cidrs == ("203.0.113.7/32",)
    assert loaded.firewall.web_cidrs == ("0.0.0.0/0",)
    server = loaded.server
    assert (server.profile.name, server.python, server.python_mirror) == ("centos7", "standalone", None)
    assert (server.instance_type, server.system_disk_size, server.bandwidth_mbps) == (
        "ecs.e-c1m2.large",
        40,
        5,
    )
    assert (server.image_id, server.public_key, server.private_key) == (None, None, None)
    application = loaded.application
    assert application.path == project / "app"
    assert (application.python_path, application.module, application.callable) == (".", "app", "app")
    assert (application.load, application.processes, application.threads) == ("mixed", 0, 0)
    assert (application.request_timeout, application.socket) == (60, "unix")
    assert application.health.path == "/"
    assert (loaded.web.domain, loaded.web.client_max_body_size) == (None, "16m")
    assert loaded.web.static_url == "/static/"
    assert loaded.web.trusted_proxies == ()
    assert loaded.web.content_security_policy.startswith("default-src 'self'; ")
    assert environment(project, {}) == {}


def test_every_key_reaches_the_settings(project: Path) -> None:
    (project / "site" / "src" / "shop").mkdir(parents=True)
    (project / "site" / "src" / "shop" / "wsgi.py").write_text("def create_app(): ...\n")
    private, public = ed25519()
    loaded = load(
        project,
        {
            "target": "sandbox",
            "vpcCidr": "192.168.0.0/20",
            "zone": "cn-hangzhou-k",
            "adminCidrs": '["203.0.113.7/32", "198.51.100.0/24"]',
            "webCidrs": '["192.0.2.0/24"]',
            "os": "debian12",
            "imageId": "m-bp1abc",
            "instanceType": "ecs.c7.large",
            "systemDiskSize": "100",
            "bandwidthMbps": "20",
            "publicKey": f"{public} somebody@somewhere\n",
            "privateKey": private,
            "python": "system",
            "pythonMirror": "https://mirror.example.com/python/",
            "appPath": "site",
            "pythonPath": "src",
            "module": "shop.wsgi",
            "callable": "create_app()",
            "load": "io",
            "processes": "3",
            "threads": "1",
            "requestTimeout": "300",
            "socket": "127.0.0.1:9000",
            "healthPath": "/healthz?full=1",
            "domain": "www.example.com",
            "clientMaxBodySize": "512k",
            "staticUrl": "/assets/v1/",
            "contentSecurityPolicy": "default-src 'none'; img-src https: data:;",
            "requestsPerSecond": "50",
            "connectionsPerAddress": "20",
            "microCacheSeconds": "2",
            "trustedProxies": '["100.64.0.0/10"]',
        },
        secrets=["privateKey"],
    )
    assert str(loaded.network.vpc_cidr) == "192.168.0.0/20"
    assert loaded.network.zone == "cn-hangzhou-k"
    assert loaded.firewall == settings.FirewallSettings(
        ("203.0.113.7/32", "198.51.100.0/24"), ("192.0.2.0/24",)
    )
    server = loaded.server
    assert server.profile.name == "debian12"
    assert (server.image_id, server.instance_type) == ("m-bp1abc", "ecs.c7.large")
    assert (server.system_disk_size, server.bandwidth_mbps) == (100, 20)
    assert server.public_key == f"{public} somebody@somewhere"
    assert server.private_key is not None
    assert (server.python, server.python_mirror) == ("system", "https://mirror.example.com/python")
    application = loaded.application
    assert application.path == project / "site"
    assert (application.python_path, application.module) == ("src", "shop.wsgi")
    assert (application.callable, application.processes, application.threads) == ("create_app()", 3, 1)
    assert (application.load, application.request_timeout) == ("io", 300)
    assert (application.socket, application.health.path) == ("127.0.0.1:9000", "/healthz?full=1")
    assert loaded.web == WebSettings(
        domain="www.example.com",
        client_max_body_size="512k",
        static_url="/assets/v1/",
        requests_per_second=50,
        connections_per_address=20,
        micro_cache_seconds=2,
        trusted_proxies=("100.64.0.0/10",),
        content_security_policy="default-src 'none'; img-src https: data:;",
    )
    host = loaded.host()
    for name in WebSettings.__dataclass_fields__.keys() - {"domain"}:
        assert getattr(host, name) == getattr(loaded.web, name), name
    for name in ("processes", "threads", "load", "request_timeout", "socket"):
        assert getattr(host, name) == getattr(application, name), name


def test_the_blog_posts_own_values(project: Path) -> None:
    """socket = 127.0.0.1:8080, module and callable, processes = 4, threads = 2, server_name = the public address."""
    (project / "app" / "uwsgi_app.py").write_text("app = object()\n")
    host = load(
        project,
        {
            "socket": "127.0.0.1:8080",
            "module": "uwsgi_app",
            "callable": "app",
            "processes": "4",
            "threads": "2",
        },
    ).host()
    assert (host.socket, host.module, host.callable) == ("127.0.0.1:8080", "uwsgi_app", "app")
    assert (host.processes, host.threads) == (4, 2)
    assert (host.server_names, host.has_domain) == ((SERVER_ADDRESS,), False)


def test_without_a_region_nothing_is_planned(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider would take one of its own choice (cn-beijing)."""
    monkeypatch.delenv("ALICLOUD_REGION")
    message = refusal(project, {})
    assert "no region is set" in message
    assert "pulumi config set alicloud:region" in message
    load(project, {"target": "sandbox"})


@pytest.mark.parametrize(
    "variable", ["ALICLOUD_REGION", "ALIBABA_CLOUD_REGION", "ALICLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE"]
)
def test_a_region_may_come_from_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("ALICLOUD_REGION")
    monkeypatch.setenv(variable, "given")
    load(project, {})


def test_a_public_key_comes_with_the_hosts_files(project: Path) -> None:
    public = ed25519()[1]
    assert load(project, {"publicKey": public}).host().admin_keys == (public,)
    assert load(project, {}).host().admin_keys == ()


def test_a_domain_is_the_server_name(project: Path) -> None:
    host = load(project, {"domain": "www.example.com"}).host()
    assert (host.server_names, host.has_domain) == (("www.example.com",), True)


WRONG = [
    ("target", "aws", "alicloud or sandbox"),
    ("vpcCidr", "10.64.0.0", "a private IPv4 network of /8 to /28"),
    ("vpcCidr", "10.64.0.1/16", "host bits set"),
    ("vpcCidr", "10.64.0.0/29", "a private IPv4 network of /8 to /28"),
    ("vpcCidr", "8.8.0.0/16", "a private IPv4 network of /8 to /28"),
    ("vpcCidr", "127.0.0.0/16", "a private IPv4 network of /8 to /28"),
    ("vpcCidr", "169.254.0.0/16", "a private IPv4 network of /8 to /28"),
    ("vpcCidr", "fd00::/16", "an IPv4 network"),
    ("zone", "Hangzhou", "a zone id such as cn-hangzhou-h"),
    ("vswitchId", "sw-1", "the id of a vswitch"),
    ("adminCidrs", "203.0.113.7/32", "a list of networks"),
    ("adminCidrs", '["me"]', "IPv4 networks such as 203.0.113.7/32"),
    ("adminCidrs", "[5]", "IPv4 networks such as 203.0.113.7/32"),
    ("adminCidrs", '["203.0.113.7/32", "203.0.113.7"]', "each network once"),
    ("webCidrs", "[]", "at least one network"),
    ("webCidrs", '["::/0"]', "IPv4 networks"),
    ("os", "centos8", "centos7 or debian12"),
    ("imageId", "m 1", "the id of an ECS image"),
    ("instanceType", "t3.micro", "an ECS instance type"),
    ("systemDiskSize", "19", "a whole number from 20 to 2048"),
    ("systemDiskSize", "2049", "a whole number from 20 to 2048"),
    ("systemDiskSize", "40.5", "a whole number from 20 to 2048"),
    ("bandwidthMbps", "0", "a whole number from 1 to 100"),
    ("bandwidthMbps", "101", "a whole number from 1 to 100"),
    ("publicKey", "ssh-ed25519 nonsense", "one line of an OpenSSH public key"),
    ("python", "3.12", "standalone or system on centos7"),
    ("pythonMirror", "ftp://mirror.example.com", "an http or https address"),
    ("pythonMirror", "https://example.com/$(id)", "an http or https address"),
    ("appPath", "nowhere", "a folder (there is none at"),
    ("pythonPath", "nowhere", "a folder inside"),
    ("pythonPath", "..", "a folder inside"),
    ("module", "nowhere", "found there: app"),
    ("module", "app.py", "a module in"),
    ("module", "my-app", "a Python module name"),
    ("callable", "application", "it defines app"),
    ("callable", "app(1)", "a name such as app, or a factory call"),
    ("load", "disk", "cpu or io or mixed"),
    ("processes", "-1", "a whole number from 0 to 64"),
    ("processes", "65", "a whole number from 0 to 64"),
    ("processes", "two", "a whole number from 0 to 64"),
    ("threads", "-1", "a whole number from 0 to 64"),
    ("threads", "65", "a whole number from 0 to 64"),
    ("requestTimeout", "4", "a whole number from 5 to 3600"),
    ("requestTimeout", "3601", "a whole number from 5 to 3600"),
    ("socket", "8080", "unix, or a loopback address and port"),
    ("socket", "0.0.0.0:8080", "unix, or a loopback address and port"),
    ("socket", "127.0.0.1:80", "1024 to 65534"),
    ("socket", "127.0.0.1:65535", "1024 to 65534"),
    ("socket", "127.0.0.1:9117", "not 9116 or 9117"),
    ("socket", "127.0.0.1:9116", "not 9116 or 9117"),
    ("env", "[]", "a mapping of names to values"),
    ("healthPath", "healthz", "a path that begins with /"),
    ("healthPath", "/a b", "a path that begins with /"),
    ("healthStatus", "99", "a whole number from 200 to 599"),
    ("healthBody", "x" * 201, "one line of at most 200 characters"),
    ("healthAttempts", "0", "a whole number from 1 to 100"),
    ("healthInterval", "0", "a whole number from 10 to 60000"),
    ("healthTimeout", "0", "a whole number from 1 to 900"),
    ("healthSettle", "-1", "a whole number from 0 to 600"),
    ("keepReleases", "1", "a whole number from 2 to 50"),
    ("domain", "localhost", "a host name in small letters"),
    ("domain", "https://www.example.com", "a host name in small letters"),
    ("domain", "www.example.com:8080", "a host name in small letters"),
    ("clientMaxBodySize", "16 MB", "a number with k, m or g"),
    ("clientMaxBodySize", "0", "a number with k, m or g"),
    ("staticUrl", "static", "a path that begins and ends with /"),
    ("staticUrl", "/", "a path that begins and ends with /"),
    ("staticUrl", "/a/../", "a path that begins and ends with /"),
    ("staticUrl", "/static/ { }", "a path that begins and ends with /"),
    ("contentSecurityPolicy", 'default-src *"; x', "directives, one a line or with ; between them"),
    ("contentSecurityPolicy", "default-src $host", "directives, one a line or with ; between them"),
    ("contentSecurityPolicy", "default-src;; img-src *", "directives, one a line or with ; between them"),
    ("contentSecurityPolicy", "img-src " + "x" * 2000, "at most 2000 characters"),
    ("requestsPerSecond", "-1", "a whole number from 0 to 100000"),
    ("connectionsPerAddress", "-1", "a whole number from 0 to 65535"),
    ("microCacheSeconds", "3601", "a whole number from 0 to 3600"),
    ("trustedProxies", '["cdn.example.com"]', "IPv4 networks"),
    ("trustedProxies", '["0.0.0.0/0"]', "your proxies' own networks"),
    ("tls", "letsencrypt", "none or own or acme"),
    ("tls", "own", "none while domain is not set"),
    ("tls", "acme", "none while domain is not set"),
    ("certificate", "nonsense", "one or more certificates in PEM form"),
    ("hstsSeconds", "-1", "a whole number from 0 to 315360000"),
    ("acmeEmail", "nobody", "an email address"),
    ("acmeDirectory", "http://ca.example/directory", "the https address of an ACME directory"),
    ("acmeDirectory", "https://ca.example/'x", "the https address of an ACME directory"),
    ("acmeCa", "nonsense", "one or more certificates in PEM form"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(
    project: Path, key: str, value: str, allowed: str
) -> None:
    message = refusal(project, {key: value})
    assert message.startswith(f"{key} is ")
    wrong: Any = value
    if value.startswith("[") and value != "[]":
        wrong = json.loads(value)[-1]
    # Variables may be secrets: env's value is not shown, nor more than the beginning of a long one.
    assert ("[secret]" if key == "env" else str(wrong)[:80]) in message
    assert allowed in message
    assert "\n" not in message


def test_a_check_that_cannot_be_done_in_time_is_refused(project: Path) -> None:
    message = refusal(project, {"healthSettle": "30", "healthTimeout": "30"})
    assert message.startswith("healthTimeout is '30'")
    assert "healthSettle" in message


def test_the_check_of_a_release(project: Path) -> None:
    application = load(
        project,
        {
            "healthPath": "/up",
            "healthStatus": "201",
            "healthBody": "fine",
            "healthAttempts": "5",
            "healthInterval": "250",
            "healthTimeout": "90",
            "healthSettle": "2",
            "keepReleases": "9",
        },
    ).application
    assert application.health == HealthCheck("/up", 201, "fine", 5, 0.25, 90, 2)
    assert application.keep_releases == 9


def test_every_key_that_can_be_wrong_is_tried() -> None:
    """A key that is added has to come with its refusal here; these three have tests of their own."""
    keys = yaml.safe_load(PROJECT_FILE.read_text())["config"].keys()
    assert {key for key, _, _ in WRONG} == keys - {"privateKey", "certificateKey", "secrets"}


@pytest.mark.parametrize(
    "key",
    ["vpcCidr", "os", "appPath", "pythonPath", "module", "callable", "processes", "socket", "healthPath"],
)
def test_an_empty_value_is_refused_where_there_is_no_unset(project: Path, key: str) -> None:
    assert refusal(project, {key: ""}).startswith(f"{key} is ''; allowed: ")


def test_unknown_keys_are_named_with_those_that_exist(project: Path) -> None:
    message = refusal(project, {"instancetype": "ecs.c7.large", "proceses": "4"})
    assert message.startswith(
        "unknown configuration key instancetype, proceses; allowed: acmeCa, acmeDirectory, acmeEmail, adminCidrs,"
    )


def test_without_administrators_the_way_to_set_them_is_shown(project: Path) -> None:
    message = refusal(project, {"adminCidrs": "[]"})
    assert message.startswith("adminCidrs is empty")
    assert 'pulumi config set --path "adminCidrs[0]"' in message


def test_a_vswitch_stands_in_a_zone_already(project: Path) -> None:
    message = refusal(project, {"vswitchId": "vsw-bp1abc", "zone": "cn-hangzhou-h"})
    assert message.startswith("zone is 'cn-hangzhou-h'; allowed: no value beside vswitchId")


def test_debian_has_its_own_python_only(project: Path) -> None:
    assert load(project, {"os": "debian12"}).server.python == "system"
    assert refusal(project, {"os": "debian12", "python": "standalone"}) == (
        "python is 'standalone'; allowed: system on debian12"
    )


@pytest.mark.parametrize(
    ("text", "callable_"),
    [
        ("app = 1", "app"),
        ("def create_app(): ...", "create_app()"),
        ("async def app(): ...", "app"),
        ("class App: ...", "App"),
        ("from shop import app", "app"),
        ("from shop import application as app", "app"),
        ("import shop.web", "shop"),
        ("if True:\n    app: int = 1", "app"),
        ("from shop import *", "app"),
        ("globals()['app'] = 1", "app"),
        ("def __getattr__(name): ...", "app"),
        ("newer syntax ?", "app"),
    ],
)
def test_callables_that_the_module_may_define_are_let_through(
    project: Path, text: str, callable_: str
) -> None:
    (project / "app" / "app.py").write_text(text)
    assert load(project, {"callable": callable_}).application.callable == callable_


def test_a_module_may_be_a_package(project: Path) -> None:
    (project / "app" / "shop").mkdir()
    (project / "app" / "shop" / "__init__.py").write_text("def create_app(): ...\n")
    assert load(project, {"module": "shop", "callable": "create_app()"}).application.module == "shop"
    assert "found there: app, shop" in refusal(project, {"module": "shopp"})


@pytest.mark.parametrize("key", ["staticUrl", "contentSecurityPolicy"])
def test_what_an_empty_value_turns_off(project: Path, key: str) -> None:
    host = load(project, {key: ""}).host()
    assert {"staticUrl": host.static_url, "contentSecurityPolicy": host.content_security_policy}[key] == ""


NAME = "www.example.com"


def own(project: Path, chain: str, key: str, **more: str) -> str:
    return refusal(
        project,
        {"tls": "own", "domain": NAME, "certificate": chain, "certificateKey": key, **more},
        ["certificateKey"],
    )


@pytest.mark.parametrize("name", [NAME, "*.example.com"])
def test_a_certificate_of_ones_own(project: Path, name: str) -> None:
    ca = authority()
    made = certificate("other.example", name, signed_by=ca)
    config = {
        "tls": "own",
        "domain": NAME,
        "certificate": f"{made.pem}\n{ca.pem}",
        "certificateKey": made.key,
    }
    loaded = load(project, {**config, "hstsSeconds": "300"}, ["certificateKey"])
    assert loaded.tls
    assert loaded.tls.certificate == made.pem + ca.pem
    host = loaded.host()
    assert (host.tls, host.hsts_seconds) == ("own", 300)
    assert "PRIVATE KEY" not in repr(host)


def test_a_certificate_that_browsers_or_nginx_would_refuse_is_refused(project: Path) -> None:
    good, ca = certificate(NAME), authority()
    below = certificate(NAME, signed_by=ca)
    for pair, message in (
        (
            certificate("example.com", "*.www.example.com"),
            "certificate is for example.com, *.www.example.com; ",
        ),
        (certificate(common_name=NAME), "certificate is for no name; "),
        (certificate(NAME, days=0.5), "certificate expired on "),
        (certificate(NAME, start=DAY), "certificate is valid from "),
    ):
        assert own(project, pair.pem, pair.key).startswith(message)
    assert own(project, good.pem, certificate(NAME).key) == (
        "certificateKey is not the private key of the first certificate in certificate."
    )
    assert own(project, ca.pem + below.pem, below.key).startswith("certificate is for no name")
    assert "which did not sign it" in own(project, below.pem + good.pem, below.key)
    message = own(project, good.pem, "s3cr3t")
    assert message == "certificateKey: [secret] is not a private key in PEM form without a passphrase."


def test_a_certificate_that_ends_soon_is_a_warning(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warnings.append)
    for days in (20.5, 60):
        made = certificate(NAME, days=days)
        config = {"tls": "own", "domain": NAME, "certificate": made.pem, "certificateKey": made.key}
        load(project, config, ["certificateKey"])
    (warning,) = warnings
    assert re.match(r"certificate ends on \d{4}-\d\d-\d\d, in 19 days: ", warning)


def test_a_certificate_and_its_key_come_together_and_the_key_as_a_secret(project: Path) -> None:
    made = certificate(NAME)
    config = {"tls": "own", "domain": NAME, "certificate": made.pem}
    assert refusal(project, config) == "tls is 'own'; allowed: own with both certificate and certificateKey"
    message = refusal(project, {**config, "certificateKey": made.key})
    assert (
        message == "certificateKey stands in plain text in the stack's configuration; set it with --secret."
    )


def test_an_authority_asks_for_an_address(project: Path) -> None:
    config = {"tls": "acme", "domain": NAME}
    assert "acme with acmeEmail" in refusal(project, config)
    loaded = load(project, {**config, "acmeEmail": "admin@example.com", "acmeCa": authority().pem})
    host = loaded.host()
    assert (host.tls, host.acme_email) == ("acme", "admin@example.com")
    assert host.acme_directory == "https://acme-v02.api.letsencrypt.org/directory"
    assert host.acme_ca.startswith("-----BEGIN CERTIFICATE-----")
    old = {**config, "acmeEmail": "admin@example.com", "python": "system"}
    assert "none or own where python is system on centos7" in refusal(project, old)
    assert load(project, {**old, "os": "debian12"}).tls


def test_without_tls_nothing_of_it_reaches_the_host(project: Path) -> None:
    host = load(project, {"acmeEmail": "admin@example.com"}).host()
    assert (host.tls, host.hsts_seconds, host.acme_email, host.acme_directory) == ("none", 0, "", "")


def test_what_a_site_is_seen_from_outside(project: Path) -> None:
    """Without the secrets, which stay encrypted there."""
    made: list[settings.Site] = []
    config = {"tls": "own", "domain": NAME, "certificateKey": "{secure: …}", "healthPath": "/up"}
    run(lambda: made.append(settings.load_site()), config=config)
    assert (made[0].domain, made[0].scheme, made[0].health.path) == (NAME, "https", "/up")


def test_env_and_secrets_are_one_secret_environment(project: Path) -> None:
    config = {"env": '{"LEVEL": "info", "WORKERS": 3}', "secrets": '{"TOKEN": "s3cr3t"}'}
    assert environment(project, config, ["secrets"]) == {"LEVEL": "info", "WORKERS": "3", "TOKEN": "s3cr3t"}


@pytest.mark.parametrize("key", ["env", "secrets"])
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MY-TOKEN": "s3cr3t"}, "{key}.MY-TOKEN: the name of a variable holds letters, digits and _ only."),
        ({"TOKEN": ["s3cr3t"]}, "{key}.TOKEN is list; allowed: text (put it in quotes)."),
        ({"TOKEN": True}, "{key}.TOKEN is bool; allowed: text (put it in quotes)."),
        ({"TOKEN": "s3cr3t\0"}, "{key}.TOKEN holds a NUL byte, which no environment variable can."),
        ({"FLASK_RELEASE": "s3cr3t"}, "{key}.FLASK_RELEASE: FLASK_RELEASE is set by the server itself"),
        ({"UWSGI_PROCESSES": "4"}, "{key}.UWSGI_PROCESSES: UWSGI_PROCESSES is set by the server itself"),
        ({"LD_PRELOAD": "x"}, "{key}.LD_PRELOAD: LD_PRELOAD is set by the server itself"),
        ({"PYTHONPATH": "x"}, "{key}.PYTHONPATH: PYTHONPATH is set by the server itself"),
    ],
)
def test_variables_that_cannot_be_set_are_named_without_their_value(
    project: Path, key: str, variables: dict[str, object], message: str
) -> None:
    refused = refusal(project, {key: json.dumps(variables)}, [key])
    assert refused.startswith(message.format(key=key))
    assert "s3cr3t" not in refused


def test_a_variable_stands_in_one_place(project: Path) -> None:
    message = refusal(project, {"env": '{"TOKEN": "a"}', "secrets": '{"TOKEN": "s3cr3t"}'}, ["secrets"])
    assert message == "secrets.TOKEN: TOKEN stands in env and in secrets; keep one."


def test_secrets_in_plain_text_are_refused(project: Path) -> None:
    message = refusal(project, {"secrets": '{"TOKEN": "s3cr3t"}'})
    assert message == "secrets stands in plain text in the stack's configuration; set it with --secret."
    private, public = ed25519()
    message = refusal(project, {"publicKey": public, "privateKey": private})
    assert message == "privateKey stands in plain text in the stack's configuration; set it with --secret."


@pytest.mark.parametrize("value", ["s3cr3t", '"s3cr3t"', '["s3cr3t"]', "5"])
def test_secrets_that_are_no_mapping_are_not_shown(project: Path, value: str) -> None:
    message = refusal(project, {"secrets": value}, ["secrets"])
    assert message == "secrets is '[secret]'; allowed: a mapping of names to values"


@pytest.mark.parametrize("key", sorted({key for key, _, _ in WRONG}))
def test_a_value_that_was_set_as_a_secret_is_never_shown(project: Path, key: str) -> None:
    value = '["10.s3cr3t.0.0/8"]' if key.endswith(("Cidrs", "Proxies")) else "10.s3cr3t\n.0.0/8 "
    message = refusal(project, {key: value}, [key])
    assert message.startswith(f"{key} is '[secret]'; allowed: ")
    assert "s3cr3t" not in message


def test_a_private_key_is_checked_without_being_shown(project: Path) -> None:
    _, public = ed25519()
    other, _ = ed25519()
    secret = ["privateKey"]
    assert "without publicKey" in refusal(project, {"privateKey": other}, secret)
    message = refusal(project, {"publicKey": public, "privateKey": other}, secret)
    assert message == "privateKey is not the private half of publicKey."
    message = refusal(project, {"publicKey": public, "privateKey": "s3cr3t"}, secret)
    assert message.startswith("privateKey: [secret] is not a private key")
    assert "s3cr3t" not in message


def test_values_are_read_from_the_environment_of_a_real_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi's language host hands configuration over in variables, with the schema's defaults filled in."""
    private, public = ed25519()
    values = {"adminCidrs": '["203.0.113.7/32"]', "env": "{}", "publicKey": public, "privateKey": private}
    monkeypatch.setenv(
        "PULUMI_CONFIG", json.dumps({f"flask-on-ecs:{key}": value for key, value in values.items()})
    )
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", '["flask-on-ecs:privateKey"]')
    loaded: list[settings.Settings] = []
    run(lambda: loaded.append(settings.load(project)))
    assert loaded[0].firewall.admin_cidrs == ("203.0.113.7/32",)
    assert loaded[0].server.public_key == public
    monkeypatch.setenv("PULUMI_CONFIG", '{"flask-on-ecs:typo": "1", "alicloud:region": "cn-hangzhou"}')
    assert refusal(project, {}).startswith("unknown configuration key typo; allowed: ")


def test_a_folder_that_cannot_be_a_release_is_named(project: Path) -> None:
    (project / "app" / "requirements.txt").unlink()
    with pytest.raises(pulumi.RunError, match=r"^appPath: .*/app has no requirements.txt"):
        load(project).release()
