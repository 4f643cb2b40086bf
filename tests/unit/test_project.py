"""What holds the project together: its lock files and its make targets."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCORES = "tests/scores/requirements.txt"
AUDIT = "audit/requirements.txt"
CERTBOT = "host/flask_certificate/requirements.txt"


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_development_lock_holds_the_other_whole() -> None:
    """`make test` installs it alone."""
    assert len(pins("requirements.txt")) > 10
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


@pytest.mark.parametrize(
    "lock", ["requirements.txt", "requirements-dev.txt", "app/requirements.txt", CERTBOT, SCORES, AUDIT]
)
def test_every_pin_has_its_hashes_and_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert [entry.split()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
    assert "://" not in text


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_make_alone_lists_the_targets() -> None:
    listed = {line.split()[0] for line in make().splitlines()}
    assert {"up", "down", "test", "check", "unit", "lint", "e2e", "bench", "readme", "lock"} <= listed
    phony = set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert listed <= phony


def test_make_test_leaves_nothing_out() -> None:
    planned = make("--dry-run", "test")
    for step in (
        "ruff check",
        "ruff format --check",
        "mypy",
        "shellcheck",
        r"pytest\b.* app/tests$",
        *(rf"pytest\b.* {path.parent.relative_to(ROOT)}( |$)" for path in ROOT.glob("tests/*/__init__.py")),
        *(rf"pytest\b.* tests/{name}( |$)" for name in ("host", "engine", "centos7")),
    ):
        assert re.search(step, planned, re.MULTILINE), step


def test_agents_md_names_what_exists() -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|toml|yaml))`", (ROOT / "AGENTS.md").read_text())
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
