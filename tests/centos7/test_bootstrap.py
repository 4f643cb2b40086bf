"""The bootstrap of CentOS 7 as it stands, in an instance, with signed packages from mirrors that are not all well.

Debian's dnf is its yum, and Debian's Python the system's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from render.cloud_init import readiness_script
from tests.centos7 import archives
from tests.centos7.conftest import Server
from tests.host.files.variants import VARIANTS, write

# A run by hand; why it failed is in its log.
BOOTSTRAP = """
env FLASK_PYTHON=system FLASK_PYTHON_MIRROR= FLASK_RETRY_PAUSE=0 bash /var/lib/flask/bootstrap/centos7.sh ||
    { tail -n 40 /var/log/flask-bootstrap.log; false; }
"""


@pytest.fixture(scope="module")
def ready(server: Server) -> Server:
    """As the program waits for it."""
    done = server.run("sh -s", readiness_script())
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["os"] == "centos7"
    assert facts["uwsgi"].startswith("uWSGI-2.0.31-")
    return server


def test_mirrors_are_used_in_order_and_left_when_they_fail(ready: Server) -> None:
    log = ready.must("cat /var/log/flask-bootstrap.log")
    assert f"no answer from http://{archives.ABSENT}/centos-vault/7.9.2009" in log
    assert f"using https://{archives.HALF}/centos-vault/7.9.2009" in log
    assert f"no answer from https://{archives.HALF}/epel-archive/7/x86_64" in log
    assert f"using https://{archives.EPEL}/pub/archive/epel/7/x86_64" in log
    asked = ready.must("journalctl --unit archive --output cat")
    assert '"GET /centos-vault/7.9.2009/os/x86_64/gcc.rpm HTTP/1.1" 404' in asked
    assert '"GET /7.9.2009/os/x86_64/gcc.rpm HTTP/1.1" 200' in asked


def test_packages_come_from_both_archives_with_what_they_rest_on(ready: Server) -> None:
    installed = set(ready.must("rpm -qa --queryformat '%{NAME}\\n'").split())
    assert {"epel-release", "nginx", "openssl11-libs", "logrotate", "gcc", "python3-devel"} <= installed
    assert ready.must("rpm -V nginx gcc") == ""


def test_keys_of_both_archives_are_checked(ready: Server) -> None:
    keys = ready.must("rpm -qa gpg-pubkey --queryformat '%{SUMMARY}\\n'")
    assert "CentOS" in keys
    assert "EPEL" in keys
    assert "Somebody" not in keys


def test_the_dead_repository_of_epel_release_stays_off(ready: Server) -> None:
    assert "enabled=0" in ready.must("cat /etc/yum.repos.d/epel.repo")
    # So that whoever uses yum without our repositories is not stopped by it.
    ready.must("yum -q repolist --enabled")


def test_nginx_is_there_and_waits(ready: Server) -> None:
    assert ready.run("systemctl is-active nginx").stdout == "inactive\n"
    assert ready.run("systemctl is-enabled nginx").stdout == "disabled\n"
    assert "flask" in ready.must("id -nG nginx").split()


def test_uwsgi_was_built_without_what_has_no_headers_and_serves(ready: Server) -> None:
    assert ready.run("ls /usr/include/openssl /usr/include/libxml2").stdout == ""
    application = "def app(environ, start):\n    start('200 OK', [])\n    return [b'served']\n"
    assert ready.run("mkdir /root/site && cat >/root/site/site_app.py", application).returncode == 0
    ready.must(
        "/opt/flask/python/bin/python3 -m venv --without-pip /root/venv"
        # By the pip that the applications' environments get.
        " && /root/venv/bin/python /opt/flask/wheels/pip-21.3.1-py3-none-any.whl/pip --quiet install"
        " --no-index --no-deps /opt/flask/wheels/uWSGI-*.whl"
        " && systemd-run --quiet --unit site --property Type=notify --working-directory /root/site"
        " /root/venv/bin/uwsgi --strict --master --need-app --http-socket 127.0.0.1:8000 --module site_app:app"
    )
    assert ready.must("curl -fsS http://127.0.0.1:8000/") == "served"


def test_configure_that_fails_brings_up_no_welcome_page(ready: Server, tmp_path: Path) -> None:
    """nginx finds a port taken, and systemd would start it again a second later: with the distribution's files."""
    write(VARIANTS["centos7-unix-address"], tmp_path)
    ready.copy(tmp_path, "/root/bundle")
    configure = (
        "/opt/flask/python/bin/python3 /root/bundle/opt/flask/lib/flask_release configure /root/bundle"
    )
    ready.must(
        "systemd-run --quiet --unit squatter python3 -m http.server --bind 127.0.0.1 81"
        " && until ss -ltn | grep -q :81; do sleep 0.1; done"
    )
    ran = ready.run(configure)
    assert ran.returncode == 1
    assert "`systemctl start nginx.service` failed" in ran.stderr
    assert "Welcome" in ready.must("cat /etc/nginx/nginx.conf")
    # RestartSec is 1.
    ready.must("sleep 2.5")
    assert ready.run("systemctl show -p ActiveState --value nginx").stdout == "inactive\n"
    assert ready.run("systemctl is-enabled nginx").stdout == "disabled\n"
    ready.must(f"systemctl stop squatter && {configure}")
    assert "Welcome" not in ready.must("curl -s http://127.0.0.1/")
    assert ready.must("systemctl is-enabled nginx") == "enabled"


@pytest.mark.parametrize("signed", ["foreign", "unsigned"])
def test_a_package_that_epel_did_not_sign_is_refused(ready: Server, signed: str) -> None:
    repository = f"/srv/archive/{archives.EPEL_PATH}"
    bad: Path = getattr(ready.archives, signed)
    ready.must(f"rpm -e nginx && yum -q clean all && mv {repository} /root/good && mkdir {repository}")
    ready.copy(bad, repository)
    assert ready.run(BOOTSTRAP).returncode == 1
    assert "yum could not install nginx" in ready.must("cat /var/lib/flask/failed")
    assert ready.run("sh -s", readiness_script()).returncode == 1
    assert ready.run("rpm -q nginx").returncode == 1
    # The right one is all it takes.
    ready.must(f"rm -r {repository} && mv /root/good {repository} && yum -q clean all && {BOOTSTRAP}")
    assert ready.run("sh -s", readiness_script()).returncode == 0
