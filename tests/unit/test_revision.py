"""Which commit an application is, asked of a real git."""

import json
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from render.release import application_release
from render.revision import Revision, revision


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text("app = None\n")
    (tmp_path / "app" / "requirements.txt").write_text("flask\n")
    commit(tmp_path, "the application")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")[:12]


def test_the_last_commit_that_touched_the_folder(checkout: Path) -> None:
    first = revision(checkout / "app")
    assert first == Revision(git(checkout, "rev-parse", "HEAD")[:12], "Ada")
    (checkout / "README").write_text("beside it\n")
    commit(checkout, "beside it")
    assert revision(checkout / "app") == first


def test_changed_files_show(checkout: Path) -> None:
    (checkout / "app" / "new.py").write_text("")
    assert revision(checkout / "app").commit.endswith("+")


def test_a_folder_that_git_does_not_know(tmp_path: Path) -> None:
    assert revision(tmp_path) == Revision()


def test_a_release_carries_it_without_being_named_by_it(checkout: Path) -> None:
    before = application_release(checkout / "app", "app", "app")
    git(
        checkout,
        "commit",
        "--quiet",
        "--amend",
        "--message",
        "the same, said better",
        "--author",
        "Bo <b@example.com>",
    )
    after = application_release(checkout / "app", "app", "app")
    assert before.archive.digest == after.archive.digest
    with tarfile.open(fileobj=BytesIO(after.archive.content)) as tar:
        facts = json.load(tar.extractfile("release.json"))  # type: ignore[arg-type]
    assert facts["author"] == "Bo"
    assert facts["commit"] == git(checkout, "rev-parse", "HEAD")[:12]
