"""One instance, booted once with the program's own user data."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from render.cloud_init import user_data
from render.profiles import PROFILES
from sandbox import containers, networks
from sandbox.image import base_image
from tests.centos7 import archives
from tests.centos7.archives import Archives
from tests.sandbox.machine import Place, new_place

IMAGE = Path(__file__).with_name("image")


@dataclass(frozen=True)
class Server:
    """The instance."""

    name: str
    archives: Archives

    def run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script on it to its end."""
        return subprocess.run(
            ["podman", "exec", "--interactive", self.name, "bash", "-c", script],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def must(self, script: str) -> str:
        """Run a script that has to succeed; what it printed."""
        done = self.run(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def copy(self, source: Path, target: str) -> None:
        """Put a file, or what is in a folder, on it."""
        given = f"{source}/." if source.is_dir() else str(source)
        subprocess.run(["podman", "cp", given, f"{self.name}:{target}"], check=True)


def image() -> str:
    """The sandbox's base image, with yum and an archive of its own; made once."""
    base = base_image(print)
    digest = hashlib.sha256(base.encode())
    for file in sorted(path for path in IMAGE.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(IMAGE)}\n".encode() + file.read_bytes())
    name = f"localhost/flask-test-centos7:{digest.hexdigest()[:12]}"
    if subprocess.run(["podman", "image", "exists", name], check=False).returncode != 0:
        build = ["podman", "build", "--quiet", "--runtime", "runc", "--pull=never", "--layers=false"]
        named = ["--build-arg", f"BASE={base}", "--tag", name]
        done = subprocess.run([*build, *named, str(IMAGE)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = new_place(tmp_path_factory.mktemp("place"), image())
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture(scope="module")
def server(place: Place) -> Server:
    """The instance when its first boot is over, however it went; with the system's own Python."""
    document = user_data(
        PROFILES["centos7"],
        host_key_private=place.key.read_text(),
        host_key_public=place.key.with_suffix(".pub").read_text(),
        python="system",
        python_mirror=None,
    )
    networks.create(place.name("net"), place.labels)
    instance = place.instance("centos", "net", document.encode())
    containers.create(instance, place.seeds)
    made = Server(instance.name, archives.make(place.folder / "archives"))
    made.copy(made.archives.settings, "/etc/archive")
    made.copy(made.archives.served, "/srv/archive")
    made.copy(made.archives.centos_key, "/etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7")
    containers.start(instance.name)
    return made
