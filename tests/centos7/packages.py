"""Packages as CentOS and EPEL have them, made by rpmbuild, signed, and put into repositories by createrepo_c.

What is in them is small, and does what the bootstrap wants it for: nginx is this machine's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.host.files.programs import program

_NGINX_UNIT = """[Unit]
Description=The nginx HTTP and reverse proxy server
[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart=/usr/sbin/nginx
[Install]
WantedBy=multi-user.target
"""
_NGINX_BEFORE = """%pre
getent passwd nginx >/dev/null || useradd --system --no-create-home nginx
mkdir -p /var/lib/nginx /var/log/nginx
"""
_WELCOME = 'events {}\nhttp {\n    server {\n        listen 80;\n        return 200 "Welcome";\n    }\n}\n'
# EPEL's list of mirrors is gone with the release.
_EPEL_REPO = (
    "[epel]\nname=EPEL 7\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-7\nenabled=1\n"
)
# Not optimized: what matters is which headers uWSGI asks for, and it takes a third of the time.
_COMPILER = '#!/bin/sh\nexec /usr/bin/x86_64-linux-gnu-gcc-12 "$@" -O0\n'

_SPEC = """
Name: {name}
Version: 1
Release: 1.el7
Summary: {name} for a test
License: none
AutoReqProv: no
{requires}
%description
%install
cp -a {content}/. %{{buildroot}}
{before}
%files
{files}
"""


@dataclass(frozen=True)
class Package:
    """What a package brings: files by path, as text or copied from this machine (a Path)."""

    name: str
    files: Mapping[str, str | Path] = field(default_factory=dict)
    requires: str = ""
    before: str = ""


def centos(epel_key: str) -> list[Package]:
    """Packages of CentOS's own; epel-release brings the key of EPEL, which CentOS signed with it."""
    return [
        Package("bash", requires="Provides: /bin/sh"),
        Package("ca-certificates"),
        Package(
            "epel-release",
            {"/etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-7": epel_key, "/etc/yum.repos.d/epel.repo": _EPEL_REPO},
        ),
        Package("gcc", {"/usr/bin/x86_64-linux-gnu-gcc": _COMPILER}),
        Package("logrotate"),
        Package("openssl11-libs"),
        Package("python3"),
        Package("python3-devel", requires="Requires: python3"),
    ]


def nginx() -> Package:
    """EPEL's, which rests on a package of CentOS's."""
    return Package(
        "nginx",
        {
            "/usr/sbin/nginx": Path(program("nginx")),
            "/usr/lib/systemd/system/nginx.service": _NGINX_UNIT,
            "/etc/nginx/nginx.conf": _WELCOME,
            "/etc/nginx/mime.types": Path("/etc/nginx/mime.types"),
        },
        requires="Requires: openssl11-libs",
        before=_NGINX_BEFORE,
    )


@dataclass(frozen=True)
class Key:
    """A key that signs packages; `public` as it stands in /etc/pki/rpm-gpg."""

    name: str
    home: Path

    @property
    def public(self) -> str:
        return self._gpg("--armor", "--export", self.name)

    def sign(self, packages: list[Path]) -> None:
        # Debian's rpm asks for gpg2, as the program was once called.
        settings = ["--define", f"__gpg {program('gpg')}", "--define", f"_gpg_name {self.name}"]
        _run(["rpmsign", *settings, "--addsign", *map(str, packages)], GNUPGHOME=str(self.home))

    def make(self) -> None:
        self._gpg("--passphrase", "", "--quick-generate-key", self.name, "rsa2048", "sign", "never")

    def _gpg(self, *arguments: str) -> str:
        return _run(["gpg", "--homedir", str(self.home), "--batch", "--quiet", *arguments])


@contextmanager
def keys(*names: str) -> Iterator[list[Key]]:
    """Make keys, for as long as they are needed."""
    # Not a test's own folder: the path of the agent's socket would be too long.
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    try:
        made = [Key(name, home) for name in names]
        for key in made:
            key.make()
        yield made
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home)


def build(packages: list[Package], folder: Path) -> list[Path]:
    """Build packages into `folder`, unsigned."""
    folder.mkdir(parents=True)
    if not packages:
        return []
    with tempfile.TemporaryDirectory() as work:
        specs = [_spec(package, Path(work)) for package in packages]
        _run(
            [
                *("rpmbuild", "-bb", "--quiet", "--target", "x86_64", "--define", f"_topdir {work}/top"),
                *("--define", f"_rpmdir {folder}", "--define", "_build_name_fmt %{NAME}.rpm"),
                # A binary of this machine's stays as it is.
                *("--define", "__os_install_post %{nil}", "--define", "debug_package %{nil}"),
                *map(str, specs),
            ]
        )
    return sorted(folder.glob("*.rpm"))


def index(folder: Path) -> None:
    """Make a repository of a folder of packages."""
    _run(["createrepo_c", "--quiet", str(folder)])


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _spec(package: Package, work: Path) -> Path:
    content = work / package.name
    content.mkdir()
    for path, source in package.files.items():
        place = content / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copy(source, place)
        else:
            place.write_text(source)
            place.chmod(0o755 if source.startswith("#!") else 0o644)
    spec = work / f"{package.name}.spec"
    spec.write_text(
        _SPEC.format(
            name=package.name,
            requires=package.requires,
            before=package.before,
            content=content,
            files="\n".join(package.files),
        )
    )
    return spec
