"""`doctor`: what is wrong with this host, and what to do about it.

Each examination says one or several findings and never stops another: on a host of which half is missing, the other
half is told. No finding holds a secret: no arguments of processes, no query of an address, no value of a variable.
"""

import json
from typing import Callable, List, NamedTuple, Optional, Tuple

from flask_release import settings
from flask_release.finding import BAD, OK, WARN, Finding, Patient
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.settings import Settings

_RANK = (OK, WARN, BAD)


class Examination(NamedTuple):
    """A named look at one side of the host."""

    name: str
    look: Callable[[Patient], List[Finding]]


def examine(host: Host) -> List[Finding]:
    """All findings, in the order of a person who looks: what was prepared, what runs, what answers, the machine."""
    findings: List[Finding] = []
    current, broken = _settings(host)
    if broken:
        findings.append(broken)
    patient = Patient(host, current)
    for examination in _examinations():
        try:
            findings += examination.look(patient)
        except (Problem, OSError, ValueError, LookupError, ArithmeticError) as error:
            # Whatever is so odd that it was not thought of must not hide the rest.
            findings.append(
                Finding(
                    examination.name,
                    WARN,
                    f"could not be looked at: {error}",
                    "look at it by hand on the server",
                )
            )
    return findings


def worst(findings: List[Finding]) -> str:
    """The worst state of them."""
    return max((finding.state for finding in findings), key=_RANK.index, default=OK)


def as_json(findings: List[Finding]) -> str:
    """`{"state": worst, "findings": [{"name", "state", "found", "do"}]}`."""
    return json.dumps({"state": worst(findings), "findings": [dict(found._asdict()) for found in findings]})


def as_text(findings: List[Finding]) -> str:
    """A line a finding; below those that are not well, what to do."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<4}  {finding.name:<{width}}  {finding.found}")
        if finding.do:
            lines.append(" " * (width + 8) + "→ " + finding.do)
    return "\n".join(lines)


def _examinations() -> Tuple[Examination, ...]:
    from flask_release import doctor_errors, doctor_machine, doctor_ports, doctor_service, doctor_units

    return (
        Examination("bootstrap", doctor_service.bootstrap),
        Examination("ports", doctor_ports.ports),
        Examination("units", doctor_units.units),
        Examination("release", doctor_service.release),
        Examination("load", doctor_service.load),
        Examination("work", doctor_service.work),
        Examination("errors", doctor_errors.errors),
        Examination("certificate", doctor_machine.certificate),
        Examination("disk", doctor_machine.disk),
        Examination("memory", doctor_machine.memory),
        Examination("oom", doctor_machine.killed),
        Examination("clock", doctor_machine.clock),
        Examination("ssh", doctor_machine.ssh),
        Examination("versions", doctor_machine.versions),
    )


def _settings(host: Host) -> Tuple[Settings, Optional[Finding]]:
    try:
        return settings.load(host), None
    except Problem as problem:
        return Settings(), Finding("settings", BAD, problem.text, "./ops up writes them anew")
