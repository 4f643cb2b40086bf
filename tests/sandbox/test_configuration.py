"""Stack files read as Pulumi reads them, secrets among them."""

import json
from pathlib import Path

import pytest
import yaml

from progress import DeploymentError
from sandbox import configuration

# A salt that Pulumi made, with the passphrase `password` (pulumi/pulumi, pkg/secrets/passphrase/manager_test.go).
PULUMI_SALT = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    return tmp_path


def write(project: Path, document: object, stack: str = "dev") -> None:
    (project / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document))


def read(project: Path) -> configuration.Configuration:
    return configuration.read(project, "dev", project / "own" / "passphrase")


def test_values_are_text_and_structures_json(project: Path) -> None:
    write(
        project,
        {"config": {"shop:a": "x", "b": 5, "shop:c": ["1", "2"], "shop:d": True, "alicloud:region": "r"}},
    )
    read_back = read(project)
    assert read_back.values == {
        "shop:a": "x",
        "shop:b": "5",
        "shop:c": '["1", "2"]',
        "shop:d": "true",
        "alicloud:region": "r",
    }
    assert read_back.secret_keys == ()


def test_a_secret_goes_in_encrypted_and_comes_out_marked(project: Path) -> None:
    write(project, {"config": {"shop:env": {"A": "1"}}})
    for name, value in (("TOKEN", "hunter2"), ("OTHER", "pa:ss")):
        configuration.set_secret(project, "dev", ("secrets", name), value, project / "own" / "passphrase")
    assert "hunter2" not in (project / "Pulumi.dev.yaml").read_text()
    assert (project / "own" / "passphrase").stat().st_mode & 0o077 == 0
    read_back = read(project)
    assert json.loads(read_back.values["shop:secrets"]) == {"TOKEN": "hunter2", "OTHER": "pa:ss"}
    assert read_back.secret_keys == ("shop:secrets",)
    assert read_back.values["shop:env"] == '{"A": "1"}'


def test_a_stack_of_pulumi_is_opened_by_its_passphrase(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, {"encryptionsalt": PULUMI_SALT, "config": {}})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "password")
    configuration.set_secret(project, "dev", ("secrets", "TOKEN"), "hunter2", project / "unused")
    assert yaml.safe_load((project / "Pulumi.dev.yaml").read_text())["encryptionsalt"] == PULUMI_SALT
    assert json.loads(read(project).values["shop:secrets"]) == {"TOKEN": "hunter2"}
    assert not (project / "unused").exists()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    with pytest.raises(DeploymentError, match="passphrase does not open"):
        read(project)


def test_a_passphrase_may_come_from_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"encryptionsalt": PULUMI_SALT, "config": {}})
    (project / "phrase").write_text("password\n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(project / "phrase"))
    configuration.set_secret(project, "dev", ("token",), "hunter2", project / "unused")
    assert read(project).values["shop:token"] == "hunter2"


def test_secrets_without_their_passphrase_say_what_is_needed(project: Path) -> None:
    write(project, {"encryptionsalt": PULUMI_SALT, "config": {"shop:token": {"secure": "v1:AAAA:AAAA"}}})
    with pytest.raises(DeploymentError, match="set PULUMI_CONFIG_PASSPHRASE"):
        read(project)


@pytest.mark.parametrize("name", ["", "../dev", "a b", "-x"])
def test_a_name_that_no_stack_can_have(project: Path, name: str) -> None:
    with pytest.raises(DeploymentError, match="is not the name of a stack"):
        configuration.read_document(project, name)


def test_a_stack_that_is_not_there_names_those_that_are(project: Path) -> None:
    write(project, {"config": {}}, "dev")
    write(project, {"config": {}}, "prod")
    with pytest.raises(DeploymentError, match=r"no stack 'test'.*Stacks here: dev, prod"):
        configuration.read_document(project, "test")


@pytest.mark.parametrize("text", ["config: [", "config: text", "- a list"])
def test_a_file_that_is_no_configuration_is_one_error(project: Path, text: str) -> None:
    (project / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(DeploymentError, match=r"Pulumi\.dev\.yaml"):
        configuration.read_document(project, "dev")
