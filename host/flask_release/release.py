"""`release <archive>`: from an archive to what serves."""

import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from flask_release import (
    activation,
    archive,
    files,
    gate,
    identity,
    launcher,
    preflight,
    procfile,
    prune,
    record,
    releases,
    slots,
    static,
    venvs,
)
from flask_release.archive import Archive
from flask_release.host import Host
from flask_release.identity import NOTHING_TOLD, Request
from flask_release.lock import Lock
from flask_release.problem import REFUSED, Problem, say
from flask_release.settings import Settings

# Beside the application's own files: their compiled form, which is about as large.
COMPILED = 2
SPARE = 16 << 20


def release(
    host: Host, settings: Settings, lock: Lock, path: Path, request: Request, force: bool
) -> Dict[str, Any]:
    """Release an archive.

    Args:
        host: the host, repaired.
        settings: its settings.
        lock: the held lock.
        path: the archive.
        request: variables, author and commit, from stdin.
        force: release what was marked bad.

    Returns:
        The result for stdout: release, slot, changed, previous, seconds, serving_seconds.

    Raises:
        Problem: it does not serve; nothing was changed.
    """
    began = time.monotonic()
    lock.step("read archive")
    found = archive.read(path)
    variables = _variables(host, request)
    release_id = identity.release_id(host, str(found.facts["id"]), variables)
    lock.step("read archive", release=release_id)
    _refuse_bad(host, release_id, force)
    live = slots.live(host)
    if live and live.release == release_id and is_current(host, settings, live):
        say(f"release {release_id} is live and answers: nothing to do")
        return {"release": release_id, "slot": live.slot, "changed": False}

    def work() -> activation.Activated:
        prepare(host, settings, lock, found, release_id, variables, request)
        return _activate(host, settings, lock, release_id)

    facts = {"action": "release", "release": release_id, **origin(found.facts, request)}
    try:
        done = logged(host, lock, facts, began, work)
    except BaseException:
        discard(host, release_id)
        raise
    prune.after_release(host, settings)
    return result(release_id, done, began)


def restart(host: Host, settings: Settings, lock: Lock) -> Optional[Dict[str, Any]]:
    """Serve the live release from the idle slot, so that changed settings of uWSGI take effect, when they changed.

    Returns:
        As `release`; None when there is nothing to do.

    Raises:
        Problem: it does not serve with the new settings; what served before serves on.
    """
    began = time.monotonic()
    live = slots.live(host)
    if live is None or is_current(host, settings, live):
        return None
    say(f"release {live.release} takes up changed settings in the idle slot")

    def work() -> activation.Activated:
        attempts = settings.check.attempts
        return activation.activate(host, settings, lock, live.release, attempts, settings.watch_seconds)

    facts = {"action": "restart", "release": live.release, **origin(releases.facts(host, live.release))}
    done = logged(host, lock, facts, began, work)
    return result(live.release, done, began)


def is_current(host: Host, settings: Settings, live: slots.Live) -> bool:
    """The live slot answers, and runs on the settings of uWSGI as they are now."""
    started = files.read_json(host.started) or {}
    if started.get(live.slot) != launcher.settings_digest(host, settings, live.release):
        return False
    try:
        return gate.probe(host, settings, live.slot, live.release) is None
    except OSError:
        return False


def prepare(
    host: Host,
    settings: Settings,
    lock: Lock,
    found: Archive,
    release_id: str,
    variables: Dict[str, str],
    request: Request,
) -> None:
    """Put the release on disk with its environment, and run its Procfile's `release` command.

    Raises:
        Problem: it does not unpack or install, or the command fails.
    """
    group = settings.service_user
    # The service's home, but not its own: it could put another release in a slot's place.
    for folder in (host.srv, host.releases, host.slots):
        files.folder(folder, 0o755)
    files.folder(host.instance, 0o750, group, group)
    files.folder(host.environments, 0o750, "root", group)
    files.write_json(host.environment(release_id), variables, 0o640, group)
    venv = venvs.name(host, settings, found.requirements)
    fresh = not releases.exists(host, release_id)
    if fresh:
        lock.step("unpack")
        _unpack(host, settings, found, release_id, venv, request)
    if not venvs.complete(host, venv):
        lock.step("environment")
        began = time.monotonic()
        requirements = releases.folder(host, release_id) / "requirements.txt"
        venvs.build(host, settings, venv, requirements, bool(found.facts.get("hashed")))
        say(f"environment {venv} built in {time.monotonic() - began:.1f} s")
    if fresh:
        lock.step("compile")
        preflight.compile_code(host, settings, release_id)
    command = procfile.read(releases.folder(host, release_id) / "app").release
    if command is None:
        return
    # It may change what nobody can change back: not for a release that does not even import.
    lock.step("import")
    slot = _idle(host)
    preflight.start_import(host, settings, slot, release_id).result()
    lock.step("release command")
    preflight.run_release_command(host, settings, slot, release_id, command)


def _activate(host: Host, settings: Settings, lock: Lock, release_id: str) -> activation.Activated:
    """Serve the release; its import is checked beside the start of its slot, which takes as long."""
    check = preflight.start_import(host, settings, _idle(host), release_id)

    def publish() -> None:
        static.publish(host, release_id, check.result())

    attempts, seconds = settings.check.attempts, settings.watch_seconds
    try:
        return activation.activate(
            host, settings, lock, release_id, attempts, seconds, keep=True, ready=publish
        )
    except gate.Refused:
        # Where it is the import that fails, Python's own words say it better than the slot's journal.
        check.result()
        raise
    finally:
        check.cancel()


def _idle(host: Host) -> str:
    live = slots.live(host)
    return slots.other(live.slot if live else None)


def discard(host: Host, release_id: str) -> None:
    """Remove a release that never served."""
    entry = releases.entry(host, release_id)
    if entry is None or not entry.served:
        files.remove_tree(releases.folder(host, release_id))
        files.remove(host.environment(release_id))


def logged(
    host: Host, lock: Lock, facts: Dict[str, Any], began: float, work: Callable[[], activation.Activated]
) -> activation.Activated:
    """Do the work and leave a line about it in the log, however it ends."""
    live = slots.live(host)
    facts = dict(facts, who=lock.who, previous=live.release if live else None)
    try:
        done = work()
    except BaseException as error:
        reason = error.text if isinstance(error, Problem) else repr(error)
        record.append(host, outcome="failed", reason=reason, seconds=_since(began), **facts)
        raise
    serving = round(done.moved - began, 2)
    record.append(host, outcome="live", seconds=_since(began), serving_seconds=serving, **facts)
    return done


def origin(made: Dict[str, Any], request: Request = NOTHING_TOLD) -> Dict[str, str]:
    """Who made a release and from which commit: what its release.json says, unless the caller knows better."""
    return {
        "author": request.author or str(made.get("author") or ""),
        "commit": request.commit or str(made.get("commit") or ""),
    }


def result(release_id: str, done: activation.Activated, began: float) -> Dict[str, Any]:
    """What a run that switched prints."""
    return {
        "release": release_id,
        "slot": done.slot,
        "changed": True,
        "previous": done.previous,
        "seconds": _since(began),
        "serving_seconds": round(done.moved - began, 2),
    }


def _unpack(
    host: Host, settings: Settings, found: Archive, release_id: str, venv: str, request: Request
) -> None:
    archive.check_space(host.srv, found.size * COMPILED + SPARE, "the release")
    folder = releases.folder(host, release_id)
    part = folder.with_name(".part-" + release_id)
    files.remove_tree(part)
    try:
        archive.unpack(found, part, str(host.instance))
        facts = dict(found.facts, release=release_id, venv=venv, made=time.time())
        facts.update(origin(found.facts, request))
        web = procfile.read(part / "app").web
        if web:
            facts["module"], facts["callable"] = web
        files.write_json(part / "release.json", facts)
        os.symlink(f"../../venvs/{venv}", str(part / "venv"))
        releases.seal(part, settings.web_group)
        os.rename(str(part), str(folder))
        files.sync_folder(host.releases)
    except BaseException:
        files.remove_tree(part)
        raise


def _variables(host: Host, request: Request) -> Dict[str, str]:
    if request.variables is not None:
        return request.variables
    live = slots.live(host)
    if live is None:
        return {}
    say("no variables on stdin: those of the live release stay")
    return launcher.variables(host, live.release)


def _refuse_bad(host: Host, release_id: str, force: bool) -> None:
    entry = releases.entry(host, release_id)
    if entry and entry.bad and not force:
        raise Problem(
            f"Release {release_id} was marked bad ({entry.bad}) and is not released again by itself. Correct the"
            " application, or give --force to release it all the same.",
            code=REFUSED,
        )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)
