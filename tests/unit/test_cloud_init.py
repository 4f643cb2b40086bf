"""User data, read as cloud-init reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from render import cloud_init
from render.cloud_init import MAX_BYTES, readiness_script, user_data
from render.profiles import PROFILES

KEY = Ed25519PrivateKey.generate()
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
).decode()
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
)
MIRROR = "https://mirror.example/python-build-standalone"
SOURCES = Path(cloud_init.__file__).parents[1] / "cloud-init"
VARIANTS = [(name, python) for name, profile in PROFILES.items() for python in profile.pythons]
# Modules and keys of cloud-init that came after 19.1, or that are slow or skipped there.
NOT_IN_19_1 = {"packages", "yum_repos", "apt", "bootcmd", "ssh_genkeytypes", "power_state"}


def rendered(name: str, python: str, mirror: str | None = MIRROR) -> str:
    return user_data(
        PROFILES[name],
        host_key_private=PRIVATE,
        host_key_public=PUBLIC,
        python=python,
        python_mirror=mirror,
    )


@pytest.fixture(params=VARIANTS, ids="-".join)
def text(request: pytest.FixtureRequest) -> str:
    name, python = request.param
    return rendered(name, python)


@pytest.fixture
def document(text: str) -> Any:
    return yaml.safe_load(text)


def test_cloud_init_finds_it_valid(text: str, tmp_path: Path) -> None:
    program = shutil.which("cloud-init")
    assert program, "cloud-init is not installed: apt-get install cloud-init"
    file = tmp_path / "user-data"
    file.write_text(text)
    checked = subprocess.run(
        [program, "schema", "--config-file", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Valid cloud-config" in checked.stdout


def test_fits_with_room_to_spare(text: str) -> None:
    # Older regions and documents say 16 KB; what is above it has to be worth it.
    assert len(text.encode()) <= MAX_BYTES * 3 // 4
    assert text.startswith("#cloud-config\n")
    assert text.isascii()


def test_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_init, "MAX_BYTES", 4000)
    with pytest.raises(ValueError, match=r"user data for debian12 is \d+ bytes; ECS takes at most 4000"):
        rendered("debian12", "system")


def test_the_host_key_is_the_given_one_and_the_only_one(document: Any) -> None:
    keys = document["ssh_keys"]
    assert set(keys) == {"ed25519_private", "ed25519_public"}
    loaded = serialization.load_ssh_private_key(keys["ed25519_private"].encode(), password=None)
    assert loaded.public_key() == KEY.public_key()
    assert keys["ed25519_private"].endswith("-----END OPENSSH PRIVATE KEY-----\n")
    assert keys["ed25519_public"] == PUBLIC
    assert document["ssh_deletekeys"] is True


def test_root_comes_in_by_key_alone(document: Any) -> None:
    assert document["disable_root"] is False
    assert document["ssh_pwauth"] is False
    assert "password" not in document
    assert "chpasswd" not in document


def test_knows_nothing_newer_than_cloud_init_19_1(document: Any) -> None:
    assert not NOT_IN_19_1 & set(document)
    for file in document["write_files"]:
        # An owner that does not exist yet would abort the module; deferring came with 21.4.
        assert set(file) == {"path", "permissions", "content"}
        assert file["permissions"] == "0700"


def test_one_command_runs_the_systems_script(text: str, document: Any) -> None:
    (command,) = document["runcmd"]
    assert command[0] == "env"
    assert command[-2] == "bash"
    paths = [file["path"] for file in document["write_files"]]
    assert command[-1] in paths
    assert len(paths) == 2


@pytest.mark.parametrize(("name", "python"), VARIANTS)
def test_the_settings_reach_the_script(name: str, python: str) -> None:
    (command,) = yaml.safe_load(rendered(name, python))["runcmd"]
    assert f"FLASK_PYTHON={python}" in command
    assert f"FLASK_PYTHON_MIRROR={MIRROR}" in command
    (without,) = yaml.safe_load(rendered(name, python, mirror=None))["runcmd"]
    assert "FLASK_PYTHON_MIRROR=" in without


def test_the_same_input_gives_the_same_text(text: str) -> None:
    again = [rendered(name, python) for name, python in VARIANTS]
    assert text in again
    assert len(set(again)) == len(VARIANTS)


def scripts(document: Any) -> Iterator[tuple[str, str]]:
    for file in document["write_files"]:
        yield Path(file["path"]).name, file["content"]


def test_scripts_arrive_whole_but_for_their_comments(document: Any) -> None:
    for name, content in scripts(document):
        written = (SOURCES / name).read_text().splitlines()
        kept = [line for line in written if line.strip() and not line.lstrip().startswith("#")]
        assert content.splitlines() == kept


def test_here_documents_hold_no_line_that_looks_like_a_comment() -> None:
    for source in SOURCES.glob("*.sh"):
        for _, body in re.findall(r"(?ms)<<-?'?(\w+)'?\n(.*?)^\1$", source.read_text()):
            assert not [
                line for line in body.splitlines() if line.lstrip().startswith("#") or not line.strip()
            ]


def test_scripts_are_bash_after_the_comments_are_gone(document: Any) -> None:
    for name, content in scripts(document):
        checked = subprocess.run(["bash", "-n"], input=content, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{name}: {checked.stderr}"


def test_shellcheck() -> None:
    standins = Path(__file__).parents[1] / "host/bootstrap/standins"
    files = [*SOURCES.glob("*.sh"), *standins.iterdir()]
    checked = subprocess.run(
        [str(Path(sys.executable).with_name("shellcheck")), "-x", *map(str, files)],
        cwd=SOURCES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_bash_newer_than_4_2() -> None:
    # What CentOS 7's bash does not know: from the list of changes since 4.2.
    newer = re.compile(
        r"local -n|declare -n|wait -n|@[QEPAaUuLK]\}|mapfile -d|inherit_errexit|EPOCH(SECONDS|REALTIME)|\$\{\w+\[-"
    )
    for source in SOURCES.glob("*.sh"):
        for line in source.read_text().splitlines():
            assert not newer.search(line), f"{source.name}: {line}"


def test_the_readiness_script_is_for_any_shell(tmp_path: Path) -> None:
    for shell in ("dash", "bash"):
        checked = subprocess.run(
            [shell, "-n"], input=readiness_script(), capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_the_readiness_script_gives_up_before_pulumi_does() -> None:
    from components.server import READY_TIMEOUT  # noqa: PLC0415

    limit = re.search(r"FLASK_READY_LIMIT:-(\d+)", readiness_script())
    assert limit
    assert READY_TIMEOUT == "25m"
    assert int(limit[1]) < 25 * 60
