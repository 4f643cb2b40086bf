"""`rollback [<id>]`: back to a release that was good."""

import time
from typing import Any, Dict, Optional

from flask_release import activation, preflight, release, releases, slots, venvs
from flask_release.host import Host
from flask_release.lock import Lock
from flask_release.problem import REFUSED, Problem, say, warned
from flask_release.settings import Settings

# It served before: one good answer tells that it does again.
ATTEMPTS = 1


def rollback(
    host: Host, settings: Settings, lock: Lock, wanted: Optional[str], force: bool
) -> Optional[Dict[str, Any]]:
    """Serve an earlier release and mark the one that is left as bad.

    A kill before the mark is made good by `repair.py`, from the lock's note of what is left.

    Args:
        host: the host, repaired.
        settings: its settings.
        lock: the held lock.
        wanted: id (or its start) of the release; None: the last good one.
        force: also to a release that was marked bad itself.

    Returns:
        As `release.release`; None when there is nothing to go back to.

    Raises:
        Problem: there is no such release, or it does not serve; what served before serves on.
    """
    began = time.monotonic()
    live = slots.live(host)
    target = (
        _find(host, wanted, force) if wanted else releases.last_good(host, live.release if live else None)
    )
    if target is None:
        say("there is no good release to go back to; nothing was changed")
        return None
    if live and target.id == live.release:
        say(f"release {target.id} is live already; nothing was changed")
        return {"release": target.id, "slot": live.slot, "changed": False}
    if live:
        lock.step("start", release=target.id, left=live.release)
    if not venvs.complete(host, target.venv):
        _rebuild(host, settings, lock, target)

    def work() -> activation.Activated:
        return activation.activate(host, settings, lock, target.id, ATTEMPTS, 0.0)

    facts = {"action": "rollback", "release": target.id, "author": target.author, "commit": target.commit}
    done = release.logged(host, lock, facts, began, work)
    if live:
        with warned(f"release {live.release} could not be marked bad"):
            releases.left_by_rollback(host, live.release)
            say(f"release {live.release} is marked bad")
    return release.result(target.id, done, began)


def _find(host: Host, wanted: str, force: bool) -> releases.Entry:
    found = [entry for entry in releases.entries(host) if entry.id.startswith(wanted)]
    if len(found) != 1:
        raise Problem(
            "{} release on this host has an id that starts with {!r}; nothing was changed. `flask-release releases`"
            " lists them.".format("More than one" if found else "No", wanted)
        )
    if found[0].bad and not force:
        raise Problem(
            f"Release {found[0].id} was marked bad ({found[0].bad}); nothing was changed. Choose another, or give"
            " --force.",
            code=REFUSED,
        )
    return found[0]


def _rebuild(host: Host, settings: Settings, lock: Lock, target: releases.Entry) -> None:
    lock.step("environment", release=target.id)
    facts = releases.facts(host, target.id)
    requirements = releases.folder(host, target.id) / "requirements.txt"
    venvs.build(host, settings, target.venv, requirements, bool(facts.get("hashed")))
    preflight.start_import(host, settings, "a", target.id).result()
