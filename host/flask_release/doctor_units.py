"""Examination of services and timers, as systemd sees them."""

from typing import Iterator, List, NamedTuple, Optional

from flask_release import files, lock, slots, standby
from flask_release import units as systemd
from flask_release.finding import BAD, OK, WARN, Finding, Patient
from flask_release.host import SLOTS, Host, identifier, unit
from flask_release.process import run


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
            "`journalctl -t flask-boot`, then `systemctl restart flask-boot`" if failed else "",
        )
    )
    mine = {"nginx.service", "flask-boot.service", *map(unit, SLOTS)}
    for path in sorted(patient.host.units.glob("flask-*")):
        if path.name in mine or "@" in path.name or path.suffix not in (".service", ".timer"):
            continue
        mine.add(path.name)
        text = files.read_text(path)
        if "[Install]" in text and "Type=oneshot" not in text:
            findings.append(_must_run(path.name, f"{_journal(path.name)}, `systemctl start {path.name}`"))
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


def describe(name: str) -> Unit:
    """What systemd says of a unit."""
    asked = ("ActiveState", "SubState", "Result", "ExecMainStatus")
    told = systemd.properties(name, *asked)
    return Unit(*(told.get(each, "") for each in asked))


def _slot(host: Host, slot: str, live: Optional[str], at_work: bool) -> Finding:
    name = unit(slot)
    found = describe(name)
    if slot == live:
        if found.active == "active":
            return Finding(name, OK, f"{found.words}, live")
        return Finding(name, BAD, f"{found.words}, and it is live", f"{_journal(name)}, `flask-release boot`")
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
        return Finding(name, WARN, found.words, _journal(name))
    return Finding(name, OK, found.words)


def _journal(name: str) -> str:
    """The command that shows what a service, or the service of a timer, wrote."""
    return f"`journalctl -t {identifier(name)}`"


def _failed() -> Iterator[str]:
    listed = run(["systemctl", "list-units", "--failed", "--no-legend", "--no-pager"], timeout=20)
    for line in listed.output.splitlines():
        # Newer ones draw a dot before it.
        words = line.replace("●", " ").replace("*", " ").split()
        if words and "." in words[0]:
            yield words[0]
