"""`run COMMAND …`: a command of the operator's inside the live release, as the application would run it."""

import os
import pwd
from typing import List

from flask_release import launcher, preflight, releases, slots
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings

# Environments that were built before pip had commands in them have it as a module.
_PIP = ("pip", "pip3")


def become(host: Host, settings: Settings, command: List[str]) -> None:
    """Replace this process by the command: the service account, the release's environment, folder and variables.

    FLASK_APP names the application unless the variables do, so that `flask init-db` finds it. A command of one word
    with spaces in it is a line for the shell, as in a Procfile.

    Raises:
        Problem: no release is live, or the command is not there.
    """
    if not command:
        raise Problem("Say what to run, such as `flask-release run flask routes`.")
    live = slots.live(host)
    if live is None:
        raise Problem("No release is live here. Release one first.")
    facts = releases.facts(host, live.release)
    code = str(releases.code(host, live.release, facts))
    environment = preflight.environment(host, settings, live.slot, live.release)
    environment.setdefault("FLASK_APP", "{module}:{callable}".format(**facts))
    environment["PYTHONPATH"] = code
    # pip here lists and shows; a newer one could not be installed, and there is no folder for a cache.
    environment.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    environment.setdefault("PIP_NO_CACHE_DIR", "1")
    if "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]
    if os.geteuid() == 0:
        account = pwd.getpwnam(settings.service_user)
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir(code)
    os.environ["PATH"] = environment["PATH"]
    if len(command) == 1 and " " in command[0].strip():
        command = launcher.shell(command[0].strip())
    elif command[0] in _PIP and not (releases.venv(host, facts) / "bin" / command[0]).exists():
        command = ["python", "-m", "pip", *command[1:]]
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise Problem(
            f"There is no command {command[0]}, neither of the release's packages nor of the system. A module of"
            " Python's is run by `python -m MODULE`."
        )
    except OSError as error:
        raise Problem(f"{command[0]} cannot be run: {error.strerror}.")
