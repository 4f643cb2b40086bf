"""Old releases, environments and archives are removed; what is live or could be gone back to never is."""

from pathlib import Path
from typing import List, Set

from flask_release import files, releases, slots, venvs
from flask_release.host import Host
from flask_release.problem import say, warned
from flask_release.settings import Settings

# The newest copy of each kind is what the stack's state refers to: a run of `up` may ask for it again.
KEEP_ARCHIVES = 3


def prune(host: Host, settings: Settings) -> List[str]:
    """Remove what is over the number of releases to keep, and environments that no release uses.

    Returns:
        Ids of the releases that were removed.
    """
    entries = releases.entries(host)
    kept = _kept(host, settings, entries)
    removed = [entry.id for entry in entries if entry.id not in kept]
    for release in removed:
        files.remove_tree(releases.folder(host, release))
        files.remove(host.environment(release))
    used = {entry.venv for entry in entries if entry.id in kept}
    for venv in venvs.used(host):
        if venv not in used:
            files.remove_tree(host.venvs / venv)
    _prune_environments(host, kept)
    prune_archives(host)
    return removed


def after_release(host: Host, settings: Settings) -> None:
    """Prune, and let no failure of it fail the release, which serves already."""
    with warned("old releases were not removed"):
        removed = prune(host, settings)
        if removed:
            say("removed old releases: {}".format(", ".join(removed)))


def prune_archives(host: Host) -> None:
    """Remove all but the newest archives that were copied to the host, and bundles unpacked from them."""
    for folder, pattern in ((host.incoming, "release-*"), (host.incoming, "host-*"), (host.bundles, "*/opt")):
        found = sorted(folder.glob(pattern), key=_changed, reverse=True)
        for path in found[KEEP_ARCHIVES:]:
            files.remove_tree(path.parent if pattern == "*/opt" else path)


def _kept(host: Host, settings: Settings, entries: List[releases.Entry]) -> Set[str]:
    live = slots.live(host)
    good = releases.last_good(host, live.release if live else None)
    kept = {live.release} if live else set()
    if good:
        kept.add(good.id)
    # Those that never served, or were left as bad, go first.
    for entry in sorted(entries, key=lambda entry: bool(entry.served and not entry.bad), reverse=True):
        if len(kept) < settings.keep_releases:
            kept.add(entry.id)
    return kept


def _prune_environments(host: Host, kept: Set[str]) -> None:
    for path in host.environments.glob("*.env"):
        if path.name[: -len(".env")] not in kept:
            files.remove(path)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
