"""The bootstrap of Debian 12, run with stand-ins for apt-get, dpkg-query and the rest of a system."""

from __future__ import annotations

from pathlib import Path

import pytest

from .server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path, "debian12", "system")
    made.offer("nginx", "python3-venv", "ca-certificates", "logrotate")
    return made


def test_a_bare_server_becomes_ready(server: Server) -> None:
    done = server.boot()
    assert done.returncode == 0, done.stdout + done.stderr + server.read("var/log/flask-bootstrap.log")
    facts = server.marker()
    assert facts["os"] == "debian12"
    assert server.exists(f"opt/flask/wheels/{facts['uwsgi']}")
    assert server.calls("usermod") == ["usermod --append --groups flask www-data"]
    assert server.owner_and_mode("var/log/flask") == ("root:www-data", "0o750")


def test_nginx_does_not_serve_its_welcome_page(server: Server) -> None:
    server.boot()
    assert "nginx serves" not in server.calls()
    assert server.calls("systemctl") == ["systemctl disable --now nginx.service"]
    assert not server.exists("usr/sbin/policy-rc.d")


def test_what_the_image_brings_is_not_touched(server: Server) -> None:
    server.boot()
    (server.world / "installed/logrotate").unlink()
    server.forget_calls()
    assert server.boot().returncode == 0
    (install,) = [call for call in server.calls("apt-get") if " install " in call]
    assert install.endswith(" install logrotate")


def test_a_second_run_changes_nothing(server: Server) -> None:
    server.boot()
    first = server.marker()
    server.forget_calls()
    assert server.boot().returncode == 0
    assert server.marker() == first
    for program in ("apt-get", "useradd", "groupadd"):
        assert server.calls(program) == []
    assert [call for call in server.calls("python3") if " -c " not in call] == []


def test_the_archive_does_not_answer(server: Server) -> None:
    (server.world / "fail").mkdir()
    (server.world / "fail/apt-get-update").touch()
    assert server.boot().returncode == 1
    assert "apt-get update failed" in server.failure()
    assert len(server.calls("apt-get")) == 3


@pytest.mark.parametrize("package", ["nginx", "python3-venv"])
def test_a_package_is_missing(server: Server, package: str) -> None:
    (server.world / "packages" / package).unlink()
    assert server.boot().returncode == 1
    assert "could not install" in server.failure()
    assert package in server.failure()
    assert not server.exists("usr/sbin/policy-rc.d")


def test_an_images_own_policy_for_services_stays(server: Server) -> None:
    server.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
    (server.root / "usr/sbin/policy-rc.d").chmod(0o755)
    assert server.boot().returncode == 0
    assert server.exists("usr/sbin/policy-rc.d")


def test_pip_fails(server: Server) -> None:
    (server.world / "fail").mkdir()
    (server.world / "fail/pip").touch()
    assert server.boot().returncode == 1
    assert "pip could not download uWSGI" in server.failure()
    assert "No matching distribution" in server.read("var/log/flask-bootstrap.log")


def test_an_image_of_another_system(server: Server) -> None:
    server.write("etc/os-release", 'ID=debian\nVERSION_ID="13"\n')
    assert server.boot().returncode == 1
    assert "the image holds debian 13, and os is debian12" in server.failure()
