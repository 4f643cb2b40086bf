"""sshd's settings: put first, only when sshd takes them, and taken out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fake_host import FakeHost

OURS = "PasswordAuthentication no\nMaxAuthTries 4\n"
DEBIAN = "# Debian's\nInclude /etc/ssh/sshd_config.d/*.conf\n\nUsePAM yes\n"
CENTOS = "# CentOS 7's\nPasswordAuthentication yes\nUsePAM yes\n"
# Refuses what holds the word.
SSHD = """#!/bin/sh
echo "sshd $*" >>"@ROOT@/fake/calls"
if grep -q NONSENSE "$3"; then echo "$3: line 1: Bad configuration option: NONSENSE" >&2; exit 255; fi
"""


@pytest.fixture
def main(host: FakeHost) -> Path:
    """sshd_config of a host that has a stand-in for sshd, which runs."""
    place = host.root / "fake/bin/sshd"
    place.write_text(SSHD.replace("@ROOT@", str(host.root)))
    place.chmod(0o755)
    (host.root / "etc/ssh/sshd_config.d").mkdir(parents=True)
    (host.root / "fake/units/ssh.service").write_text("0\n")
    return host.root / "etc/ssh/sshd_config"


def configure(host: FakeHost, name: str, ours: str | None) -> str:
    """Configure with, or without, settings for sshd; what was said."""
    ran = host.run("configure", str(host.bundle(name, {} if ours is None else {"etc/flask/sshd.conf": ours})))
    assert ran.code == 0, ran.err
    return ran.err


def test_where_sshd_reads_a_folder_ours_is_a_file_in_it(host: FakeHost, main: Path) -> None:
    main.write_text(DEBIAN)
    configure(host, "one", OURS)
    place = main.parent / "sshd_config.d/10-flask.conf"
    assert OURS in place.read_text()
    assert place.stat().st_mode & 0o077 == 0
    assert main.read_text() == DEBIAN
    assert {path.name for path in main.parent.iterdir()} == {"sshd_config", "sshd_config.d"}
    calls = [call.split()[:3] for call in host.calls()]
    assert calls.index(["sshd", "-t", "-f"]) < calls.index(["systemctl", "reload", "ssh.service"])
    configure(host, "two", None)
    assert not place.exists()


def test_where_it_does_not_ours_comes_before_all_else(host: FakeHost, main: Path) -> None:
    main.write_text(CENTOS)
    configure(host, "one", OURS)
    assert main.read_text().index("PasswordAuthentication no") < main.read_text().index(
        "PasswordAuthentication yes"
    )
    assert main.read_text().endswith(CENTOS)
    configure(host, "two", OURS.replace("4", "3"))
    assert main.read_text().count("MaxAuthTries") == 1
    assert "MaxAuthTries 3" in main.read_text()
    configure(host, "three", None)
    assert main.read_text() == CENTOS


@pytest.mark.parametrize("theirs", [DEBIAN, CENTOS])
def test_what_sshd_refuses_is_never_in_force(host: FakeHost, main: Path, theirs: str) -> None:
    main.write_text(theirs)
    said = configure(host, "one", "NONSENSE yes\n")
    assert "Bad configuration option: NONSENSE" in said
    assert "sshd keeps its settings" in said
    assert main.read_text() == theirs
    assert list((main.parent / "sshd_config.d").iterdir()) == []
    assert "systemctl reload ssh.service" not in host.calls()


def test_settings_that_are_in_force_are_left_alone(host: FakeHost, main: Path) -> None:
    main.write_text(DEBIAN)
    configure(host, "one", OURS)
    host.forget_calls()
    configure(host, "two", OURS)
    assert not [call for call in host.calls() if "ssh" in call]
