"""The small files: commands, log rotation, temporary files, the tool's settings."""

from __future__ import annotations

import getpass
import grp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from render.host_files import host_files
from tests.host.files.programs import run
from tests.host.files.variants import BLOG, VARIANTS, write

COMMANDS = ("flask-release", "flask-slot")


@pytest.mark.parametrize("command", COMMANDS)
def test_shellcheck_finds_nothing(command: str, tmp_path: Path) -> None:
    write(BLOG, tmp_path)
    checked = run("shellcheck", "--shell=sh", "--enable=all", tmp_path / "opt/flask/bin" / command)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("command", "given", "passed"),
    [
        ("flask-release", ["release", "a file", "--x=*"], ["release", "a file", "--x=*"]),
        ("flask-slot", ["b"], ["slot", "b"]),
    ],
)
def test_commands_start_the_tool_whatever_the_caller_has_set(
    command: str, given: list[str], passed: list[str], tmp_path: Path
) -> None:
    write(BLOG, tmp_path)
    (tmp_path / "opt/flask/python/bin").mkdir(parents=True)
    (tmp_path / "opt/flask/python/bin/python3").symlink_to(sys.executable)
    tool = tmp_path / "opt/flask/lib/flask_release"
    (tool / "__main__.py").write_text("import json, sys; print(json.dumps(sys.argv[1:]))\n")
    # A module of this name in the caller's folder, or on its path, must not come before Python's own.
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    script = tmp_path / "opt/flask/bin" / command
    script.write_text(script.read_text().replace("/opt/flask/", f"{tmp_path}/opt/flask/"))
    done = subprocess.run(
        [script, *given],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == passed


@pytest.mark.parametrize("variant", ["centos7-tcp-domain", "debian12-unix-address"])
def test_logs_are_rotated_and_nginx_opens_new_ones(variant: str, tmp_path: Path) -> None:
    """logrotate itself, on the rendered file; systemctl is a stand-in that writes down its arguments."""
    write(VARIANTS[variant], tmp_path)
    logs = tmp_path / "var/log/flask"
    logs.mkdir(parents=True)
    (logs / "access.log").write_text("a line\n")
    (logs / "releases.jsonl").write_text("{}\n")
    called = tmp_path / "called"
    text = (tmp_path / "etc/logrotate.d/flask").read_text().replace("/var/log/flask", str(logs))
    user = VARIANTS[variant].profile.nginx_user
    text = text.replace(f"create 0640 {user} root", "create 0640").replace(
        "create 0640 root root", "create 0640"
    )
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >>{called}\n')
    stand_in.chmod(0o755)
    text = text.replace("systemctl", str(stand_in))
    (tmp_path / "rotate").write_text(f"su {_me()}\n{text}")
    rotated = run("logrotate", "--force", "--state", tmp_path / "state", tmp_path / "rotate")
    assert rotated.returncode == 0, rotated.stdout
    assert (logs / "access.log").read_text() == ""
    assert (logs / "access.log.1").read_text() == "a line\n"
    assert called.read_text() == "kill --kill-who=main --signal=USR1 nginx.service\n", "once for both files"


def test_the_tool_is_told_what_the_stack_was(tmp_path: Path) -> None:
    for variant in VARIANTS.values():
        told = json.loads(host_files(variant)["etc/flask/host.json"].content)
        assert told["socket"] == variant.socket
        assert told["health_path"] == variant.health.path
        assert told["nginx_user"] == variant.profile.nginx_user
        assert told["check"]["host"] == variant.server_names[0]


def test_the_tool_reads_its_settings(tmp_path: Path) -> None:
    """By the tool's own reader, which refuses a value of the wrong type."""
    write(VARIANTS["debian12-tcp-domain"], tmp_path)
    program = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from flask_release import host, settings\n"
        "read = settings.load(host.Host(pathlib.Path(sys.argv[2])))\n"
        "print(read.socket, read.check.host, read.check.attempts, read.keep_releases, read.watch_seconds)\n"
    )
    read = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "opt/flask/lib", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.split() == ["127.0.0.1:8080", "www.example.com", "3", "5", "1.0"]


def _me() -> str:
    return f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
