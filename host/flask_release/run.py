"""`run COMMAND …`: a command of the operator's inside the live release, as the application would run it."""

import os
import pwd
from typing import List

from flask_release import preflight, releases, slots
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings


def become(host: Host, settings: Settings, command: List[str]) -> None:
    """Replace this process by the command: the service account, the release's environment, folder and variables.

    FLASK_APP names the application unless the variables do, so that `flask init-db` finds it.

    Raises:
        Problem: no release is live, or the command is not there.
    """
    live = slots.live(host)
    if live is None:
        raise Problem("No release is live here. Release one first.")
    facts = releases.facts(host, live.release)
    environment = preflight.environment(host, settings, live.slot, live.release)
    environment.setdefault("FLASK_APP", "{module}:{callable}".format(**facts))
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    if os.geteuid() == 0:
        account = pwd.getpwnam(settings.service_user)
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir(str(releases.code(host, live.release, facts)))
    os.environ["PATH"] = environment["PATH"]
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise Problem(f"{command[0]} cannot be run: {error.strerror}.")
