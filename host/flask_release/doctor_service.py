"""Examinations of what serves: bootstrap, release and its traffic, load, work under way."""

import time
from typing import List

from flask_release import counters, files, gate, lock, slots, traffic
from flask_release.finding import BAD, OK, WARN, Finding, Patient

# Seconds after which a run of the tool is no longer one that only takes its time.
_LONG_WORK = 1800


def bootstrap(patient: Patient) -> List[Finding]:
    """Whether the first boot prepared the host to its end."""
    state = patient.host.state
    log = "/var/log/flask-bootstrap.log"
    failed = files.read_text(state / "failed").strip()
    if failed:
        return [Finding("bootstrap", BAD, failed, f"see {log}; correct it, then replace the server")]
    if not (state / "ready").exists():
        return [Finding("bootstrap", BAD, "not done", f"wait for it, or see {log} and `cloud-init status`")]
    if not patient.host.settings.exists():
        return [Finding("bootstrap", BAD, "done, but the host has no configuration yet", "run ./ops up")]
    return [Finding("bootstrap", OK, "done")]


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
            f"current.sock → {files.target(host.current_socket)}"
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
