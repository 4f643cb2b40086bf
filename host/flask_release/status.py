"""What serves, and what is on disk: for people as text, for programs as JSON."""

import time
from typing import Any, Dict, List, Optional

from flask_release import counters, gate, lock, record, releases, slots, standby, traffic, units
from flask_release.host import SLOTS, Host, unit
from flask_release.settings import Settings

# Seconds that requests are counted for.
_WATCHED = 1.0


def status(host: Host, settings: Settings) -> Dict[str, Any]:
    """The state of the host: live slot and release, both units, where traffic goes, who works on it, the last runs.

    A slot's "state" is systemd's ActiveState, or "asleep": ready for a rollback (`standby.py`).

    "site" is what a visitor gets: "good" when the live release answers through nginx, else what is wrong with it.
    "load" counts requests for a second. Times are in seconds of the epoch, memory is in bytes.
    """
    live = slots.live(host)
    return {
        "live": dict(live._asdict(), answers=_answer(host, settings, live)) if live else None,
        "site": traffic.through_nginx(settings, live.release) or "good" if live else None,
        "live_since": _since(host, live) if live else None,
        "load": _load(host, settings, live) if live else None,
        "slots": {slot: _slot(host, slot) for slot in SLOTS},
        "traffic": traffic.current(host, settings),
        "nginx": units.state("nginx.service").active,
        "socket": settings.socket,
        "releases": len(releases.entries(host)),
        "lock": lock.owner(host),
        "last": record.last(host, 1)[-1:],
    }


def healthy(state: Dict[str, Any]) -> bool:
    """The live release answers in its slot and through nginx; a host without a release is healthy, too."""
    live = state["live"]
    if live is None:
        return True
    return bool(
        live["answers"] == "good"
        and state["site"] == "good"
        and state["traffic"] == live["slot"]
        and state["nginx"] == "active"
    )


def as_text(state: Dict[str, Any]) -> str:
    """The state as lines."""
    live = state["live"]
    lines = [
        "live      {}".format(
            "{release}  slot {slot}, answers: {answers}".format(**live) if live else "nothing"
        )
    ]
    if state["live_since"]:
        lines.append("serves    for {}".format(_age(state["live_since"])))
    load = state["load"]
    if load is not None:
        lines.append("load      " + _load_text(load))
    for slot in SLOTS:
        lines.append("slot {}    {state}  {release}".format(slot, **state["slots"][slot]))
    lines.append("traffic   {}".format("slot " + state["traffic"] if state["traffic"] else "nowhere"))
    if live:
        lines.append(
            "site      {}".format("the live release answers" if state["site"] == "good" else state["site"])
        )
    if live and state["traffic"] != live["slot"]:
        lines.append("          not the live slot: the next release or `flask-release boot` repairs it")
    lines.append("nginx     {}".format(state["nginx"]))
    lines.append("releases  {} on disk".format(state["releases"]))
    if state["lock"] is not None:
        lines.append("at work   {}".format(lock.describe(state["lock"])))
    for entry in state["last"]:
        lines.append("last      {time} {action} {release}: {outcome}".format(**_blank(entry)))
    return "\n".join(lines)


def listing(host: Host) -> List[Dict[str, Any]]:
    """The releases on disk, live first, then by when they last served."""
    live = slots.live(host)
    found = []
    for entry in releases.entries(host):
        state = "bad" if entry.bad else "good" if entry.served else "never served"
        if live and entry.id == live.release:
            state = "live"
        found.append(dict(entry._asdict(), state=state))
    return sorted(found, key=lambda row: bool(row["state"] != "live"))


def listing_text(rows: List[Dict[str, Any]]) -> str:
    """The releases as a table."""
    if not rows:
        return "no releases"
    cells = [("ID", "STATE", "AGE", "AUTHOR", "COMMIT")]
    for row in rows:
        cells.append(
            (row["id"], row["state"], _age(row["made"]), row["author"] or "-", row["commit"][:12] or "-")
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells
    )


def _since(host: Host, live: slots.Live) -> Optional[float]:
    entry = releases.entry(host, live.release)
    return entry.served if entry else None


def _load(host: Host, settings: Settings, live: slots.Live) -> Optional[Dict[str, Any]]:
    found = counters.slot(host, settings, live.slot)
    if found is None:
        return None
    try:
        rate: Optional[float] = round(counters.requests_a_second(settings.verify_address, _WATCHED), 1)
    except OSError:
        rate = None
    return {
        "requests_per_second": rate,
        "workers": len(found.workers),
        "workers_busy": sum(bool(worker.busy) for worker in found.workers),
        "threads": sum(worker.threads for worker in found.workers),
        "threads_busy": sum(worker.busy for worker in found.workers),
        "queue": found.queue,
        "memory": found.memory,
        "requests": sum(worker.requests for worker in found.workers),
        "exceptions": sum(worker.exceptions for worker in found.workers),
    }


def _load_text(load: Dict[str, Any]) -> str:
    rate = load["requests_per_second"]
    requests = "requests unknown (nginx does not tell)" if rate is None else f"{rate:g} requests a second"
    workers = "{workers_busy} of {workers} workers and {threads_busy} of {threads} threads busy".format(
        **load
    )
    return "{}; {}, {} wait; {} MiB".format(requests, workers, load["queue"], load["memory"] >> 20)


def _answer(host: Host, settings: Settings, live: slots.Live) -> str:
    try:
        return gate.probe(host, settings, live.slot, live.release) or "good"
    except OSError as error:
        return str(error)


def _slot(host: Host, slot: str) -> Dict[str, Any]:
    state = units.state(unit(slot))
    return {
        "state": "asleep" if standby.sleeps(host, slot) else state.active,
        "sub": state.sub,
        "release": slots.occupant(host, slot) or "",
    }


def _blank(entry: Dict[str, Any]) -> Dict[str, Any]:
    return {key: entry.get(key) or "" for key in ("time", "action", "release", "outcome")}


def _age(made: float) -> str:
    seconds = max(0.0, time.time() - made)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return f"{seconds:.0f} s"
