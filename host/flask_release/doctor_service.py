"""Examinations of what serves: bootstrap, ports, units, slots, traffic, last errors."""

import contextlib
import re
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from flask_release import counters, gate, launcher, listening, lock, slots, standby, traffic
from flask_release import units as systemd
from flask_release.finding import BAD, OK, WARN, Finding, Patient
from flask_release.host import SLOTS, Host, unit
from flask_release.listening import Listener
from flask_release.problem import Problem
from flask_release.process import run

_LISTEN = re.compile(r"^\s*listen\s+(?:[\d.]+:)?(\d+)\b[^;]*;", re.MULTILINE)
_METRICS_LISTEN = re.compile(r"--listen \S+:(\d+)")
# Seconds after which a run of the tool is no longer one that only takes its time.
_LONG_WORK = 1800
_ERRORS_SINCE = 24 * 3600
_ERROR_LINES = 3
_QUERY = re.compile(r"\?[^\s\"']*")
_ERROR = re.compile(
    r"\b(error|exception|critical|fatal|traceback|segmentation fault|harakiri)\b|\w(Error|Exception)\b",
    re.IGNORECASE,
)


class Unit(NamedTuple):
    """What systemd says of a unit: its state and, of a service, how it last ended."""

    active: str
    sub: str
    result: str
    status: str

    @property
    def words(self) -> str:
        """For people, such as "failed, last ended: exit-code, status 22"."""
        if not self.active:
            return "unknown to systemd"
        text = (
            self.active if self.sub in ("", "dead", "running", self.active) else f"{self.active} ({self.sub})"
        )
        if self.result not in ("", "success"):
            text += f", last ended: {self.result}, status {self.status}"
        return text


def bootstrap(patient: Patient) -> List[Finding]:
    """Whether the first boot prepared the host to its end."""
    state = patient.host.state
    log = "/var/log/flask-bootstrap.log"
    failed = _text(state / "failed").strip()
    if failed:
        return [Finding("bootstrap", BAD, failed, f"see {log}; correct it, then replace the server")]
    if not (state / "ready").exists():
        return [Finding("bootstrap", BAD, "not done", f"wait for it, or see {log} and `cloud-init status`")]
    if not patient.host.settings.exists():
        return [Finding("bootstrap", BAD, "done, but the host has no configuration yet", "run ./ops up")]
    return [Finding("bootstrap", OK, "done")]


def ports(patient: Patient) -> List[Finding]:
    """Each port that the host needs, by its own configuration: who holds it."""
    found = listening.listeners()
    wanted: Dict[int, str] = {}
    for file in sorted((patient.host.root / "etc/nginx/flask").glob("*.conf")):
        wanted.update({int(port): "nginx" for port in _LISTEN.findall(_text(file))})
    live = slots.live(patient.host)
    tcp = patient.settings.tcp_address(live.slot) if live else None
    if tcp and live:
        wanted[tcp[1]] = unit(live.slot)
    metrics = _METRICS_LISTEN.search(_text(patient.host.units / "flask-metrics.service"))
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


def units(patient: Patient) -> List[Finding]:
    """The services and timers of the stack, and others that failed."""
    live = slots.live(patient.host)
    at_work = lock.owner(patient.host) is not None
    findings = [_must_run("nginx.service", "`nginx -t`, `systemctl start nginx`")]
    for slot in SLOTS:
        findings.append(_slot(patient.host, slot, live.slot if live else None, at_work))
    boot = describe("flask-boot.service")
    failed = boot.active == "failed"
    findings.append(
        Finding(
            "flask-boot.service",
            BAD if failed else OK,
            boot.words,
            "`journalctl -u flask-boot`, then `systemctl restart flask-boot`" if failed else "",
        )
    )
    mine = {"nginx.service", "flask-boot.service", *map(unit, SLOTS)}
    for path in sorted(patient.host.units.glob("flask-*")):
        if path.name in mine or "@" in path.name or path.suffix not in (".service", ".timer"):
            continue
        mine.add(path.name)
        text = _text(path)
        if "[Install]" in text and "Type=oneshot" not in text:
            findings.append(
                _must_run(path.name, f"`journalctl -u {path.name}`, `systemctl start {path.name}`")
            )
        else:
            findings.append(_job(path.name))
    foreign = sorted(set(_failed()) - mine)
    if foreign:
        findings.append(
            Finding(
                "other units", WARN, "failed: " + ", ".join(foreign), "`systemctl status` of each tells why"
            )
        )
    return findings


def release(patient: Patient) -> List[Finding]:
    """What is live, where current.sock points, and whether it answers on its own socket and through nginx."""
    host, settings = patient.host, patient.settings
    live = slots.live(host)
    if live is None:
        return [Finding("release", WARN, "none was released yet", "run ./ops up")]
    findings = [Finding("release", OK, f"{live.release} in slot {live.slot}")]
    directed = traffic.current(host, settings)
    if directed != live.slot:
        findings.append(
            Finding(
                "traffic",
                BAD,
                "goes to slot {}, and slot {} is live".format(directed, live.slot)
                if directed
                else "goes nowhere",
                "`flask-release boot` sends it to the live slot",
            )
        )
    else:
        link = (
            f"current.sock → {host.socket(live.slot).name}"
            if settings.socket == "unix"
            else "nginx's upstream"
        )
        findings.append(Finding("traffic", OK, f"{link}, slot {live.slot}"))
    findings.append(_answer(patient, live))
    fault = traffic.through_nginx(settings, live.release)
    if fault is None:
        findings.append(
            Finding("through nginx", OK, f"{settings.verify_address}{settings.health_path} is healthy")
        )
    else:
        findings.append(Finding("through nginx", BAD, fault, "see nginx's errors below, and `nginx -t`"))
    return findings


def load(patient: Patient) -> List[Finding]:
    """How busy the workers of the live slot are."""
    live = slots.live(patient.host)
    found = counters.slot(patient.host, patient.settings, live.slot) if live else None
    if found is None:
        return []
    threads = sum(worker.threads for worker in found.workers)
    busy = sum(worker.busy for worker in found.workers)
    text = f"{busy} of {threads} threads busy, {found.queue} requests wait, {found.memory >> 20} MiB"
    slow = sum(worker.harakiri for worker in found.workers)
    if slow:
        text += f", {slow} requests ended for taking too long"
    if found.queue and busy >= threads:
        return [
            Finding(
                "load",
                WARN,
                text,
                "more processes or threads, or a larger instance; see the slowest requests",
            )
        ]
    return [Finding("load", OK, text)]


def work(patient: Patient) -> List[Finding]:
    """Who changes something now, and what was left half-done."""
    holder = lock.owner(patient.host)
    if holder is not None:
        text = lock.describe(holder)
        if time.time() - float(holder.get("since") or time.time()) > _LONG_WORK:
            return [
                Finding(
                    "at work", WARN, text, "end that process if it hangs; the next run repairs what it left"
                )
            ]
        return [Finding("at work", OK, text)]
    if patient.host.undo.exists():
        return [
            Finding(
                "at work", WARN, "a configure was killed before its end", "./ops up takes it back and repeats"
            )
        ]
    return [Finding("at work", OK, "nobody")]


def errors(patient: Patient) -> List[Finding]:
    """The last errors of nginx and of the live slot in a day."""
    since = time.time() - _ERRORS_SINCE
    findings = []
    log = patient.host.log / "error.log"
    lines = [line for line in _tail(log) if _nginx_time(line) >= since]
    findings.append(
        _errors("nginx's errors", lines, "see /var/log/flask/error.log; 502 and 504 are the application's")
    )
    live = slots.live(patient.host)
    if live:
        journal = systemd.journal(unit(live.slot), since, 2000)
        secrets = _secrets(patient.host, live.release)
        lines = [_hidden(line, secrets) for line in journal.splitlines() if _ERROR.search(line)]
        findings.append(
            _errors("application's errors", lines, f"`journalctl -u {unit(live.slot)}`, or ./ops logs")
        )
    return findings


def describe(name: str) -> Unit:
    """What systemd says of a unit."""
    properties = ("ActiveState", "SubState", "Result", "ExecMainStatus")
    asked = [word for name in properties for word in ("-p", name)]
    values: Dict[str, str] = {}
    for line in systemd.systemctl("show", *asked, name).output.splitlines():
        key, _, value = line.partition("=")
        values[key] = value
    return Unit(*(values.get(name, "") for name in properties))


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


def _slot(host: Host, slot: str, live: Optional[str], at_work: bool) -> Finding:
    name = unit(slot)
    found = describe(name)
    if slot == live:
        if found.active == "active":
            return Finding(name, OK, f"{found.words}, live")
        return Finding(
            name, BAD, f"{found.words}, and it is live", f"`journalctl -u {name}`, `flask-release boot`"
        )
    if found.active == "active" and standby.sleeps(host, slot):
        return Finding(name, OK, f"asleep with {slots.occupant(host, slot)}, ready for a rollback")
    if found.active == "active" and not at_work:
        return Finding(
            name, WARN, "runs, and is not live", f"`systemctl stop {name}`; the next release does it too"
        )
    if found.active == "failed":
        return Finding(
            name, WARN, f"{found.words}; idle", f"`systemctl reset-failed {name}`; the live slot serves"
        )
    return Finding(name, OK, f"{found.words}, idle")


def _must_run(name: str, remedy: str) -> Finding:
    found = describe(name)
    if found.active in ("active", "activating", "reloading") and found.sub != "auto-restart":
        return Finding(name, OK, found.words)
    return Finding(name, BAD, found.words, remedy)


def _job(name: str) -> Finding:
    found = describe(name)
    if found.active == "failed":
        return Finding(name, WARN, found.words, f"`journalctl -u {name}`")
    return Finding(name, OK, found.words)


def _failed() -> Iterator[str]:
    listed = run(["systemctl", "list-units", "--failed", "--no-legend", "--no-pager"], timeout=20)
    for line in listed.output.splitlines():
        # Newer ones draw a dot before it.
        words = line.replace("●", " ").replace("*", " ").split()
        if words and "." in words[0]:
            yield words[0]


def _answer(patient: Patient, live: slots.Live) -> Finding:
    try:
        fault = gate.probe(patient.host, patient.settings, live.slot, live.release)
    except OSError as error:
        fault = str(error) or type(error).__name__
    if fault is None:
        return Finding("application", OK, f"{patient.settings.health_path} is healthy")
    return Finding(
        "application",
        BAD,
        f"{patient.settings.health_path}: {fault}",
        "./ops logs STACK tells why; ./ops rollback",
    )


def _errors(name: str, lines: List[str], remedy: str) -> Finding:
    if not lines:
        return Finding(name, OK, "none in a day")
    shown = " | ".join(_QUERY.sub("?…", line.strip())[:200] for line in lines[-_ERROR_LINES:])
    return Finding(name, WARN, f"{len(lines)} in a day, last: {shown}", remedy)


def _nginx_time(line: str) -> float:
    try:
        return time.mktime(time.strptime(line[:19], "%Y/%m/%d %H:%M:%S"))
    except ValueError:
        return 0.0


def _tail(path: Path, size: int = 256 << 10) -> List[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _secrets(host: Host, release_id: str) -> List[str]:
    """Values of the application's variables, long enough not to be ordinary words of a log."""
    with contextlib.suppress(Problem):
        values = launcher.variables(host, release_id).values()
        return sorted((value for value in values if len(value) >= 6), key=len, reverse=True)
    return []


def _hidden(line: str, secrets: List[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "[secret]")
    return line


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
