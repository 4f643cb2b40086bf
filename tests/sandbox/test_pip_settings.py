"""Which of this machine's pip settings an instance gets, checked by pip's own reading of the file."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path

from sandbox.pip_settings import PipSettings, pip_settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def read(settings: PipSettings) -> dict[str, str]:
    parser = RawConfigParser()
    parser.read_string(settings.content)
    return dict(parser["global"])


def test_index_and_patience_of_the_environment(tmp_path: Path) -> None:
    environment = {
        "PIP_INDEX_URL": "https://user:p%40ss@index.invalid/simple",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_TRUSTED_HOST": "index.invalid",
        "PIP_REQUIRE_VIRTUALENV": "1",
    }

    settings = read(pip_settings(environment, tmp_path))

    assert settings["index-url"] == environment["PIP_INDEX_URL"]
    assert settings["timeout"] == "180"
    assert settings["trusted-host"] == "index.invalid"
    assert "require-virtualenv" not in settings


def test_the_environment_is_stronger_than_the_accounts_file(tmp_path: Path) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://file.invalid/\nretries = 7\n[install]\nextra_index_url = https://extra.invalid/\n"
    )

    settings = read(pip_settings({"PIP_INDEX_URL": "https://environment.invalid/"}, tmp_path))

    assert settings["index-url"] == "https://environment.invalid/"
    assert settings["retries"] == "7"
    assert settings["extra-index-url"] == "https://extra.invalid/"


def test_folders_of_wheels_are_mounted_and_addresses_stay(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    environment = {"PIP_FIND_LINKS": f"{wheels} https://links.invalid/ {tmp_path}/absent file://{wheels}"}

    settings = pip_settings(environment, tmp_path)

    mounted = settings.mounts[str(wheels)]
    assert len(settings.mounts) == 1
    assert read(settings)["find-links"].split() == [mounted, "https://links.invalid/", mounted]


def test_certificates(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_text("")

    # The bundle is mounted in any case, at the same path.
    for environment in ({}, {"PIP_CERT": BUNDLE}):
        settings = pip_settings(environment, tmp_path)
        assert read(settings)["cert"] == BUNDLE
        assert settings.mounts == {}
    settings = pip_settings({"PIP_CERT": str(own)}, tmp_path)
    assert read(settings)["cert"] == settings.mounts[str(own)]


def test_a_file_pip_could_not_read_is_left_out(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("index-url = https://no.section.invalid/\n")

    assert "index-url" not in read(pip_settings({"PIP_CONFIG_FILE": str(broken)}, tmp_path))
