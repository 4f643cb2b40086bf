"""Nothing is pinned that `make renew` does not know."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pins import renew
from pins.table import ALL, PINS, ROOT, By, by_hand

# Files that a program writes: known as a whole.
WHOLE = re.compile(r"(.*/)?(requirements[\w-]*\.txt|package-lock\.json|go\.(mod|sum)|\w+\.lock)")
# What a pin looks like; the first group is its name.
LOOKS = [
    # Python's requirements, with hashes or without, in files of any kind.
    re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*)==\d"),
    # Shell: python_version=3.12.15
    re.compile(r"^\s*(?:local |export )?(\w*(?:version|tag|sha\d+|digest|suite))=[\"']?v?\w*\d", re.I | re.M),
    # Python: VERSIONS = {"alicloud": "4.0.0"}, _SUITE = "bookworm"
    re.compile(r"^(\w*(?:VERSIONS?|SHA\d+|DIGEST))\s*=\s*[({]?.*[\"']v?\d+\.\d", re.M),
    re.compile(r"^(\w*SUITE)\s*=", re.M),
    re.compile(r"image_name_regex=\"([^\"]+)\""),
    # npm
    re.compile(r"^\s*\"(@?[\w/-]+)\": \"[~^]?\d+\.\d+\.\d+\"", re.M),
    # Images and actions.
    re.compile(r"^FROM\s+(?!\$)(\S+)", re.M),
    re.compile(r"^\s*(?:-\s+)?(?:uses|image):\s*[\"']?(\S+[@:][\w.]+)", re.M),
    # A version in an address.
    re.compile(r"https?://[^\s\"']*?(/v?\d+\.\d+[\w.]*)"),
]


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")


def pinned(file: str, text: str) -> set[str]:
    """Names of what is pinned in a file."""
    if WHOLE.fullmatch(file):
        return {ALL}
    return {found[1] for looks in LOOKS for found in looks.finditer(text)}


def all_pinned() -> set[tuple[str, str]]:
    found = set()
    for file in filter(None, tracked()):
        # Prose pins nothing, and what a test makes up is installed by nobody.
        made_up = file.startswith("tests/") and file.endswith((".py", ".txt")) and not WHOLE.fullmatch(file)
        if (
            file.endswith((".md", ".svg"))
            or made_up
            or file == "pins/table.py"
            or not (ROOT / file).is_file()
        ):
            continue
        found |= {(file, name) for name in pinned(file, (ROOT / file).read_text(errors="replace"))}
    return found


def test_every_pin_is_in_the_table_and_nothing_else_is() -> None:
    assert all_pinned() == {(file, name) for file, pins in PINS.items() for name in pins}


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("setup/new.sh", "python3 -m pip install tool==1.2", "tool"),
        ("setup/new.sh", "node_version=22.1.0\n", "node_version"),
        ("sandbox/new.py", 'TOOL_VERSION = "1.4.2"\n', "TOOL_VERSION"),
        ("a/Containerfile", "FROM debian:12\n", "debian:12"),
        (".ci/flow.yml", "      - uses: actions/checkout@v4\n", "actions/checkout@v4"),
        ("cloud-init/new.sh", "curl https://example.org/tool/1.2.3/tool.tar.gz", "/1.2.3"),
        ("other/package.json", '    "left-pad": "^1.3.0"\n', "left-pad"),
        ("other/requirements-x.txt", "", ALL),
    ],
)
def test_a_new_pin_would_be_seen(file: str, text: str, name: str) -> None:
    assert pinned(file, text) == {name}
    assert (file, name) not in {(known, one) for known, pins in PINS.items() for one in pins}


def test_make_lock_renews_each_lock_file() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "lock"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    written = set(re.findall(r"--output-file (\S+)", planned))
    assert written == {file for file, pins in PINS.items() if By.LOCK in pins.values()}


def test_a_pin_for_a_person_says_why() -> None:
    assert all(len(reason) > 20 for _, _, reason in by_hand())


# What is raised, and what is not. The resolver itself asks the index, which these tests do not.


def test_pins_are_raised_where_they_stand_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolver(requirements: str) -> dict[str, str]:
        asked.append(requirements)
        return {"pulumi": "4.0.0", "pulumi-tls": "5.6.2", "gunicorn": "27.0.1"}

    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\ndependencies = [\n    "pulumi==3.272.0",  # why\n    "pulumi-tls==5.6.2",\n    "pyyaml>=6,<7",\n]\n'
        "[dependency-groups]\ndev = []\n"
    )
    monkeypatch.setattr(renew, "ROOT", tmp_path)
    monkeypatch.setattr(renew, "PINS", {"pyproject.toml": PINS["pyproject.toml"]})
    monkeypatch.setattr(renew, "_resolved", resolver)
    assert renew.index() == ["pyproject.toml: pulumi 3.272.0 → 4.0.0"]
    assert asked == ["pulumi>=3.272.0\npulumi-tls==5.6.2\npyyaml>=6,<7\n"]
    assert '"pulumi==4.0.0",  # why\n    "pulumi-tls==5.6.2",' in file.read_text()


@pytest.mark.parametrize(("newest", "is_newer"), [("3.12.16+20261120", True), ("3.12.15+20261021", False)])
def test_the_standalone_python_comes_with_tag_and_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: str, is_newer: bool
) -> None:
    script = tmp_path / "cloud-init/centos7.sh"
    script.parent.mkdir()
    script.write_text("python_version=3.12.15\npython_tag=20261021\npython_sha256=aa\nother=1\n")
    builds = [("cpython-3.12.9+20250101-x", "cc"), (f"cpython-{newest}-x", "bb")]
    monkeypatch.setattr(renew, "ROOT", tmp_path)
    monkeypatch.setattr(renew, "_builds", lambda minor: builds if minor == "3.12" else [])
    said = renew.standalone_python()
    assert bool(said) is is_newer
    assert ("**new server**" in "".join(said)) is is_newer
    digest = "bb" if is_newer else "aa"
    version, tag = newest.split("+")
    assert (
        script.read_text() == f"python_version={version}\npython_tag={tag}\npython_sha256={digest}\nother=1\n"
    )
