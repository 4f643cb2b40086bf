"""What differs between operating systems, in one place: no other module branches on a system's name."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class OsProfile:
    """One supported operating system of a server.

    Attributes:
        name: value of the `os` key; also the stem of the bootstrap script, `cloud-init/<name>.sh`.
        image_name_regex: finds the public ECS image (`name_regex` of `getImages`).
        pythons: allowed values of the `python` key; the first is the default.
        system_python: version of the system's own Python 3.
        systemd_version: oldest systemd of this system; units hold to what it knows.
        sshd_version: its OpenSSH server.
        packages: the program that installs packages.
        nginx_user: the account nginx's workers run as.
        nginx_modules: glob of files that load nginx's packaged dynamic modules.
    """

    name: str
    image_name_regex: str
    pythons: tuple[str, ...]
    system_python: tuple[int, int]
    systemd_version: int
    sshd_version: tuple[int, int]
    packages: Literal["apt", "yum"]
    nginx_user: str
    nginx_modules: str


_ALL = (
    OsProfile(
        name="centos7",
        image_name_regex="^centos_7_9_x64",
        pythons=("standalone", "system"),
        system_python=(3, 6),
        systemd_version=219,
        sshd_version=(7, 4),
        packages="yum",
        nginx_user="nginx",
        nginx_modules="/usr/share/nginx/modules/*.conf",
    ),
    OsProfile(
        name="debian12",
        image_name_regex="^debian_12_[0-9]+_x64",
        pythons=("system",),
        system_python=(3, 11),
        systemd_version=252,
        sshd_version=(9, 2),
        packages="apt",
        nginx_user="www-data",
        nginx_modules="/etc/nginx/modules-enabled/*.conf",
    ),
)

PROFILES = MappingProxyType({profile.name: profile for profile in _ALL})
