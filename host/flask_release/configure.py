"""`configure <bundle>`: the host's files laid down, tested and taken up, or all of them taken back."""

from pathlib import Path
from typing import Dict, List, Set

from flask_release import (
    accounts,
    bundle,
    processes,
    prune,
    release,
    repair,
    settings,
    slots,
    sshd,
    traffic,
    units,
)
from flask_release.bundle import Difference, File
from flask_release.host import NGINX, Host
from flask_release.lock import Lock
from flask_release.problem import Problem, say
from flask_release.process import run
from flask_release.settings import Settings

METRICS = "flask-metrics.service"
UPKEEP = "flask-upkeep.service"
_UNITS = "etc/systemd/system/"
_SETTINGS = "etc/flask/host.json"
# Files of which each is named that changed; a first run changes a hundred.
_NAMED = 10


def configure(host: Host, lock: Lock, folder: Path) -> None:
    """Install an unpacked bundle.

    nginx reads the new configuration before it is reloaded; changed settings of uWSGI are taken up by serving the
    live release from the idle slot, through the same gate as a release.

    Raises:
        Problem: something does not take the new files; the old ones are back.
    """
    take_back(host)
    found = bundle.read(folder)
    new = settings.load(host, folder / _SETTINGS)
    # By the settings that the host runs on: with the new ones, traffic could be sent to where nothing listens yet.
    old = _old_settings(host, new)
    repair.repair(host, old, lock)
    difference = bundle.compare(host, found, new.service_user)
    ran = units.state(NGINX).runs
    accounts.make(host, new)
    lock.step("install files")
    if difference.names:
        bundle.install(host, found, difference, new.service_user)
    tested = False
    try:
        lock.step("take up files")
        _system(host, difference)
        if difference.touches("etc/nginx/"):
            traffic.test_nginx()
        tested = True
        # nginx has not taken its new files up yet.
        release.restart(host, new._replace(verify_address=old.verify_address), lock)
        _nginx(host, difference, accounts.separate(new))
        _enable(found)
        processes.follow(host)
        _around(host, found, difference)
    except BaseException as error:
        _undo(host, new, lock, tested, ran)
        if isinstance(error, Problem):
            error.text += " The host's files are as they were before."
        raise
    bundle.done(host, found)
    prune.prune_archives(host)
    _tell(difference, len(found))


def _tell(difference: Difference, of: int) -> None:
    """How many files changed; few by name."""
    if len(difference.names) <= _NAMED:
        for name in difference.written:
            say(f"wrote /{name}")
        for name in difference.removed:
            say(f"removed /{name}")
    say(f"{len(difference.names)} of {of} files changed")


def take_back(host: Host) -> None:
    """Finish a `configure` that was killed, by taking the old files back."""
    if bundle.unfinished(host) and not host.installed.exists():
        _put_down_nginx(host)
    names = bundle.restore(host)
    if names:
        say(f"a configure before this one did not end: {len(names)} files taken back")
        _after_restore(names, reload=True)


def _system(host: Host, difference: Difference) -> None:
    if difference.touches(_UNITS):
        units.must("daemon-reload")
    if difference.touches("etc/systemd/journald") and slots.live(host) is None:
        # Later it would cut running services off from their log (systemd before 235); then it waits for a boot.
        units.must("restart", "systemd-journald.service")
    for name in difference.written:
        place = str(host.place(name))
        if name.startswith("etc/sysctl.d/"):
            ran = run(["sysctl", "-q", "-p", place], timeout=30)
            if ran.code != 0:
                # A container may not set some of them; the gate tells when it matters.
                say(f"warning: not all of /{name} could be set: {ran.last(3)}")
        elif name.startswith("etc/tmpfiles.d/"):
            ran = run(["systemd-tmpfiles", "--create", place], timeout=30)
            if ran.code != 0:
                raise Problem(f"systemd-tmpfiles refuses /{name} (above).", ran.last(20))


def _nginx(host: Host, difference: Difference, regrouped: bool) -> None:
    state = units.state(NGINX)
    if not state.runs or state.failed:
        units.must("start", NGINX)
        return
    if difference.touches(_UNITS + "nginx.service.d/"):
        # What the unit sets, such as the number of open files, takes a restart, which drops connections.
        if slots.live(host) is None:
            units.must("restart", NGINX)
            return
        say(
            "nginx goes on serving; what changed in its unit counts from its next start (`systemctl restart nginx`)"
        )
    if regrouped or difference.touches("etc/nginx/"):
        units.must("reload", NGINX)


def _enable(found: Dict[str, File]) -> None:
    """Have units started at boot that ask for it; slots do not (see `repair.boot`), nginx always."""
    wanted: Set[str] = {NGINX}
    timers: List[str] = []
    for name, file in found.items():
        unit = name[len(_UNITS) :]
        if not name.startswith(_UNITS) or "/" in unit or "@" in unit or b"[Install]" not in file.content:
            continue
        wanted.add(unit)
        if unit.endswith((".timer", ".path", ".socket")):
            timers.append(unit)
    for unit in sorted(wanted):
        units.enable(unit)
    for unit in timers:
        if not units.state(unit).runs:
            units.must("start", unit)


def _around(host: Host, found: Dict[str, File], difference: Difference) -> None:
    """What stands around the application: metrics by the tool as it is now, sshd, and the machine's own order.

    A host serves its visitors without any of them, too: a failure is told, and undoes nothing.
    """
    if difference.touches(sshd.NAME):
        sshd.follow(host)
    changed = difference.touches(_UNITS + METRICS, "opt/flask/lib/flask_release/", _SETTINGS)
    tasks = [(METRICS, ["restart" if changed else "start", METRICS])]
    if difference.touches(_UNITS + UPKEEP, "opt/flask/bin/flask-upkeep"):
        # It may install packages, which takes its time and must not be cut off: no restart.
        tasks.append((UPKEEP, ["start", "--no-block", UPKEEP]))
    for unit, command in tasks:
        if _UNITS + unit in found:
            ran = units.systemctl(*command)
            if ran.code != 0:
                say("warning: `systemctl {}` failed: {}".format(" ".join(command), ran.last(3)))


def _put_down_nginx(host: Host) -> None:
    """Stop nginx, which did not run before, while our files are still there.

    systemd tries again and again to start it. Once our files are gone it would come up with the distribution's, whose
    welcome page is no answer to give: on a host that was never configured it does not start at boot either, as the
    bootstrap left it.
    """
    try:
        units.systemctl("stop", NGINX)
        if not host.installed.exists():
            units.systemctl("disable", NGINX)
        units.systemctl("reset-failed", NGINX)
    except Problem as problem:
        # The files are taken back all the same.
        say(f"warning: {problem.text}")


def _old_settings(host: Host, new: Settings) -> Settings:
    try:
        return settings.load(host)
    except Problem:
        return new


def _undo(host: Host, new: Settings, lock: Lock, reload: bool, ran: bool) -> None:
    """Take the old files back; `reload` nginx, which `ran` before, or put it down."""
    if not ran:
        _put_down_nginx(host)
    names = bundle.restore(host)
    try:
        _after_restore(names, reload)
        repair.repair(host, _old_settings(host, new), lock)
    except Problem as problem:
        say(f"warning: {problem.text}")


def _after_restore(names: List[str], reload: bool) -> None:
    taken = Difference(names, [])
    if taken.touches(_UNITS):
        units.must("daemon-reload")
    if (
        reload
        and taken.touches("etc/nginx/")
        and units.state(NGINX).runs
        and run(["nginx", "-t", "-q"]).code == 0
    ):
        units.must("reload", NGINX)
