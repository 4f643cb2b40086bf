"""The mirrors of CentOS and EPEL as they may be on one day: one does not answer, one has lost its packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.centos7 import packages
from tests.unit.certificates import authority, certificate

# Nobody listens where it is: its addresses begin with http.
ABSENT = "mirrors.cloud.aliyuncs.com"
# Has CentOS's lists of packages and no packages; of EPEL nothing.
HALF = "mirrors.aliyun.com"
CENTOS = "vault.centos.org"
EPEL = "archives.fedoraproject.org"
HOSTS = (ABSENT, HALF, CENTOS, EPEL)
EPEL_PATH = Path(EPEL, "pub/archive/epel/7/x86_64")


@dataclass(frozen=True)
class Archives:
    """What an instance gets: `settings` for /etc/archive, `served` for /srv/archive, and CentOS's key."""

    settings: Path
    served: Path
    centos_key: Path
    # EPEL whose packages somebody else signed, or nobody.
    foreign: Path
    unsigned: Path


def make(folder: Path) -> Archives:
    """Make the archives in `folder`."""
    made = Archives(
        *(folder / name for name in ("settings", "served", "RPM-GPG-KEY-CentOS-7", "foreign", "unsigned"))
    )
    folder.mkdir()
    vault = made.served / CENTOS / "7.9.2009"
    with packages.keys("CentOS", "EPEL", "Somebody") as (centos, epel, somebody):
        made.centos_key.write_text(centos.public)
        *base, release = sorted(
            packages.centos(epel.public), key=lambda package: package.name == "epel-release"
        )
        for name, content in (("os", base), ("updates", []), ("extras", [release])):
            _repository(vault / name / "x86_64", content, centos.sign)
        _repository(made.served / EPEL_PATH, [packages.nginx()], epel.sign)
        _repository(made.foreign, [packages.nginx()], somebody.sign)
        _repository(made.unsigned, [packages.nginx()], lambda _: None)
    half = made.served / HALF / "centos-vault/7.9.2009"
    shutil.copytree(vault, half, ignore=shutil.ignore_patterns("*.rpm"))
    made.settings.mkdir()
    ca = authority()
    site = certificate(*HOSTS, signed_by=ca)
    for name, text in (
        ("names", "\n".join(HOSTS) + "\n"),
        ("authority.pem", ca.pem),
        ("certificate.pem", site.pem),
        ("key.pem", site.key),
    ):
        (made.settings / name).write_text(text)
    return made


def _repository(folder: Path, content: list[packages.Package], sign: Callable[[list[Path]], None]) -> None:
    built = packages.build(content, folder)
    if built:
        sign(built)
    packages.index(folder)
