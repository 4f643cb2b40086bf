"""Examination of the ports that the host needs, and of who holds them."""

import re
from typing import Dict, List

from flask_release import files, listening, slots
from flask_release.finding import BAD, OK, Finding, Patient
from flask_release.host import unit
from flask_release.listening import Listener

_LISTEN = re.compile(r"^\s*listen\s+(?:[\d.]+:)?(\d+)\b[^;]*;", re.MULTILINE)
_METRICS_LISTEN = re.compile(r"--listen \S+:(\d+)")


def ports(patient: Patient) -> List[Finding]:
    """Each port that the host needs, by its own configuration: who holds it."""
    found = listening.listeners()
    wanted: Dict[int, str] = {}
    for file in sorted((patient.host.root / "etc/nginx/flask").glob("*.conf")):
        wanted.update({int(port): "nginx" for port in _LISTEN.findall(files.read_text(file))})
    live = slots.live(patient.host)
    tcp = patient.settings.tcp_address(live.slot) if live else None
    if tcp and live:
        wanted[tcp[1]] = unit(live.slot)
    metrics = _METRICS_LISTEN.search(files.read_text(patient.host.units / "flask-metrics.service"))
    if metrics:
        wanted[int(metrics.group(1))] = "flask-metrics.service"
    findings = [_port(port, owner, found) for port, owner in sorted(wanted.items())]
    others = [
        f"{listener.port} {listener.holder.name if listener.holder else '?'}"
        for listener in found
        if listener.outside and listener.port not in wanted
    ]
    if others:
        findings.append(Finding("ports", OK, "also open to the outside: " + ", ".join(sorted(set(others)))))
    return findings


def judge_port(port: int, owner: str, held: List[Listener]) -> Finding:
    """Whether a port is held by whom it is for: `owner` is nginx or a unit. Listeners of that port only."""
    name = f"port {port}"
    remedy = f"`systemctl start {owner}`" if owner != "nginx" else "`nginx -t`, `systemctl start nginx`"
    if not held:
        return Finding(name, BAD, f"nobody listens; {owner} should", remedy)
    foreign = [listener for listener in held if listener.holder and not _is(listener.holder, owner)]
    if foreign and foreign[0].holder:
        other = foreign[0].holder
        stop = f"`systemctl disable --now {other.unit}`" if _stoppable(other.unit) else f"`kill {other.pid}`"
        return Finding(name, BAD, f"held by {other}; {owner} needs it", f"{stop}, then {remedy}")
    # In a container root may not see what other accounts hold.
    holders = sorted({str(listener.holder or "whose is not to be seen") for listener in held})
    places = ", ".join(listener.place for listener in held)
    return Finding(name, OK, "{}, {}".format(places, ", ".join(holders)))


def _port(port: int, owner: str, found: List[Listener]) -> Finding:
    return judge_port(port, owner, [listener for listener in found if listener.port == port])


def _is(holder: listening.Holder, owner: str) -> bool:
    if owner == "nginx":
        return holder.name == "nginx"
    # Without a unit nobody can tell: outside of systemd, in a test or after `uwsgi` by hand.
    return holder.unit == owner or (not holder.unit and holder.name.startswith(("uwsgi", "python")))


def _stoppable(name: str) -> bool:
    return name.endswith((".service", ".socket"))
