import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest

from components.flask_service import FlaskService
from components.server import Server
from health import HealthCheck
from render.host_files import SERVER_ADDRESS, HostSettings
from render.profiles import PROFILES
from render.release import application_release
from settings import ServerSettings, TlsSettings
from tests.unit.recorder import COMMAND, COPY, INSTANCE, UNKNOWN, Record, Secret, plain_texts, run

SERVER = ServerSettings(
    profile=PROFILES["debian12"],
    image_id="m-1",
    instance_type="ecs.e-c1m2.large",
    system_disk_size=40,
    bandwidth_mbps=5,
    public_key=None,
    private_key=None,
    python="system",
    python_mirror=None,
)
TOKEN = "s3cr3t-of-the-test"


CHECK = HealthCheck(path="/up", status=200, body="", attempts=3, interval=0.1, timeout=60, settle=0)


def host(domain: str | None) -> HostSettings:
    return HostSettings(
        profile=PROFILES["debian12"],
        server_names=(domain or SERVER_ADDRESS,),
        has_domain=domain is not None,
        module="app",
        callable="app",
        processes=2,
        threads=16,
        socket="unix",
        health=HealthCheck(path="/", status=200, body="", attempts=3, interval=0.1, timeout=60, settle=0),
        keep_releases=5,
        client_max_body_size="16m",
    )


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application, beside which the archives are written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("components.flask_service.smoke", lambda *_: None)
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "app.py").write_text("app = None\n")
    (folder / "requirements.txt").write_text("flask\n")
    return folder


def service(
    application: Path,
    *,
    domain: str | None = None,
    token: str = TOKEN,
    rollbacks: str = "0",
    tls: Callable[[], TlsSettings | None] = lambda: None,
    preview: bool = False,
) -> Record:
    def program() -> None:
        server = Server(
            "web",
            {
                "settings": SERVER,
                "image_id": "m-1",
                "vswitch_id": "vsw-1",
                "security_group_id": "sg-1",
                "reachable_after": [],
            },
        )
        made = FlaskService(
            "site",
            {
                "server": server,
                "host": host(domain),
                "release": application_release(application, "app", "app"),
                "environment": pulumi.Output.secret({"TOKEN": token}),
                "rollbacks": rollbacks,
                "domain": domain,
                "health": CHECK,
                "tls": tls(),
            },
        )
        pulumi.export("url", made.url)
        pulumi.export("release", made.release_id)

    return run(program, preview=preview)


def test_both_archives_are_copied_named_by_their_content(application: Path) -> None:
    record = service(application)
    kinds = {}
    for copy in record.created(COPY):
        archive = Path(copy.inputs["source"]["path"])
        assert copy.inputs["remotePath"] == f"/var/lib/flask/incoming/{archive.name}"
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
            kinds[archive.name.partition("-")[0]] = set(tar.getnames())
    assert kinds["release"] == {"app/app.py", "app/requirements.txt", "requirements.txt", "release.json"}
    assert "etc/nginx/nginx.conf" in kinds["host"]


def test_copies_come_after_readiness_and_again_on_a_new_instance(application: Path) -> None:
    record = service(application)
    instance = record.one(INSTANCE)
    assert len(record.created(COPY)) == 2
    for copy in record.created(COPY):
        assert copy.inputs["triggers"] == [f"{instance.name}-id"]
        assert copy.deleted_with == instance.name
        assert copy.parent == "site"
        assert "web-ready" in copy.dependencies


def test_commands_run_again_on_new_content_and_on_a_new_instance(application: Path) -> None:
    record = service(application)
    instance = record.one(INSTANCE)
    for copied, ran in (("site-host-files", "site-configure"), ("site-application", "site-release")):
        copy, command = record.named(copied), record.named(ran)
        digest = copy.inputs["remotePath"].removesuffix(".tar.gz").rpartition("-")[2]
        assert command.inputs["triggers"][:2] == [f"{instance.name}-id", digest]
        assert copy.name in command.dependencies
        assert digest in command.inputs["create"]
        assert command.deleted_with == instance.name
        assert "delete" not in command.inputs


def test_the_release_comes_after_the_configuration(application: Path) -> None:
    record = service(application)
    release = record.named("site-release")
    assert "site-configure" in release.dependencies
    assert {"web-ready", "site-host-files", "site-application"} <= record.before(release)


def test_an_edited_application_is_a_release_and_not_a_configuration(application: Path) -> None:
    before = service(application)
    (application / "app.py").write_text("app = 1\n")
    after = service(application)

    def content(record: Record, name: str) -> object:
        return record.named(name).inputs["triggers"][1]

    assert content(before, "site-release") != content(after, "site-release")
    assert content(before, "site-configure") == content(after, "site-configure")


def test_the_environment_travels_on_stdin_as_a_secret(application: Path) -> None:
    record = service(application)
    stdin = record.named("site-release").inputs["stdin"]
    assert isinstance(stdin, Secret)
    assert json.loads(stdin.value) == {"env": {"TOKEN": TOKEN}}
    for resource in record.resources:
        assert not [text for text in plain_texts(resource.inputs) if TOKEN in text], resource.name
    for archive in Path(".build").iterdir():
        with tarfile.open(archive) as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                assert file is not None
                assert TOKEN.encode() not in file.read()


def test_no_command_line_holds_the_environment(application: Path) -> None:
    assert (
        service(application, token="one").named("site-release").inputs["create"]
        == service(application, token="other").named("site-release").inputs["create"]
    )


def test_connections_are_pinned_and_give_up_soon(application: Path) -> None:
    record = service(application)
    pinned = record.one(COMMAND, "web-ready").inputs["connection"].value["hostKey"]
    for resource in [*record.created(COPY), *record.created(COMMAND)]:
        connection = resource.inputs["connection"].value
        assert connection["hostKey"] == pinned
        if resource.name != "web-ready":  # it alone waits without limit
            assert connection["dialErrorLimit"] == 10


def test_url_and_release_are_plain_outputs(application: Path) -> None:
    assert service(application).exports == {"url": "http://203.0.113.10", "release": "3f2a9c01b7de-9ab3e2"}
    assert service(application, domain="www.example.com").exports["url"] == "http://www.example.com"


def test_a_preview_knows_what_is_copied(application: Path) -> None:
    """The provider refuses a copy whose source is unknown (pulumi-command#754), and the plan stops there."""
    record = service(application, preview=True)
    copies = {copy.name: copy.inputs for copy in record.created(COPY)}
    assert copies.keys() == {"site-host-files", "site-application"}
    for inputs in copies.values():
        assert Path(inputs["source"]["path"]).is_file()
        assert inputs["remotePath"] == f"/var/lib/flask/incoming/{Path(inputs['source']['path']).name}"
    for copy in service(application).created(COPY):
        assert {
            **copy.inputs,
            "triggers": [UNKNOWN],
            "connection": copies[copy.name]["connection"],
        } == copies[copy.name]
    assert record.exports["url"] == UNKNOWN
    assert record.exports["release"] == UNKNOWN


def test_the_address_is_told_to_the_server_and_stands_in_no_archive(application: Path) -> None:
    made = service(application)
    digest = made.named("site-host-files").inputs["remotePath"].removesuffix(".tar.gz").rpartition("-")[2]
    configure = made.named("site-configure").inputs
    assert configure["create"] == f"sh -s configure {digest} 203.0.113.10"
    assert configure["triggers"][1:] == [digest, "203.0.113.10"]
    planned = service(application, preview=True).named("site-configure").inputs
    assert planned["triggers"] == [UNKNOWN, digest, UNKNOWN]


def test_with_a_domain_nothing_depends_on_the_address_but_the_way_there(application: Path) -> None:
    planned = service(application, domain="www.example.com", preview=True)
    digest = planned.named("site-host-files").inputs["remotePath"].removesuffix(".tar.gz").rpartition("-")[2]
    assert planned.named("site-configure").inputs["create"] == f"sh -s configure {digest}"
    assert planned.named("site-configure").inputs["triggers"] == [UNKNOWN, digest]


def test_commands_are_short_lines(application: Path) -> None:
    """The provider repeats the whole command before the error of one that failed."""
    for command in service(application).created(COMMAND):
        assert "\n" not in command.inputs["create"]
        assert len(command.inputs["create"]) < 120


def test_a_rollback_on_the_server_makes_the_release_anew_and_nothing_else(application: Path) -> None:
    before, after = service(application), service(application, rollbacks="1")
    changed = [
        one.name
        for one, other in zip(before.created(COMMAND), after.created(COMMAND), strict=True)
        if one.inputs["triggers"] != other.inputs["triggers"]
    ]
    assert changed == ["site-release"]


def test_the_site_is_looked_at_from_here_when_all_is_done(
    application: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, HealthCheck]] = []
    warnings: list[str] = []

    def smoke(address: str, name: str, check: HealthCheck, scheme: str) -> str:
        asked.append((address, f"{scheme}://{name}", check))
        return "it answers 502, not 200"

    monkeypatch.setattr("components.flask_service.smoke", smoke)
    monkeypatch.setattr("pulumi.log.warn", warnings.append)
    service(application, preview=True)
    assert asked == []
    assert service(application, domain="www.example.com").exports["url"] == "http://www.example.com"
    ((address, name, check),) = asked
    assert (address, name, check.path) == ("203.0.113.10", "http://www.example.com", "/up")
    assert "it answers 502, not 200" in warnings[0]


OWN_KEY = "-----BEGIN PRIVATE KEY-----\ns3cr3t-key\n"


def own() -> TlsSettings:
    return TlsSettings("own", 63072000, "a chain", pulumi.Output.secret(OWN_KEY), "", "", "")


def acme(directory: str = "https://ca.example/directory") -> TlsSettings:
    return TlsSettings("acme", 63072000, "", None, "admin@example.com", directory, "")


def test_a_site_on_http_has_no_certificate_step(application: Path) -> None:
    assert [command.name for command in service(application).created(COMMAND)] == [
        "web-ready",
        "site-configure",
        "site-release",
    ]


def test_a_given_certificate_is_there_before_the_release_and_its_key_is_a_secret_on_stdin(
    application: Path,
) -> None:
    # Outputs want the run's own event loop: made inside of it.
    record = service(application, domain="www.example.com", tls=own)
    step = record.named("site-certificate")
    assert step.inputs["create"] == "/opt/flask/bin/flask-certificate own"
    assert step.inputs["stdin"] == Secret(json.dumps({"certificate": "a chain", "key": OWN_KEY}))
    assert "site-configure" in step.dependencies
    assert "site-certificate" in record.named("site-release").dependencies
    for resource in record.resources:
        assert not [text for text in plain_texts(resource.inputs) if "s3cr3t-key" in text], resource.name
    for archive in Path(".build").iterdir():
        with tarfile.open(archive) as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                assert file is not None
                assert b"s3cr3t-key" not in file.read()
    assert record.exports["url"] == "https://www.example.com"


def test_an_authority_is_asked_once_the_release_serves(application: Path) -> None:
    record = service(application, domain="www.example.com", tls=acme)
    step = record.named("site-certificate")
    assert step.inputs["create"] == "/opt/flask/bin/flask-certificate acme"
    assert "stdin" not in step.inputs
    assert "site-release" in step.dependencies
    assert step.deleted_with == record.one(INSTANCE).name
    assert record.exports["url"] == "https://www.example.com"


def test_another_authority_or_name_is_another_certificate(application: Path) -> None:
    def triggers(domain: str, directory: str) -> object:
        record = service(application, domain=domain, tls=lambda: acme(directory))
        return record.named("site-certificate").inputs["triggers"]

    first = triggers("www.example.com", "https://ca.example/one")
    assert first == triggers("www.example.com", "https://ca.example/one")
    assert first != triggers("www.example.com", "https://ca.example/two")
    assert first != triggers("shop.example.com", "https://ca.example/one")
