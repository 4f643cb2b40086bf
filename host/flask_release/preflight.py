"""What is tried of a release before it serves: its import and its `release` command, as the service account."""

import os
import pwd
from typing import Dict, Optional

from flask_release import launcher, releases, static
from flask_release.host import Host
from flask_release.problem import Problem, say
from flask_release.process import Ran, Running, run, start
from flask_release.settings import Settings

# What uWSGI does with module and callable; the application's own traceback is left to Python.
_IMPORT = (
    """
import importlib, sys
sys.path.insert(0, sys.argv[1])
module = importlib.import_module(sys.argv[2])
name = sys.argv[3]
factory = name.endswith("()")
name = name[:-2] if factory else name
if not hasattr(module, name):
    sys.exit("module %s has no %s" % (sys.argv[2], name))
found = getattr(module, name)
if factory:
    found = found()
if not callable(found):
    sys.exit("%s of module %s is no WSGI application but %r" % (sys.argv[3], sys.argv[2], type(found)))
"""
    + static.PROGRAM
)


class Import:
    """An import of the application that was started."""

    def __init__(self, running: Running, named: str, timeout: float) -> None:
        self._running = running
        self._named = named
        self._timeout = timeout
        self._ran: Optional[Ran] = None

    def result(self) -> Optional[static.Static]:
        """Wait for its end.

        Returns:
            The application's static files, when it has some.

        Raises:
            Problem: it does not import; with the application's own traceback.
        """
        if self._ran is None:
            self._ran = self._end()
        if self._ran.code < 0:
            raise Problem(
                f"The import of {self._named} was ended by signal {-self._ran.code}"
                f"{' (most likely for want of memory)' if self._ran.code == -9 else ''}; nothing was changed.",
                self._ran.last(60),
            )
        if self._ran.code != 0:
            raise Problem(
                f"The application does not start: {self._named} cannot be imported (above, its own words); nothing"
                " was changed. Correct it and release again.",
                self._ran.last(60),
            )
        return static.told(self._ran.output)

    def cancel(self) -> None:
        """End it, if it still runs."""
        self._running.kill()

    def _end(self) -> Ran:
        try:
            return self._running.end()
        except Problem as problem:
            raise Problem(
                f"The application's import did not end within {self._timeout:g} s; nothing was changed. Let"
                f" {self._named} do its slow work when it is first asked.",
                problem.detail,
            )


def start_import(host: Host, settings: Settings, slot: str, release: str) -> Import:
    """Start to import the release's module and find its callable, as the service account."""
    facts = releases.facts(host, release)
    code = str(releases.code(host, release, facts))
    python = str(releases.venv(host, facts) / "bin/python")
    running = start(
        [python, "-s", "-c", _IMPORT, code, facts["module"], facts["callable"]],
        env=environment(host, settings, slot, release),
        cwd=code,
        user=settings.service_user,
        timeout=settings.check.timeout,
        background=True,
    )
    return Import(running, "{module}:{callable}".format(**facts), settings.check.timeout)


def run_release_command(host: Host, settings: Settings, slot: str, release: str, command: str) -> None:
    """Run the Procfile's `release` command, such as a migration, as the service account.

    Raises:
        Problem: it failed; with the end of what it printed.
    """
    app = releases.folder(host, release) / "app"
    say(f"release command: {command}")
    env = launcher.process_environment(host, slot, release, "release", _base(settings))
    ran = run(launcher.shell(command), env, str(app), settings.service_user, settings.release_seconds)
    for line in ran.last(10).splitlines():
        say("  " + line)
    if ran.code != 0:
        raise Problem(
            f"The Procfile's release command ended with {ran.code}; what served before serves still, with whatever"
            " the command had done. Correct it and release again.",
            ran.last(40),
        )


def compile_code(host: Host, settings: Settings, release: str) -> None:
    """Compile the release's modules, which the service may not do in a folder that it cannot write to.

    A file that does not compile is left to the import check: it may be one that is never imported.
    """
    # Not the environment's Python: that starts with whatever a package put into it, and this is root.
    python = settings.interpreter(host)
    folder = str(releases.folder(host, release) / "app")
    run([python, "-I", "-S", "-m", "compileall", "-q", folder], background=True)


def environment(host: Host, settings: Settings, slot: str, release: str) -> Dict[str, str]:
    """What the application's programs see when the tool runs them: the same as in the slot."""
    venv = releases.venv(host, releases.facts(host, release))
    return launcher.application_environment(host, slot, release, venv, _base(settings))


def _base(settings: Settings) -> Dict[str, str]:
    base = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    try:
        base["HOME"] = pwd.getpwnam(settings.service_user).pw_dir
    except KeyError:
        raise Problem(f"There is no account {settings.service_user}. The bootstrap makes it.")
    base["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    return base
