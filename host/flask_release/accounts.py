"""Accounts and groups of a host, so that each can read what it needs and nothing else (docs/adr/0015).

The bootstrap made the account of the application. What came later is made here, so that no server has to be replaced.
"""

import grp
import os
import pwd

from flask_release import releases, traffic, units
from flask_release.host import NGINX, Host
from flask_release.problem import say
from flask_release.process import must
from flask_release.settings import Settings

# Longest run of a program that makes an account or a group.
_SECONDS = 60


def make(host: Host, settings: Settings) -> None:
    """Make what is missing: the group that sockets and releases have, and the account that builds environments.

    Releases of before are given to the group, and nginx is reloaded where it has to be in it.

    Raises:
        Problem: a program that makes them fails.
    """
    if os.geteuid() != 0:
        return
    if not _group(settings.web_group):
        must(["groupadd", "--system", settings.web_group], _SECONDS)
    if not _account(settings.build_user):
        must([
            "useradd", "--system", "--user-group", "--home-dir", "/nonexistent", "--no-create-home",
            "--shell", "/usr/sbin/nologin", settings.build_user,
        ], _SECONDS)  # fmt: skip
    joined = [
        account
        for account in (settings.service_user, settings.nginx_user)
        if _account(account) and not _belongs(account, settings.web_group)
    ]
    for account in joined:
        must(["usermod", "--append", "--groups", settings.web_group, account], _SECONDS)
    for entry in releases.entries(host):
        releases.seal(releases.folder(host, entry.id), settings.web_group)
    if settings.nginx_user in joined and units.state(NGINX).runs:
        # Its workers take their groups when they start. Slots of before and those to come are both reached then.
        traffic.reload_nginx(host)


def separate(settings: Settings) -> bool:
    """Take nginx out of the application's own group, which may read its secrets; tells whether it was in it.

    nginx is to be reloaded then.

    Raises:
        Problem: the program that does it fails.
    """
    if os.geteuid() != 0 or settings.nginx_user == settings.service_user:
        return False
    members = grp.getgrnam(settings.service_user).gr_mem if _group(settings.service_user) else []
    if settings.nginx_user not in members:
        return False
    must(["gpasswd", "--delete", settings.nginx_user, settings.service_user], _SECONDS)
    say(f"{settings.nginx_user} is no longer in the group {settings.service_user}")
    return True


def _account(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _group(name: str) -> bool:
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


def _belongs(account: str, group: str) -> bool:
    found = grp.getgrnam(group)
    return account in found.gr_mem or pwd.getpwnam(account).pw_gid == found.gr_gid
