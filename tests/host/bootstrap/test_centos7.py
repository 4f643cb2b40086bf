"""The bootstrap of CentOS 7, run with stand-ins for yum, rpm, curl and the rest of a system past its end of life."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from .server import Server, python_archive

VPC_VAULT = "http://mirrors.cloud.aliyuncs.com/centos-vault/7.9.2009"
CHINA_VAULT = "https://mirrors.aliyun.com/centos-vault/7.9.2009"
VAULT = "https://vault.centos.org/7.9.2009"
VPC_EPEL = "http://mirrors.cloud.aliyuncs.com/epel-archive/7/x86_64"
EPEL = "https://archives.fedoraproject.org/pub/archive/epel/7/x86_64"
PYTHON_FILE = "20261021/cpython-3.12.15%2B20261021-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
MIRROR = "https://mirror.example/python"
ASTRAL_PYTHON = "https://releases.astral.sh/github/python-build-standalone/releases/download"
GITHUB_PYTHON = "https://github.com/astral-sh/python-build-standalone/releases/download"


def new_server(
    folder: Path,
    python: str = "standalone",
    mirror: str | None = None,
    vaults: tuple[str, ...] = (VPC_VAULT, VAULT),
    epels: tuple[str, ...] = (VPC_EPEL, EPEL),
) -> Server:
    made = Server(folder, "centos7", python, mirror)
    made.offer("epel-release", "nginx", "logrotate", "ca-certificates", "python3", "python3-devel", "gcc")
    for vault in vaults:
        made.serve(f"{vault}/os/x86_64/repodata/repomd.xml")
    for epel in epels:
        made.serve(f"{epel}/repodata/repomd.xml")
    archive = python_archive()
    made.pin_python(archive)
    made.serve(f"{ASTRAL_PYTHON}/{PYTHON_FILE}", archive)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return new_server(tmp_path)


def baseurls(server: Server, repo: str) -> list[list[str]]:
    lines = server.read(f"etc/yum.repos.d/{repo}.repo").splitlines()
    return [line.removeprefix("baseurl=").split() for line in lines if line.startswith(("baseurl=", " "))]


def test_a_bare_server_becomes_ready(server: Server) -> None:
    done = server.boot()
    assert done.returncode == 0, done.stdout + done.stderr + server.read("var/log/flask-bootstrap.log")
    facts = server.marker()
    assert facts["os"] == "centos7"
    assert facts["nginx"] == "1.20.1"
    assert facts["uwsgi"] == "pyuwsgi-2.0.30-py3-none-any.whl"
    assert server.exists(f"opt/flask/wheels/{facts['uwsgi']}")
    assert facts["python"].startswith("3.")
    assert not server.exists("var/lib/flask/failed")
    assert "ready: " in done.stdout
    assert "ready: " in server.read("var/log/flask-bootstrap.log")


def test_yum_uses_the_archives_only(server: Server) -> None:
    server.boot()
    calls = server.calls("yum")
    assert calls
    for call in calls:
        assert "--disablerepo=* --enablerepo=flask-* " in call
    assert baseurls(server, "flask-centos") == [
        [f"{root}/{name}/x86_64/" for root in (VPC_VAULT, VAULT)] for name in ("os", "updates", "extras")
    ]
    assert baseurls(server, "flask-epel") == [[f"{VPC_EPEL}/", f"{EPEL}/"]]
    for repo in ("flask-centos", "flask-epel"):
        text = server.read(f"etc/yum.repos.d/{repo}.repo")
        assert (
            text.count("gpgcheck=1")
            == text.count("gpgkey=file:///etc/pki/rpm-gpg/")
            == text.count("baseurl=")
        )


def test_the_next_archive_takes_over(tmp_path: Path) -> None:
    server = new_server(tmp_path, vaults=(CHINA_VAULT,), epels=(EPEL,))
    done = server.boot()
    assert done.returncode == 0
    assert baseurls(server, "flask-centos")[0] == [f"{CHINA_VAULT}/os/x86_64/"]
    assert baseurls(server, "flask-epel") == [[f"{EPEL}/"]]
    assert f"no answer from {VPC_VAULT}" in done.stdout


def test_no_archive_of_centos(tmp_path: Path) -> None:
    server = new_server(tmp_path, vaults=())
    done = server.boot()
    assert done.returncode == 1
    assert "no archive of CentOS 7.9 answers" in server.failure()
    assert VPC_VAULT in server.failure()
    assert VAULT in server.failure()
    assert server.failure().strip() in done.stdout
    assert server.calls("yum") == []


def test_no_archive_of_epel(tmp_path: Path) -> None:
    server = new_server(tmp_path, epels=())
    assert server.boot().returncode == 1
    assert "no archive of EPEL 7 answers" in server.failure()


def test_an_archive_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    server = new_server(tmp_path, vaults=())
    # The network of a first boot: the name resolves from the second round on.
    place = server.world / "web" / f"{VAULT}/os/x86_64/repodata/repomd.xml".replace("://", "/")
    server.install_program("sleep", f"#!/bin/sh\nmkdir -p {place.parent}\ntouch {place}\n")
    assert server.boot().returncode == 0
    assert baseurls(server, "flask-centos")[0] == [f"{VAULT}/os/x86_64/"]


@pytest.mark.parametrize("package", ["nginx", "logrotate", "epel-release"])
def test_a_package_that_the_archive_does_not_have(server: Server, package: str) -> None:
    (server.world / "packages" / package).unlink()
    assert server.boot().returncode == 1
    assert "yum could not install" in server.failure()
    assert package in server.failure()
    assert f"No package {package} available." in server.read("var/log/flask-bootstrap.log")


def test_a_package_that_yum_only_claims_to_have_installed(server: Server) -> None:
    (server.world / "broken").mkdir()
    (server.world / "broken/nginx").touch()
    assert server.boot().returncode == 1
    assert "not installed after yum: nginx" in server.failure()


def test_the_key_of_epel_comes_with_a_signed_package_whose_dead_repository_stays_off(server: Server) -> None:
    server.boot()
    assert "enabled=0" in server.read("etc/yum.repos.d/epel.repo")
    assert server.exists("etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-7")


def test_the_images_own_repositories_are_left_alone(server: Server) -> None:
    own = "[epel]\nbaseurl=http://mirrors.cloud.aliyuncs.com/epel/7/$basearch\nenabled=1\n"
    server.write("etc/yum.repos.d/epel.repo", own)
    assert server.boot().returncode == 0
    assert server.read("etc/yum.repos.d/epel.repo") == own


def test_python_from_the_configured_mirror_first(tmp_path: Path) -> None:
    server = new_server(tmp_path, mirror=MIRROR)
    server.serve(f"{MIRROR}/{PYTHON_FILE}", python_archive())
    assert server.boot().returncode == 0
    assert [call for call in server.calls("curl") if "cpython" in call] == [f"curl {MIRROR}/{PYTHON_FILE}"]


def test_a_wrong_checksum_is_refused_and_the_next_mirror_asked(tmp_path: Path) -> None:
    server = new_server(tmp_path, mirror=MIRROR)
    server.serve(f"{MIRROR}/{PYTHON_FILE}", python_archive() + b"\0")
    done = server.boot()
    assert done.returncode == 0
    assert "wrong checksum" in done.stdout
    assert f"from {ASTRAL_PYTHON}" in done.stdout


def test_no_mirror_has_the_pinned_python(server: Server) -> None:
    for mirror in (ASTRAL_PYTHON, GITHUB_PYTHON):
        server.serve(f"{mirror}/{PYTHON_FILE}", b"something else")
    done = server.boot()
    assert done.returncode == 1
    assert "no mirror has cpython-3.12.15+20261021-x86_64" in server.failure()
    assert done.stdout.count("wrong checksum") == 2
    assert not server.exists("opt/flask/python")


def test_python_belongs_to_root_whoever_built_it(server: Server) -> None:
    server.boot()
    assert (server.root / "opt/flask/python/bin/python3").stat().st_uid == os.geteuid()


def test_python_finds_the_systems_authorities(server: Server) -> None:
    server.write("etc/pki/tls/cert.pem", "authorities")
    server.boot()
    assert server.read("etc/ssl/cert.pem") == "authorities"


def test_the_systems_python_gets_a_uwsgi_built_for_it_and_a_newer_pip(tmp_path: Path) -> None:
    server = new_server(tmp_path, python="system")
    done = server.boot()
    assert done.returncode == 0, server.read("var/log/flask-bootstrap.log")
    assert server.marker()["uwsgi"] == "uWSGI-2.0.31-py3-none-any.whl"
    assert {file.name for file in (server.root / "opt/flask/wheels").iterdir()} == {
        "uWSGI-2.0.31-py3-none-any.whl",
        "pip-21.3.1-py3-none-any.whl",
    }
    assert (server.root / "opt/flask/python/bin/python3").readlink() == server.root / "usr/bin/python3"
    assert {"gcc", "python3-devel"} <= {file.name for file in (server.world / "installed").iterdir()}
    assert not server.exists("opt/flask/build")
    assert [call for call in server.calls("curl") if "cpython" in call] == []


def test_the_systems_python_where_the_standalone_one_was(tmp_path: Path) -> None:
    server = new_server(tmp_path, python="system")
    server.write("opt/flask/python/bin/python3", "#!/bin/sh\nexit 1\n")
    assert server.boot().returncode == 0
    assert (server.root / "opt/flask/python/bin/python3").is_symlink()


@pytest.mark.parametrize("python", ["standalone", "system"])
def test_pip_fails(tmp_path: Path, python: str) -> None:
    server = new_server(tmp_path, python=python)
    (server.world / "fail").mkdir()
    (server.world / "fail/pip").touch()
    assert server.boot().returncode == 1
    assert "uWSGI" in server.failure()
    assert "No matching distribution" in server.read("var/log/flask-bootstrap.log")


def test_pip_9_is_told_an_index_by_its_present_name(tmp_path: Path) -> None:
    """Its own default is the index's old one. The pip that it installs, which does the rest, knows the new one."""
    server = new_server(tmp_path, python="system")
    (server.world / "fail").mkdir()
    (server.world / "fail/pip").touch()
    server.boot()
    for words in ("an old host name", "index-url in /etc/pip.conf", "PIP_INDEX_URL in /etc/environment"):
        assert words in server.failure()


@pytest.mark.parametrize("python", ["standalone", "system"])
def test_a_second_run_changes_nothing(tmp_path: Path, python: str) -> None:
    server = new_server(tmp_path, python=python)
    server.boot()
    first = server.marker()
    server.forget_calls()
    assert server.boot().returncode == 0
    assert server.marker() == first
    for program in ("yum", "curl", "useradd", "groupadd"):
        assert server.calls(program) == []
    assert [call for call in server.calls("python3") if " -c " not in call] == []


def test_a_run_after_a_failed_one(server: Server) -> None:
    (server.world / "packages/nginx").unlink()
    assert server.boot().returncode == 1
    server.offer("nginx")
    assert server.boot().returncode == 0
    assert not server.exists("var/lib/flask/failed")
    assert server.marker()["os"] == "centos7"


def test_a_failed_run_takes_an_earlier_marker_away(server: Server) -> None:
    server.write("var/lib/flask/ready", "{}")
    (server.world / "packages/nginx").unlink()
    assert server.boot().returncode == 1
    assert "nginx" in server.failure()


def test_a_command_that_fails_unforeseen_is_named(server: Server) -> None:
    server.install_program("usermod", "#!/bin/sh\nexit 6\n")
    assert server.boot().returncode == 1
    assert "usermod" in server.failure()
    assert "status 6" in server.failure()


def test_a_failure_is_told_once(server: Server) -> None:
    server.install_program("nginx", "#!/bin/sh\nexit 127\n")
    done = server.boot()
    assert done.returncode == 1
    assert "nginx -v" in server.failure()
    assert done.stdout.count("FAILED") == 1


def test_accounts(server: Server) -> None:
    server.boot()
    (useradd,) = server.calls("useradd")
    assert "--system" in useradd
    assert "--home-dir /srv/flask" in useradd
    assert "nologin flask" in useradd
    assert server.calls("usermod") == ["usermod --append --groups flask nginx"]


def test_folders(server: Server) -> None:
    server.boot()
    for name, owner, mode in [
        ("opt/flask/wheels", "root:root", "0o755"),
        ("srv/flask/releases", "root:root", "0o755"),
        ("srv/flask/shared/instance", "flask:flask", "0o750"),
        ("run/flask", "flask:flask", "0o750"),
        ("etc/flask/env", "root:flask", "0o750"),
        ("var/log/flask", "root:nginx", "0o750"),
        ("var/lib/flask/incoming", "root:root", "0o700"),
    ]:
        assert server.owner_and_mode(name) == (owner, mode)


def test_nginx_waits_until_it_is_configured(server: Server) -> None:
    server.boot()
    assert server.calls("systemctl") == ["systemctl disable --now nginx.service"]
    server.write("etc/flask/host.json", "{}")
    server.forget_calls()
    server.boot()
    assert server.calls("systemctl") == []


def test_pip_gets_what_the_image_says_and_a_home(server: Server) -> None:
    server.write("etc/environment", "# how to get out\nPIP_CERT='/etc/pki/ours.pem'\nPATH=/nowhere\nBROKEN\n")
    server.boot()
    (download,) = server.calls("python3 PIP_CERT=/etc/pki/ours.pem HOME=/root -m pip download ")
    assert "--require-hashes" in download
    assert "--only-binary=:all:" in download


def test_another_processor(server: Server) -> None:
    (server.world / "machine").write_text("aarch64\n")
    assert server.boot().returncode == 1
    assert "aarch64" in server.failure()
    assert server.calls("curl") == []


def test_an_image_of_another_system(server: Server) -> None:
    server.write("etc/os-release", 'NAME="Alibaba Cloud Linux"\nID="alinux"\nVERSION_ID="3"\n')
    assert server.boot().returncode == 1
    assert "the image holds alinux 3, and os is centos7" in server.failure()


def test_a_running_firewall_lets_the_web_in(server: Server) -> None:
    server.install_program("firewall-cmd", (Path(__file__).parent / "standins/chown").read_text())
    server.boot()
    assert server.calls("firewall-cmd") == [
        "firewall-cmd --state",
        "firewall-cmd --permanent --add-service=http --add-service=https",
        "firewall-cmd --reload",
    ]


def test_a_firewall_that_does_not_run_is_left_alone(server: Server) -> None:
    server.install_program("firewall-cmd", '#!/bin/sh\necho "firewall-cmd $*" >>"@WORLD@/calls"\nexit 252\n')
    assert server.boot().returncode == 0
    assert server.calls("firewall-cmd") == ["firewall-cmd --state"]


def test_selinux(server: Server) -> None:
    recorded = (Path(__file__).parent / "standins/chown").read_text()
    for name in ("setsebool", "semodule", "restorecon"):
        server.install_program(name, recorded)
    server.install_program("getenforce", "#!/bin/sh\necho Disabled\n")
    server.boot()
    assert server.calls("se") == []
    server.install_program("getenforce", "#!/bin/sh\necho Enforcing\n")
    assert server.boot().returncode == 0
    assert server.calls("setsebool") == ["setsebool -P httpd_can_network_connect 1"]
    assert server.calls("semodule") == [f"semodule -i {server.root}/var/lib/flask/flask_nginx.cil"]
    assert server.calls("restorecon")


def test_the_log_is_not_for_everyone(server: Server) -> None:
    server.boot()
    assert stat.S_IMODE((server.root / "var/log/flask-bootstrap.log").stat().st_mode) == 0o640
