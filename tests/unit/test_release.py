import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from health import HealthCheck
from render import folder as folder_module
from render.host_files import HostSettings
from render.profiles import PROFILES
from render.release import Release, application_release, host_archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "application"
    write(made, {"app.py": "app = None\n", "requirements.txt": "flask\n"})
    return made


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def packed(folder: Path) -> Release:
    return application_release(folder, "app", "app")


def entries(made: Release) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(made.archive.content)) as tar:
        return {entry.name: entry for entry in tar}


def shipped(folder: Path) -> set[str]:
    return {name.removeprefix("app/") for name in entries(packed(folder)) if name.startswith("app/")} - {
        "app.py",
        "requirements.txt",
    }


def content(made: Release, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(made.archive.content)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def facts(made: Release) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(content(made, "release.json"))
    return read


# What is in it


def test_the_application_its_requirements_and_its_facts(folder: Path) -> None:
    made = application_release(folder, "shop.wsgi", "create_app()", "src")
    assert set(entries(made)) == {"app/app.py", "app/requirements.txt", "requirements.txt", "release.json"}
    assert content(made, "app/app.py") == b"app = None\n"
    assert facts(made) == {
        "id": made.archive.digest,
        "module": "shop.wsgi",
        "callable": "create_app()",
        "pythonpath": "src",
        "lock": made.lock,
        "hashed": False,
        # not in a git checkout
        "author": "",
        "commit": "",
    }


def test_the_sample_application_is_pinned_by_hash_and_small() -> None:
    made = packed(Path(__file__).parents[2] / "app")
    assert made.hashed
    assert {"app/app.py", "app/templates/board.html", "app/static/board.css"} <= set(entries(made))
    assert not [name for name in entries(made) if "instance" in name or "cache" in name]
    assert len(made.archive.content) < 100_000


# The same content gives the same bytes


def test_the_same_content_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "somewhere" / "else"
    write(copy, {"requirements.txt": "flask\n", "b/b.py": "", "a.py": "", "app.py": "app = None\n"})
    write(folder, {"a.py": "", "b/b.py": ""})
    os.utime(copy / "app.py", (1_000_000_000, 1_000_000_000))
    (copy / "app.py").chmod(0o600)
    assert packed(copy).archive.digest == packed(folder).archive.digest
    assert packed(copy).archive.content == packed(folder).archive.content


def test_nothing_of_the_machine_is_in_the_bytes(folder: Path) -> None:
    made = packed(folder)
    for entry in entries(made).values():
        assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, 0, "root", "root")
    assert int.from_bytes(made.archive.content[4:8], "little") == 0  # gzip's own time


@pytest.mark.parametrize(
    ("name", "text"), [("app.py", "app = 1\n"), ("new.py", ""), ("requirements.txt", "flask==3.1.3\n")]
)
def test_changed_content_is_another_release(folder: Path, name: str, text: str) -> None:
    before = packed(folder)
    write(folder, {name: text})
    assert packed(folder).archive.digest != before.archive.digest


def test_what_starts_the_application_is_part_of_the_release(folder: Path) -> None:
    digests = {
        application_release(folder, module, callable_, path).archive.digest
        for module, callable_, path in (
            ("app", "app", "."), ("app", "make", "."), ("web", "app", "."), ("app", "app", "src")
        )
    }  # fmt: skip
    assert len(digests) == 4


def test_releases_share_an_environment_while_the_requirements_stay(folder: Path) -> None:
    before = packed(folder)
    write(folder, {"app.py": "app = 1\n"})
    assert packed(folder).lock == before.lock
    write(folder, {"requirements.txt": "flask\nrequests\n"})
    assert packed(folder).lock != before.lock


def test_programs_stay_programs(folder: Path) -> None:
    write(folder, {"run.sh": "#!/bin/sh\n"})
    plain = packed(folder)
    (folder / "run.sh").chmod(0o750)
    made = packed(folder)
    assert entries(plain)["app/run.sh"].mode == 0o644
    assert entries(made)["app/run.sh"].mode == 0o755
    assert made.archive.digest != plain.archive.digest


# What is left out


def test_what_never_belongs_to_a_release(folder: Path) -> None:
    write(
        folder,
        dict.fromkeys(
            (
                ".git/config", "submodule/.git", ".venv/bin/python", "venv/bin/python", "node_modules/x/index.js",
                "__pycache__/app.cpython-311.pyc", "deep/down/__pycache__/x.pyc", "old.pyc", ".pytest_cache/x",
                ".tox/x", ".coverage", "shop.egg-info/PKG-INFO", ".DS_Store", "instance/secret_key",
                ".env", ".env.production", "shop.sqlite", "deep/shop.sqlite3",
            ),
            "x",
        ),
    )  # fmt: skip
    write(folder, {"deep/instance/kept.py": "", "environment.py": ""})
    assert shipped(folder) == {"deep/instance/kept.py", "environment.py"}


def test_gitignore_is_heeded(folder: Path) -> None:
    write(folder, {".gitignore": "*.log\nbuild/\n/notes.txt\n!kept.log\n"})
    write(folder, dict.fromkeys(("a.log", "kept.log", "build/x", "notes.txt", "deep/notes.txt"), "x"))
    assert shipped(folder) == {".gitignore", "kept.log", "deep/notes.txt"}


def test_deployignore_takes_gitignores_place(folder: Path) -> None:
    write(folder, {".gitignore": "dist/\n", ".deployignore": "tests/\n"})
    write(folder, dict.fromkeys(("dist/bundle.js", "tests/test_app.py"), "x"))
    assert shipped(folder) == {".gitignore", ".deployignore", "dist/bundle.js"}


# Links


def test_a_link_to_a_file_inside_is_that_file(folder: Path) -> None:
    write(folder, {"real.txt": "text"})
    (folder / "link.txt").symlink_to("real.txt")
    assert content(packed(folder), "app/link.txt") == b"text"
    assert entries(packed(folder))["app/link.txt"].isfile()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside.txt", "is a link that leads out of the application's folder"),
        ("gone.txt", "is a link to nothing"),
        ("deep", "is a link to a folder, which a release cannot hold"),
    ],
)
def test_other_links_are_refused_with_their_name(folder: Path, target: str, message: str) -> None:
    write(folder, {"../outside.txt": "x", "deep/x": ""})
    (folder / "link").symlink_to(target)
    with pytest.raises(ValueError, match=rf"/link {message}"):
        packed(folder)
    write(folder, {".deployignore": "/link\n"})
    assert "link" not in shipped(folder)


# Requirements


def test_included_requirements_are_written_out(folder: Path) -> None:
    write(
        folder,
        {
            "requirements.txt": "-r requirements/web.txt\n--requirement=more.txt\n-rlast.txt\nflask\n",
            "requirements/web.txt": "-r base.txt  # what both need\ngunicorn\n",
            "requirements/base.txt": "jinja2\n",
            "more.txt": "requests",
            "last.txt": "rich\n",
        },
    )
    assert content(packed(folder), "requirements.txt") == b"jinja2\ngunicorn\nrequests\nrich\nflask\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"requirements.txt": "-r gone.txt"}, "includes gone.txt, which is not a file beside it"),
        ({"requirements.txt": "-r ../outside.txt", "../outside.txt": ""}, "includes outside.txt"),
        ({"requirements.txt": "-r a.txt", "a.txt": "-r requirements.txt"}, "a.txt includes requirements.txt"),
        ({"requirements.txt": "-e ."}, "'-e .'; -e cannot be installed on a server: compile a lock file"),
        ({"requirements.txt": "--editable=src"}, "--editable cannot be installed on a server"),
        ({"requirements.txt": "-c limits.txt"}, "-c cannot be installed on a server"),
        ({"requirements.txt": "-climits.txt"}, "-c cannot be installed on a server"),
    ],
)
def test_requirements_that_a_server_cannot_install(folder: Path, files: dict[str, str], message: str) -> None:
    write(folder, files)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        packed(folder)


def test_options_that_only_begin_alike_are_kept(folder: Path) -> None:
    text = "--extra-index-url https://packages.example.com/simple\n--pre\nflask\n"
    write(folder, {"requirements.txt": text})
    assert content(packed(folder), "requirements.txt").decode() == text


def test_hashes_are_noticed(folder: Path) -> None:
    assert not packed(folder).hashed
    write(folder, {"requirements.txt": f"flask==3.1.3 \\\n    --hash=sha256:{'0' * 64}\n"})
    assert packed(folder).hashed
    assert facts(packed(folder))["hashed"] is True


def test_pyproject_is_taken_where_there_are_no_requirements(folder: Path) -> None:
    (folder / "requirements.txt").unlink()
    write(folder, {"pyproject.toml": '[project]\nname = "shop"\ndependencies = ["flask>=3", "requests"]\n'})
    assert content(packed(folder), "requirements.txt") == b"flask>=3\nrequests\n"


@pytest.mark.parametrize("text", [None, "[tool.ruff]\n", '[project]\nname = "shop"\n'])
def test_nothing_says_what_to_install(folder: Path, text: str | None) -> None:
    (folder / "requirements.txt").unlink()
    if text is not None:
        write(folder, {"pyproject.toml": text})
    with pytest.raises(ValueError, match=r"application has no requirements\.txt, and no pyproject.toml with"):
        packed(folder)


# Limits, and the host's archive


def test_a_folder_taken_by_mistake_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_BYTES", 2 * 1024 * 1024)
    (folder / "film.mp4").write_bytes(b"\0" * (2 * 1024 * 1024))
    with pytest.raises(
        ValueError, match="holds more than 2 MiB; leave what is not the application out with a"
    ):
        packed(folder)
    write(folder, {".deployignore": "*.mp4\n"})
    assert shipped(folder) == {".deployignore"}


def host(**values: Any) -> HostSettings:
    return HostSettings(
        **{
            "profile": PROFILES["centos7"],
            "server_names": ("203.0.113.10",),
            "has_domain": False,
            "module": "app",
            "callable": "app",
            "processes": 2,
            "threads": 16,
            "socket": "unix",
            "health": HealthCheck(
                path="/", status=200, body="", attempts=3, interval=0.1, timeout=60, settle=0
            ),
            "keep_releases": 5,
            "client_max_body_size": "16m",
            **values,
        }
    )


def test_the_hosts_archive_is_named_by_its_content() -> None:
    assert host_archive(host()) == host_archive(host())
    assert host_archive(host()).digest != host_archive(host(processes=3)).digest
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(host_archive(host()).content))) as tar:
        names = tar.getnames()
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
    assert names == sorted(names)
    assert "etc/nginx/nginx.conf" in names
    assert "opt/flask/lib/flask_release/__main__.py" in names
    assert modes["opt/flask/bin/flask-release"] & 0o111
    assert not [name for name in names if name.startswith("/") or ".." in name or "__pycache__" in name]
