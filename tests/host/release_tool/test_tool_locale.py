"""Names and words in every language, whatever the caller's locale is: over SSH it is often LC_ALL=C."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .fake_host import FLAGS, TOOL, FakeHost
from .test_tool_python36 import python36

APPLICATION = """
import os
from pathlib import Path
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [(os.environ["GREETING"] + Path(__file__).with_name("Grüße.txt").read_text(encoding="utf-8")).encode()]
"""
# A newer Python takes LC_ALL=C for UTF-8, unless told to be as Python 3.6 is.
AS_36 = (*FLAGS, "-X", "utf8=0")


@pytest.fixture(params=["this Python", "Python 3.6"])
def abroad(host: FakeHost, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A host whose operator has the locale C; with a Python 3.6, where this machine has one."""
    found = python36()
    if request.param == "Python 3.6" and found:
        host.python = found
    host.flags = AS_36
    host.env["LC_ALL"] = "C"
    return host


def test_the_whole_way(abroad: FakeHost) -> None:
    archive = abroad.archive("one", APPLICATION, files={"app/Grüße.txt": "ok", "app/中文/说明.py": "x = 1\n"})
    # As JSON may be, not escaped.
    stdin = json.dumps({"env": {"GREETING": "héllo "}, "author": "Zoë"}, ensure_ascii=False)
    ran = abroad.run("release", str(archive), stdin=stdin)
    assert ran.code == 0, ran.err
    assert abroad.visit() == (200, "héllo ok")
    code = abroad.root / "srv/flask/releases" / ran.result["release"] / "app"
    assert (code / "中文/说明.py").exists()
    assert "Zoë" in abroad.run("releases").out
    said = abroad.run("doctor")
    assert said.err == ""
    assert "current.sock → a/app.sock" in said.out
    within = abroad.run("run", "sh", "-c", "echo $GREETING$1; ls", "sh", "wörld")
    assert within.code == 0, within.err
    assert within.out.splitlines()[0] == "héllo wörld"
    assert "Grüße.txt" in within.out


def test_an_applications_own_words_when_it_fails(abroad: FakeHost) -> None:
    ran = abroad.release(abroad.archive("bad", 'raise RuntimeError("schön → kaputt")\n'))
    assert ran.code == 1
    assert "schön → kaputt" in ran.err


def test_what_is_no_utf_8_stops_nothing(abroad: FakeHost) -> None:
    state = abroad.root / "var/lib/flask"
    state.mkdir(parents=True, exist_ok=True)
    (state / "failed").write_bytes(b"pip said \xff\xfe\n")
    assert "pip said" in abroad.run("doctor").out
    given = subprocess.run(
        [abroad.python, *abroad.flags, TOOL, "--root", abroad.root, "release", abroad.archive("one")],
        input=b'{"env": {"A": "\xff"}}',
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert (given.returncode, b"Traceback" in given.stderr) == (1, False)
    assert b"Stdin holds no JSON" in given.stderr


def test_the_tool_as_it_is_carried_to_a_server(abroad: FakeHost) -> None:
    """As `./ops doctor` does, where there is none: without isolation from the caller's environment."""
    abroad.flags = ("-B", "-X", "utf8=0")
    said = abroad.run("doctor")
    assert "Traceback" not in said.err
    assert "→" in said.out
