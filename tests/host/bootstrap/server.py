"""A bare server for one test: a root folder, stand-ins for the system's programs, and nothing else on PATH.

A bootstrap runs as it arrives: taken out of the rendered user data, without its comments. What the stand-ins know
stands in the folder `world`: packages/<name> can be installed, installed/<name> is, web/<url> can be fetched, and
calls tells what was asked of them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

from render.cloud_init import user_data
from render.profiles import PROFILES

STANDINS = Path(__file__).with_name("standins")
# What every system has, and what may be run for real.
COMMON = """
bash basename cat chmod cp date dirname env grep gzip head ln ls mkdir mktemp mv rm sed sha256sum sh sleep tail tar
touch
"""
OS_RELEASE = {"centos7": 'ID="centos"\nVERSION_ID="7"\n', "debian12": 'ID=debian\nVERSION_ID="12"\n'}


class Server:
    """A server of one system, before its first boot."""

    def __init__(self, folder: Path, system: str, python: str, python_mirror: str | None = None) -> None:
        self.system = system
        self.root = folder / "root"
        self.world = folder / "world"
        self._programs = folder / "programs"
        self._scripts = folder / "scripts"
        self.environment: dict[str, str] = {}
        for place in (self._programs, self._scripts, self.world):
            place.mkdir()
        for name in ("packages", "installed", "accounts", "web"):
            (self.world / name).mkdir()
        for name in ("etc/yum.repos.d", "etc/pki/rpm-gpg", "etc/ssl", "usr/bin", "run"):
            (self.root / name).mkdir(parents=True)
        self.write("etc/os-release", OS_RELEASE[system])
        for name in COMMON.split():
            program = shutil.which(name)
            assert program, f"{name} is needed by these tests"
            (self._programs / name).symlink_to(program)
        for standin in STANDINS.iterdir():
            self.install_program(standin.name, standin.read_text())
        self.install_program("python3", (STANDINS / "python3").read_text(), self.root / "usr/bin")
        document = yaml.safe_load(
            user_data(
                PROFILES[system],
                host_key_private="private",
                host_key_public="public",
                python=python,
                python_mirror=python_mirror,
            )
        )
        for file in document["write_files"]:
            (self._scripts / Path(file["path"]).name).write_text(file["content"])
        (self._command,) = document["runcmd"]

    def install_program(self, name: str, text: str, folder: Path | None = None) -> None:
        program = (folder or self._programs) / name
        # It may be a link to the machine's own program, which writing would go through to.
        program.unlink(missing_ok=True)
        program.write_text(
            text.replace("@WORLD@", str(self.world))
            .replace("@PYTHON@", sys.executable)
            .replace("@STANDINS@", str(self._programs))
        )
        program.chmod(0o755)

    def remove_program(self, name: str) -> None:
        (self._programs / name).unlink()

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def owner_and_mode(self, name: str) -> tuple[str, str]:
        """Owner as it was last asked for, and the mode in octal."""
        place = str(self.root / name)
        asked = [call.split() for call in self.calls() if call.startswith("chown ")]
        return next(words[1] for words in reversed(asked) if place in words), oct(
            stat.S_IMODE(Path(place).stat().st_mode)
        )

    def offer(self, *packages: str) -> None:
        for package in packages:
            (self.world / "packages" / package).touch()

    def serve(self, url: str, content: bytes = b"") -> None:
        place = self.world / "web" / url.replace("://", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def pin_python(self, archive: bytes) -> None:
        """Let the script expect `archive`: the real one is not here to be fetched."""
        script = self._scripts / f"{self.system}.sh"
        text, count = re.subn(
            r"(?m)^python_sha256=\w{64}$",
            f"python_sha256={hashlib.sha256(archive).hexdigest()}",
            script.read_text(),
        )
        assert count == 1
        script.write_text(text)

    def boot(self) -> subprocess.CompletedProcess[str]:
        """Run the bootstrap as cloud-init would: with the words of runcmd, and without HOME."""
        *words, script = self._command
        environment = {
            "PATH": str(self._programs),
            "FLASK_ROOT": str(self.root),
            "FLASK_RETRY_PAUSE": "0",
            **self.environment,
        }
        return subprocess.run(
            [*words, str(self._scripts / Path(script).name)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self, program: str = "") -> list[str]:
        """What the stand-ins were asked, in order, as `program argument …`."""
        file = self.world / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(program)]

    def forget_calls(self) -> None:
        (self.world / "calls").unlink(missing_ok=True)

    def marker(self) -> Any:
        return json.loads(self.read("var/lib/flask/ready"))

    def failure(self) -> str:
        """Why the bootstrap failed; there is no marker beside it."""
        assert not self.exists("var/lib/flask/ready")
        return self.read("var/lib/flask/failed")


def python_archive() -> bytes:
    """What python-build-standalone packs: everything in one folder, owned by whoever built it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        entry = tarfile.TarInfo("python/bin/python3")
        text = b'#!/bin/sh\nexec "$FLASK_ROOT/usr/bin/python3" "$@"\n'
        entry.size, entry.mode, entry.uid = len(text), 0o755, 4321
        tar.addfile(entry, io.BytesIO(text))
    return content.getvalue()
