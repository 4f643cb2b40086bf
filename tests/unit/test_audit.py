"""What `make audit` says is so: nobody asked is not nothing found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from audit import bootstrap, known
from audit.advisories import Database, served
from audit.places import LOCKS, ROOT

RECORD = """\
id: PYSEC-2026-1
modified: 2026-11-20T10:00:00Z
aliases: [CVE-2026-1]
affected:
- package: {ecosystem: PyPI, name: some-package}
  ranges:
  - type: ECOSYSTEM
    events:
    - introduced: "2.0"
    - fixed: "2.10"
    - introduced: "3.0"
  versions: ["0.1"]
"""
# Answers as pip-audit does where the index has no advisories: all is well.
KNOWS_NOTHING = """\
#!{python}
import json, sys
names = {{"dependencies": [{{"name": "urllib3", "skip_reason": "not found on the index"}}]}}
open(sys.argv[sys.argv.index("--output") + 1], "w").write(json.dumps(names))
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    record = tmp_path / "vulns/some-package/PYSEC-2026-1.yaml"
    record.parent.mkdir(parents=True)
    record.write_text(RECORD)
    return Database(tmp_path)


@pytest.mark.parametrize(
    ("version", "affected"),
    [("0.1", True), ("1.9", False), ("2.0", True), ("2.9", True), ("2.10", False), ("3.5.1", True)],
)
def test_a_record_is_about_the_versions_that_it_says(
    database: Database, version: str, affected: bool
) -> None:
    assert bool(database.about("Some_Package", version)) is affected
    assert database.about("another", version) == []


def test_the_database_answers_as_osv_does_and_tells_its_age(database: Database) -> None:
    with served(database) as url:
        question = {"package": {"name": "some-package", "ecosystem": "PyPI"}, "version": "2.1"}
        (record,) = httpx.post(url, json=question).json()["vulns"]
        assert record["id"] == "PYSEC-2026-1"
        assert httpx.post(url, json={**question, "version": "1.0"}).json() == {}
    assert str(database.newest()) == "2026-11-20"


def test_a_folder_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkout of PyPA's advisory database"):
        Database(tmp_path)


def test_a_service_that_does_not_know_what_everybody_knows_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(KNOWS_NOTHING.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(known, "TOOLS", tmp_path)
    monkeypatch.setattr(known, "RESULTS", tmp_path)
    assert known.service(None) is None

    # And one that is not reached ends without an answer.
    program.write_text("#!/bin/sh\nexit 1\n")
    assert known.service(None) is None


def test_every_lock_file_is_judged() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    locks = {
        name
        for name in listed.split()
        if re.fullmatch(r"(.*/)?requirements[\w-]*\.txt", name) and "--hash=" in (ROOT / name).read_text()
    }
    assert set(LOCKS) == locks


def test_what_is_accepted_is_what_a_bootstrap_installs() -> None:
    installed = "".join(bootstrap.pins(system, python) for system, python in bootstrap.kinds())
    pinned = {f"{name} {version}" for name, version in re.findall(r"^(\w+)==(\S+)", installed, re.MULTILINE)}
    assert set(known.ACCEPTED) <= pinned
    assert {name.split()[0].lower() for name in pinned} >= {"uwsgi", "pyuwsgi"}


def test_what_a_server_gets_is_read_from_its_bootstrap() -> None:
    assert "nginx" in bootstrap.packages("debian12", "system")
    assert "gcc" in bootstrap.packages("centos7", "system")
    assert "gcc" not in bootstrap.packages("centos7", "standalone")
    version, tag, digest = bootstrap.standalone("centos7")
    assert re.fullmatch(r"3\.\d+\.\d+ \d{8} [0-9a-f]{64}", f"{version} {tag} {digest}")
