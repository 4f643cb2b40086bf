"""Odd folders: what a release cannot hold, or a server not install, is refused in one sentence that names it."""

from __future__ import annotations

import io
import os
import random
import re
import socket
import string
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from render import folder as folder_module
from render.archive import opened
from render.ignored import Ignored
from render.release import Release, application_release
from tests.host.release_tool.fake_host import module

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "application"
    made.mkdir()
    (made / "app.py").write_text("app = None\n")
    (made / "requirements.txt").write_text("flask\n")
    return made


def packed(folder: Path) -> Release:
    return application_release(folder, "app", "app")


def names(folder: Path) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(packed(folder).archive.content)) as tar:
        return {name.removeprefix("app/") for name in tar.getnames()}


def refused(folder: Path) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]{10,600}$") as error:
        packed(folder)
    assert str(error.value).isprintable()
    return str(error.value)


# Size


def test_the_limits_are_the_servers() -> None:
    server = module("archive")
    assert (folder_module.MAX_BYTES, folder_module.MAX_FILES) == (server.MAX_BYTES, server.MAX_FILES)


def test_a_sparse_file_is_refused_before_it_is_read(folder: Path) -> None:
    (folder / "film.mp4").touch()
    os.truncate(folder / "film.mp4", 6 << 30)
    assert "holds more than 1024 MiB" in refused(folder)


def test_so_many_files_no_server_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With release.json and requirements.txt, which the server counts as well.
    monkeypatch.setattr("render.folder.MAX_FILES", 5)
    (folder / "third.py").touch()
    packed(folder)
    (folder / "fourth.py").touch()
    assert "holds more than 5 files; leave what is not the application out" in refused(folder)


MEASURED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from render.release import application_release
# (getrusage's ru_maxrss begins with that of the process which started this one.)
def peak():
    line, = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024
before = peak()
made = application_release(Path(sys.argv[2]), "app", "app")
with open(sys.argv[3], "wb") as file:
    made.archive.write(file)
print(before, peak())
"""


def test_a_large_folder_takes_little_memory(folder: Path, tmp_path: Path) -> None:
    for number in range(5):
        (folder / f"{number}.bin").touch()
        os.truncate(folder / f"{number}.bin", 51 << 20)
    measured = subprocess.run(
        [sys.executable, "-c", MEASURED, ROOT, folder, tmp_path / "archive"],
        capture_output=True,
        text=True,
        check=True,
    )
    before, peak = map(int, measured.stdout.split())
    assert peak <= 100, f"{peak} MiB, {before} of them Python and its modules"


def test_folders_may_not_be_very_deep(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        deeper = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)
    try:
        assert "is 100 folders deep, and a release holds fewer" in refused(folder)
        (folder / ".deployignore").write_text("/d/\n")
        assert names(folder) >= {"app.py"}
    finally:
        # Path and shutil are not made for it.
        subprocess.run(["rm", "-rf", folder / "d"], check=True)


def test_a_name_may_not_be_longer_than_a_path_on_the_server(folder: Path) -> None:
    here = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(16):
            Path("d" * 240).mkdir()
            os.chdir("d" * 240)
        Path("file").touch()
    finally:
        os.chdir(here)
    assert "has more than 3800 bytes with its folders; rename it" in refused(folder)


# Names


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"a\nb", r"a\nb has the character U+000A"),
        (b"a\x1bb", r"a\x1bb has the character U+001B"),
        (b"caf\xe9.py", r"caf\udce9.py is not written in UTF-8"),
        ("a\u202eb".encode(), r"a\u202eb has the character U+202E"),
    ],
)
def test_names_that_would_break_a_listing(folder: Path, name: bytes, why: str) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    assert f"{why}, which a release cannot hold; rename it" in refused(folder)
    (folder / ".deployignore").write_text("/a*\n/caf*\n")
    packed(folder)


def test_names_in_any_script_are_kept(folder: Path) -> None:
    (folder / "说明 ü.txt").touch()
    assert "说明 ü.txt" in names(folder)


# What is no plain file


def test_what_holds_no_content_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "fifo")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert names(folder) == {"app.py", "requirements.txt", "release.json"}


@pytest.mark.parametrize("python_path", [".", "src"])
def test_a_file_in_the_place_of_the_instance_folder(folder: Path, python_path: str) -> None:
    (folder / "src").mkdir()
    (folder / python_path / "instance").touch()
    with pytest.raises(ValueError, match="/instance is a file, where a server puts the folder of that name"):
        application_release(folder, "app", "app", python_path)


def test_a_link_to_what_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("fifo")
    assert refused(folder).endswith("/link is a link to what is no file")


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", ".deployignore"])
def test_a_pipe_where_a_text_is_expected_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "requirements.txt":
        assert "has no requirements.txt" in refused(folder)
    else:
        packed(folder)


@pytest.mark.parametrize("target", ["loop", "other"])
def test_links_in_a_circle(folder: Path, target: str) -> None:
    (folder / "loop").symlink_to(target)
    (folder / "other").symlink_to("loop")
    assert re.search(r"/(loop|other) is a link to nothing$", refused(folder))


@pytest.mark.parametrize(
    "target", [".env", "instance/key", ".git/config", "deep/x.sqlite", "private/key.pem", "again", "./.env"]
)
def test_a_link_does_not_pack_what_is_left_out(folder: Path, target: str) -> None:
    (folder / ".deployignore").write_text("private/\n")
    for name in (".env", "instance/key", ".git/config", "deep/x.sqlite", "private/key.pem"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("s3cr3t")
    (folder / "instance/again").symlink_to("../.env")
    (folder / "settings").symlink_to("instance/again" if target == "again" else target)
    message = refused(folder)
    assert "/settings is a link to " in message
    assert "which releases leave out" in message
    assert "s3cr3t" not in message
    (folder / ".deployignore").write_text("private/\n/settings\n")
    assert "settings" not in names(folder)


def test_a_file_that_changes_is_told(folder: Path, tmp_path: Path) -> None:
    for change in ("app = 2   \n", "longer than before\n", "x"):
        (folder / "app.py").write_text("app = None\n")
        made = packed(folder)
        (folder / "app.py").write_text(change)
        with pytest.raises(ValueError, match=r"/app\.py changed while it was packed; run this again$"):
            _ = made.archive.content
    made = packed(folder)
    (folder / "app.py").unlink()
    with pytest.raises(ValueError, match=r"/app\.py cannot be read: No such file or directory$"):
        _ = made.archive.content
    (tmp_path / "secret").write_text("x")
    (folder / "app.py").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"/app\.py cannot be read"):
        _ = made.archive.content
    (folder / "app.py").unlink()
    os.mkfifo(folder / "app.py")
    with pytest.raises(ValueError, match=r"/app\.py is no plain file"), opened(folder / "app.py"):
        pass


AS_NOBODY = """
# The codec too: who is nobody may not be able to read this Python's own files.
import encodings.utf_8_sig, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from render.release import application_release
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    application_release(Path(sys.argv[2]), "app", "app")
except ValueError as error:
    print(error)
"""


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    for place in (folder, *folder.parents[:-2]):
        place.chmod(0o755)
    (folder / "closed.py").touch(mode=0)
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, ROOT, folder], capture_output=True, text=True, check=False
    )
    assert ran.stdout.endswith("/closed.py cannot be read: Permission denied\n"), ran.stderr
    (folder / "closed.py").unlink()
    (folder / "closed").mkdir(mode=0)
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, ROOT, folder], capture_output=True, text=True, check=False
    )
    assert ran.stdout.endswith("/closed cannot be read: Permission denied\n"), ran.stderr


# Ignore files


@pytest.mark.parametrize("name", [".deployignore", ".gitignore"])
@pytest.mark.parametrize("pattern", ["[z-a]", "a\\", "!", "x" * 3000 + "[z-a]", "[b-a]\u202e\x1b"])
def test_a_pattern_that_is_none_is_named_with_its_line(folder: Path, name: str, pattern: str) -> None:
    (folder / name).write_text(f"*.log\n\n{pattern}\n")
    assert f"/{name}, line 3: " in refused(folder)


def test_an_ignore_file_that_is_no_text(folder: Path) -> None:
    (folder / ".deployignore").write_bytes(b"*.log\ncaf\xe9\n")
    assert refused(folder).endswith("/.deployignore, line 2: is not written in UTF-8")
    (folder / ".deployignore").write_bytes(b"#" * (5 << 20))
    assert refused(folder).endswith("/.deployignore is larger than 4 MiB")
    (folder / ".deployignore").write_bytes(b"\xef\xbb\xbf*.log\n")
    (folder / "a.log").touch()
    assert "a.log" not in names(folder)


@pytest.mark.parametrize(
    "pattern", ["*" * 60 + "b", "*a" * 60 + "b", "a*" * 60, "?*" * 30 + "b", "*a*/" * 4 + "*a" * 20 + "b"]
)
def test_many_stars_are_matched_at_once(folder: Path, pattern: str) -> None:
    (folder / ".deployignore").write_text(f"{pattern}\n")
    place = folder
    for _ in range(5):
        place = place / ("a" * 200)
        place.mkdir()
        (place / ("a" * 250)).touch()
    subprocess.run(
        [sys.executable, "-c", MEASURED, ROOT, folder, os.devnull],
        check=True,
        timeout=20,
        capture_output=True,
    )


def test_many_double_stars_are_refused(folder: Path) -> None:
    (folder / ".deployignore").write_text("**/a/" * 60 + "b\n")
    assert ", line 1: " in refused(folder)


def test_patterns_mean_what_they_mean_to_pathspec(folder: Path) -> None:
    """Stars are matched in another way, with the same outcome."""
    made_up = random.Random(1)  # noqa: S311 -- no secret
    letters = "ab*?/"
    for _ in range(500):
        pattern = "".join(made_up.choice(letters) for _ in range(made_up.randint(1, 9)))
        pattern += made_up.choice(["", "", "**/a*b", "[ab]*", "*.py"])
        (folder / ".deployignore").write_text(f"{pattern}\n")
        try:
            plain = GitIgnoreSpec.from_lines([pattern], backend="simple")
        except ValueError:
            continue
        ours = Ignored(folder)
        for _ in range(20):
            name = "".join(made_up.choice("aab/") for _ in range(made_up.randint(1, 10))).strip("/")
            name = re.sub("/+", "/", name) or "a"
            assert ours.leaves_out(name) == plain.match_file(name), (pattern, name)
            assert ours.leaves_out(name, folder=True) == plain.match_file(f"{name}/"), (pattern, name)


# Requirements


@pytest.mark.parametrize(
    "line",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "flask @ file:///srv/flask/slots/a/app/flask",
        "flask@file:///x",
        "git+file:///srv/repository",
        "/etc/passwd",
        "./package",
        "../package",
        "~/package",
        "package/",
        "wheels/flask-3.1.3-py3-none-any.whl",
        "flask-3.1.3-py3-none-any.whl",
        "flask-3.1.3.tar.gz ; python_version > '3'",
        "-r /etc/passwd",
        "-r ../../../etc/passwd",
        "--requirement=/etc/passwd",
        "--requirem /etc/passwd",
        "--pre -r /etc/passwd",
        "-r \\\n/etc/passwd",
        "--no-index \\\n -r/etc/passwd",
        "-f /srv/wheels",
        "--find-links=file:///srv/wheels",
        "--find ./wheels",
        "-i file:///srv/index",
        "--edit .",
        "--pre -e .",
        "--pre -c limits.txt",
        "--no-such-option",
        "--target /etc",
        "--pre '",
        "flask\x00",
        "flask\x1b[31m",
        "flask requests",
        "=3",
    ],
)
def test_what_a_server_cannot_install_or_would_take_from_its_own_files(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(f"# first\nflask\n{line}\n")
    message = refused(folder)
    assert "requirements.txt, line 3: " in message or "includes passwd, which is not a file" in message


@pytest.mark.parametrize(
    "line",
    [
        "flask",
        "flask>=3,<4",
        "Flask[async] == 3.1.3 ; python_version > '3.8'",
        "flask (>=3)",
        "flask~=3.1  # -r x",
        "shop @ https://packages.example.com/shop-1.0-py3-none-any.whl",
        "shop@git+https://example.com/shop.git@v1",
        "https://packages.example.com/shop-1.0.tar.gz",
        "git+ssh://git@example.com/shop.git#egg=shop",
        "flask==3.1.3 \\\n    --hash=sha256:" + "0" * 64 + " \\\n    --hash=sha256:" + "1" * 64,
        "--extra-index-url https://packages.example.com/simple",
        "-i https://packages.example.com/simple --pre",
        "--find-links https://packages.example.com/",
        "--no-binary :all:",
        "--only-binary=:all:",
        "   # -r /etc/passwd",
        "flask  # file:///etc/passwd",
        "ruamel.yaml==0.18",
        "zope.interface",
        "a",
    ],
)
def test_what_a_server_installs_stays_as_it_is_written(folder: Path, line: str) -> None:
    text = f"# first\n{line}\n\n"
    (folder / "requirements.txt").write_text(text)
    with tarfile.open(fileobj=io.BytesIO(packed(folder).archive.content)) as tar:
        file = tar.extractfile("requirements.txt")
        assert file
        assert file.read().decode() == text


def test_files_that_include_each_other_by_the_thousand(folder: Path) -> None:
    for number in range(1500):
        (folder / f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
    (folder / "requirements.txt").write_text("-r 0.txt\n")
    assert "includes 19.txt, which" in refused(folder)


def test_files_that_include_the_next_twice(folder: Path) -> None:
    for number in range(18):
        (folder / f"{number}.txt").write_text(f"-r {number + 1}.txt\n" * 2)
    (folder / "18.txt").write_text("flask==3.1.3\n" * 3)
    (folder / "requirements.txt").write_text("-r 0.txt\n-r 0.txt\n")
    assert "more than 4 MiB with what it includes" in refused(folder)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('project = "x"\n', "project is str, and has to be a table, [project]"),
        ("[project]\ndependencies = 5\n", "dependencies has to be a list of texts"),
        ('[project]\ndependencies = "flask"\n', "dependencies has to be a list of texts"),
        ("[project]\ndependencies = [5]\n", "dependencies has to be a list of texts"),
        ('[project]\ndependencies = ["-r /etc/passwd"]\n', "is nothing that a server can install"),
        ('[project]\ndependencies = ["flask\\n-r /etc/passwd"]\n', "is nothing that a server can install"),
        ('[project]\ndependencies = ["x @ file:///etc/passwd"]\n', "is nothing that a server can install"),
        ("[project\n", "is no TOML: "),
        ("a = " + "[" * 5000, "is no TOML: "),
        ("a = \x01\n", "is no TOML: "),
    ],
)
def test_a_pyproject_that_says_nothing_usable(folder: Path, text: str, why: str) -> None:
    (folder / "requirements.txt").unlink()
    (folder / "pyproject.toml").write_text(text)
    message = refused(folder)
    assert "/pyproject.toml" in message
    assert why in message


def test_requirements_that_are_no_text(folder: Path) -> None:
    (folder / "requirements.txt").write_bytes(b"flask\ncaf\xe9\n")
    assert refused(folder).endswith("/requirements.txt, line 2: is not written in UTF-8")


def test_an_author_in_another_encoding_is_no_obstacle(folder: Path) -> None:
    git = ["git", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*git, "add", "."], cwd=folder, check=True)
    name = os.fsdecode(b"user.name=J\xfcrgen")
    subprocess.run([*git, "-c", name, "commit", "-q", "-m", "x"], cwd=folder, check=True)
    packed(folder)


def test_messages_do_not_repeat_a_long_name(folder: Path) -> None:
    (folder / ("x" * 250)).symlink_to("nothing")
    assert len(refused(folder)) < 400
    (folder / "requirements.txt").write_text("/" + "".join(string.ascii_letters * 200))
    assert len(refused(folder)) < 500
