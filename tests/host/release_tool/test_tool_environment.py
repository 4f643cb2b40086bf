"""Environments made by the real venv and the real pip, from wheels of this test: no network."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .fake_host import APPLICATION, FakeHost, module

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Make a wheel; its SHA-256 in hex."""
    stem = f"{name}-{version}"
    contents = {
        **files,
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for path, text in contents.items()
    )
    contents[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as packed:
        for path, text in contents.items():
            entry = zipfile.ZipInfo(path)
            # A plain file that may be executed, which is what pip makes a script of.
            entry.external_attr = 0o100755 << 16
            packed.writestr(entry, text)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def index(host: FakeHost) -> str:
    """A host with the real Python; the hash of the one package, `greeter`, that its index has."""
    wheels = host.root / "opt/flask/wheels"
    for file in wheels.iterdir():
        file.unlink()
    server = (host.root / "fake/uwsgi").read_text().partition("\n")[2]
    # The first line of a wheel's script is the environment's python.
    wheel(wheels, "pyuwsgi", "2.0.30", {"pyuwsgi-2.0.30.data/scripts/uwsgi": "#!python\n" + server})
    host.configure(python=sys.executable)
    host.env.update(
        PIP_CONFIG_FILE="/dev/null",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(host.root / "index"),
        HOME=str(host.root),
    )
    return wheel(host.root / "index", "greeter", "1.0", {"greeter.py": "WORD = 'hello'\n"})


def test_environment_from_a_hash_lock(host: FakeHost, index: str) -> None:
    application = "from greeter import WORD\n" + APPLICATION.replace(
        'b"hello from', 'WORD.encode() + b" from'
    )
    ran = host.release(host.archive("one", application, requirements=f"greeter==1.0 --hash=sha256:{index}\n"))
    assert ran.code == 0, ran.err
    assert host.visit() == (200, "hello from one")
    venv = (host.root / "srv/flask/releases" / ran.result["release"] / "venv").resolve()
    pip = subprocess.run(
        [venv / "bin/python", "-m", "pip", "--version"], capture_output=True, text=True, check=True
    )
    assert str(venv) in pip.stdout


def test_package_that_was_changed(host: FakeHost, index: str) -> None:
    wrong = "0" * 64
    ran = host.release(host.archive("one", requirements=f"greeter==1.0 --hash=sha256:{wrong}\n"))
    assert ran.code == 1
    assert "is not the one whose hash is in the requirements" in ran.err
    assert index in ran.err


def test_package_that_is_not_there(host: FakeHost, index: str) -> None:
    ran = host.release(host.archive("one", requirements="greeeter==1.0\n"))
    assert ran.code == 1
    assert "greeeter==1.0" in ran.err
    assert "has no version at all of a requirement. Its name in requirements.txt is wrong" in ran.err


def test_version_that_is_not_there(host: FakeHost, index: str) -> None:
    ran = host.release(host.archive("one", requirements="greeter==9.0\n"))
    assert ran.code == 1
    assert "a requirement does not exist in this version" in ran.err


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2.0", f"greeter==2.0 is not for Python {THIS}, which this server runs. Choose a version that is"),
        # The others that it leaves out are no answer to this.
        ("9.0", "a requirement does not exist in this version"),
    ],
)
def test_version_for_another_python(host: FakeHost, index: str, version: str, words: str) -> None:
    page = b'<a href="greeter-1.0-py3-none-any.whl">greeter-1.0-py3-none-any.whl</a>'
    page += page.replace(b"1.0", b"2.0").replace(b">", b' data-requires-python="&gt;=99">', 1)

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html>" + page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            host.env.pop(name)
        host.env["PIP_INDEX_URL"] = f"http://127.0.0.1:{server.server_port}/"
        ran = host.release(host.archive("one", requirements=f"greeter=={version}\n"))
        server.shutdown()
        thread.join()
    assert ran.code == 1
    assert words in ran.err


# The last pip for Python 3.6 does not say that it leaves versions out.
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement flask==3.1.3 (from versions: 2.0.2, 2.0.3)",
            [
                "flask==3.1.3 is not there for Python 3.6, which this server runs; the newest that is: 2.0.3",
                "`python: standalone`",
            ],
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement new>=1 (from versions: none)",
            ["no version at all of a requirement", "for Python 3.6", "`python: standalone`", "index-url"],
        ),
        (
            "ERROR: Package 'site' requires a different Python: 3.6.8 not in '>=3.8'\n",
            ["for Python 3.6", "`python: standalone`"],
        ),
    ],
)
def test_what_pip_says_on_python_36(said: str, words: list[str]) -> None:
    cause = module("pip").cause(said, (3, 6))
    for word in words:
        assert word in cause
    assert "standalone" not in module("pip").cause(said, (3, 11))


@pytest.mark.parametrize(
    ("retries", "words"),
    [
        ("1", "the package index cannot be reached from this host"),
        # pip says the same then as of a name that is wrong.
        ("0", "or the index did not answer"),
    ],
)
def test_index_that_is_down(host: FakeHost, index: str, retries: str, words: str) -> None:
    host.env.pop("PIP_NO_INDEX")
    host.env.update(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES=retries)
    ran = host.release(host.archive("one", requirements="greeeter==1.0\n"))
    assert ran.code == 1
    assert words in ran.err
