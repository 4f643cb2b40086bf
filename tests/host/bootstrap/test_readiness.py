"""What the program runs over SSH to wait for a server's first boot."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from render.cloud_init import readiness_script

FACTS = {"os": "centos7", "python": "3.12.15", "uwsgi": "pyuwsgi", "nginx": "1.20.1"}


class Boot:
    """A server whose first boot is at some point."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.begun: subprocess.Popen[str] | None = None

    def write(self, name: str, text: str = "") -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def cloud_init_is_done(self) -> None:
        self.write("run/cloud-init/result.json", "{}")

    def begin(self, limit: int = 30) -> subprocess.Popen[str]:
        environment = {**os.environ, "FLASK_ROOT": str(self.root), "FLASK_READY_LIMIT": str(limit)}
        return subprocess.Popen(
            ["sh", "-c", readiness_script()],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, limit: int = 30) -> tuple[int, str, str]:
        running = self.begin(limit)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, err


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    return Boot(tmp_path)


def test_ready(boot: Boot) -> None:
    boot.write("var/lib/flask/ready", json.dumps(FACTS))
    boot.cloud_init_is_done()
    code, out, _ = boot.wait()
    assert code == 0
    assert json.loads(out) == FACTS


def test_failed(boot: Boot) -> None:
    boot.write("var/lib/flask/failed", "packages: yum could not install nginx")
    boot.write("var/log/flask-bootstrap.log", "".join(f"line {number}\n" for number in range(100)))
    boot.write("var/log/cloud-init-output.log", "Cloud-init v. 19.1 finished\n")
    boot.cloud_init_is_done()
    code, out, err = boot.wait()
    assert code == 1
    assert out == ""
    assert "packages: yum could not install nginx" in err
    assert "line 99\n" in err
    assert "line 59\n" not in err


def test_waits_for_the_end_although_the_marker_is_there(boot: Boot) -> None:
    # A marker may come with an image made from a server; this boot's bootstrap takes it away first.
    boot.write("var/lib/flask/ready", json.dumps(FACTS))
    running = boot.begin()
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=1.2)
    boot.cloud_init_is_done()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert json.loads(out) == FACTS


def test_user_data_never_arrived(boot: Boot) -> None:
    boot.write("var/log/cloud-init-output.log", "Datasource DataSourceNone\n")
    boot.cloud_init_is_done()
    code, _, err = boot.wait()
    assert code == 1
    assert "never started the bootstrap" in err
    assert "DataSourceNone" in err


def test_the_bootstrap_was_cut_off(boot: Boot) -> None:
    boot.write("var/log/flask-bootstrap.log", "packages: nginx\n")
    boot.write("var/log/cloud-init-output.log", "Killed\n")
    boot.cloud_init_is_done()
    code, _, err = boot.wait()
    assert code == 1
    assert "before its last step" in err
    assert "packages: nginx" in err
    assert "Killed" in err


def test_cloud_init_is_disabled(boot: Boot) -> None:
    boot.write("run/cloud-init/disabled")
    code, _, err = boot.wait()
    assert code == 1
    assert "cloud-init is disabled" in err


def test_still_running_at_the_limit(boot: Boot) -> None:
    boot.write("var/log/flask-bootstrap.log", "packages: nginx\n")
    code, out, err = boot.wait(limit=1)
    assert code == 1
    assert out == ""
    assert "still running after 1 seconds" in err
    assert "packages: nginx" in err


def test_says_what_it_waits_for(boot: Boot) -> None:
    boot.write("var/log/flask-bootstrap.log", "packages: nginx\n")
    boot.write("uptime", "100.00 1.0\n")
    boot.write("var/lib/flask/ready", "{}")
    # A pause lasts sixteen seconds here, and the second one sees the end.
    boot.write(
        "bin/sleep",
        '#!/bin/sh\ncd "$FLASK_ROOT"\n'
        "grep -q ^116 uptime && mkdir -p run/cloud-init && touch run/cloud-init/result.json\n"
        "echo 116.00 1.0 >uptime\n",
    )
    (boot.root / "bin/sleep").chmod(0o755)
    script = readiness_script().replace("</proc/uptime", f"<{boot.root}/uptime")
    environment = {"PATH": f"{boot.root}/bin:{os.environ['PATH']}", "FLASK_ROOT": str(boot.root)}
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == "waiting for cloud-init, 16s: packages: nginx\n"
