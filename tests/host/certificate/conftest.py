"""A server in a folder: its tool as it arrives, openssl for real, nginx and systemctl as stand-ins that remember."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.host.files.variants import ACME, small, write

NAME = "www.example.com"
# Each call is a line of `calls`; `<program>.fails` makes the program fail, with its content as what it prints.
STANDIN = """#!/bin/sh
echo "${0##*/} $*" >>"$WORLD/calls"
if [ -e "$WORLD/${0##*/}.fails" ]; then cat "$WORLD/${0##*/}.fails"; exit 1; fi
"""
# Python of the server, as far as the tool calls it: it makes environments, installs into them and runs certbot.
PYTHON = """#!/bin/sh
echo "python $*" >>"$WORLD/calls"
case "$*" in
  *"-m venv "*) for folder; do :; done; mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python3" ;;
  *"-m pip "*) if [ -e "$WORLD/pip.fails" ]; then cat "$WORLD/pip.fails"; exit 1; fi ;;
  *certonly*|*" renew "*)
    echo "ca ${REQUESTS_CA_BUNDLE:-system}" >>"$WORLD/calls"
    if [ -e "$WORLD/certbot.fails" ]; then cat "$WORLD/certbot.fails"; exit 1; fi
    if [ -e "$WORLD/issued" ]; then
      mkdir -p "$ROOT/etc/flask/acme/live/site" "$ROOT/etc/flask/acme/renewal"
      cp "$WORLD/issued/"* "$ROOT/etc/flask/acme/live/site/"
      echo "server = https://ca.example/directory" >"$ROOT/etc/flask/acme/renewal/site.conf"
    fi ;;
esac
"""


@dataclass(frozen=True)
class Server:
    """`root` is its file system, `world` what the stand-ins know."""

    root: Path
    world: Path
    programs: Path

    @property
    def live(self) -> Path:
        return self.root / "etc/flask/tls/live"

    @property
    def certified(self) -> bool:
        return (self.root / "etc/nginx/flask/certified.conf").exists()

    @property
    def calls(self) -> list[str]:
        file = self.world / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        code = "import sys; from pathlib import Path; from flask_certificate import cli, places;"
        code += " sys.exit(cli.main(sys.argv[2:], places.Places(Path(sys.argv[1]))))"
        return subprocess.run(
            [sys.executable, "-c", code, str(self.root), *command],
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "PYTHONPATH": str(self.root / "opt/flask/lib"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "WORLD": str(self.world),
                "ROOT": str(self.root),
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def configured(
        self, name: str = NAME, mode: str = "own", directory: str = ACME["acme_directory"]
    ) -> None:
        """Lay the files of a host down, with a name and a way to its certificate; it has some certificate then."""
        settings = replace(
            small(socket="unix", has_domain=True, server_names=(name,)),
            **{**ACME, "tls": mode, "acme_directory": directory},
        )
        write(settings, self.root)
        done = self.run("placeholder", str(self.root / "etc/flask/tls.json"))
        assert done.returncode == 0, done.stderr

    def fails(self, program: str, saying: str) -> None:
        (self.world / f"{program}.fails").write_text(saying)

    def recovers(self, program: str) -> None:
        (self.world / f"{program}.fails").unlink()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "root", tmp_path / "world", tmp_path / "programs")
    for folder in (made.root / "run", made.root / "opt/flask/python/bin", made.world, made.programs):
        folder.mkdir(parents=True)
    standins = {made.programs / name: STANDIN for name in ("nginx", "systemctl")}
    for place, text in {**standins, made.root / "opt/flask/python/bin/python3": PYTHON}.items():
        place.write_text(text)
        place.chmod(place.stat().st_mode | stat.S_IXUSR)
    yield made
    # A folder that only root enters is no leftover that pytest cannot remove.
    shutil.rmtree(made.root)
