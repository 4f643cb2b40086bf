"""Examinations of the machine: certificate, disks, memory, clock, SSH, versions."""

import calendar
import hashlib
import os
import platform
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from flask_release import files, meminfo
from flask_release.finding import BAD, OK, WARN, Finding, Patient
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.process import run

_PROC = Path("/proc")
_MIB = 1 << 20
_GIB = 1 << 30
_DAY = 86400.0
# certbot renews with 30 days to go: fewer than these, and it has failed for some time.
_CERTIFICATE_WARN, _CERTIFICATE_BAD = 21, 7
_OOM = re.compile(r"out of memory: kill(?:ed)? process \d+ \(([^)]*)\)", re.IGNORECASE)


def certificate(patient: Patient) -> List[Finding]:
    """How long the site's certificate is good for, where it has one."""
    host = patient.host
    told = _json(host.root / "etc/flask/tls.json")
    if not told:
        return []
    live = host.root / "etc/flask/tls/live"
    own = told.get("mode") == "own"
    remedy = "set certificate and certificateKey to new ones, ./ops up" if own else (
        "`flask-certificate renew`; `journalctl -t flask-certificate` tells why it was not renewed"
    )  # fmt: skip
    if not (live / "fullchain.pem").exists() or os.readlink(str(live)) == "placeholder":
        return [Finding("certificate", BAD, "none yet: the site is on http", remedy)]
    printed = run(["openssl", "x509", "-noout", "-enddate", "-in", str(live / "fullchain.pem")], timeout=20)
    end = re.search(r"notAfter=(\w+ +\d+ [\d:]+ \d+) GMT", printed.output)
    if not end:
        return [Finding("certificate", BAD, "openssl cannot read it: " + printed.last(1), remedy)]
    left = (_seconds_utc(end.group(1)) - time.time()) / _DAY
    return [judge_certificate(left, str((told.get("names") or ["?"])[0]), remedy)]


def judge_certificate(days: float, name: str, remedy: str) -> Finding:
    """A certificate that is good for some days more."""
    if days < 0:
        return Finding("certificate", BAD, f"of {name}: ran out {-days:.0f} days ago", remedy)
    state = BAD if days < _CERTIFICATE_BAD else WARN if days < _CERTIFICATE_WARN else OK
    return Finding("certificate", state, f"of {name}: {days:.0f} days left", remedy if state != OK else "")


def disk(patient: Patient) -> List[Finding]:
    """Space and inodes of each file system that something of ours is on."""
    findings = []
    seen = set()
    for path in (
        patient.host.root,
        patient.host.srv,
        patient.host.log,
        patient.host.root / "var/log/journal",
    ):
        if not path.exists() or path.stat().st_dev in seen:
            continue
        seen.add(path.stat().st_dev)
        space = os.statvfs(str(path))
        size = space.f_blocks * space.f_frsize
        findings.append(
            judge_disk(str(path), space.f_bavail * space.f_frsize, size, space.f_favail, space.f_files)
        )
    return findings


def judge_disk(path: str, free: int, size: int, inodes_free: int, inodes: int) -> Finding:
    """A file system, of which so many bytes and inodes are free; one that has no number of inodes says 0."""
    text = f"{path}: {free / _GIB:.1f} of {size / _GIB:.1f} GiB free"
    share = free / size if size else 1.0
    if inodes:
        text += f", {100 * inodes_free // inodes} % of inodes"
        share = min(share, inodes_free / inodes)
    remedy = (
        "`flask-release prune`, `journalctl --vacuum-size=100M`; or a larger systemDiskSize (another server)"
    )
    if share < 0.05:
        return Finding("disk", BAD, text, remedy)
    # What a release takes: its environment, and the one before.
    if share < 0.15 or free < 500 * _MIB:
        return Finding("disk", WARN, text, remedy)
    return Finding("disk", OK, text)


def memory(patient: Patient) -> List[Finding]:
    """Memory and swap."""
    del patient
    return [judge_memory(meminfo.read(), contained())]


def judge_memory(found: meminfo.Memory, container: bool) -> Finding:
    """Whether there is enough."""
    total, available, swap, swap_free = found
    text = f"{available / _MIB:.0f} of {total / _MIB:.0f} MiB available, swap "
    text += f"{(swap - swap_free) / _MIB:.0f} of {swap / _MIB:.0f} MiB used" if swap else "none"
    remedy = "fewer processes, or a larger instanceType; ./ops status tells what the slot takes"
    if available < 0.05 * total and swap_free < 0.1 * total:
        return Finding("memory", BAD, text, remedy)
    if available < 0.1 * total or (swap and swap_free < 0.5 * swap):
        return Finding("memory", WARN, text, remedy)
    if not swap and not container and total <= 1.1 * _GIB:
        return Finding(
            "memory", WARN, text, "`systemctl start flask-upkeep` makes a swap file on a small host"
        )
    return Finding("memory", OK, text)


def killed(patient: Patient) -> List[Finding]:
    """Processes that the kernel ended for want of memory, since the boot."""
    del patient
    journal = run(["journalctl", "--no-pager", "-q", "-o", "cat", "-k", "-b"], timeout=30).output
    names = _OOM.findall(journal)
    if not names:
        return [Finding("oom", OK, "no process was ended for want of memory since the boot")]
    text = "{} ended for want of memory since the boot, last: {}".format(len(names), names[-1])
    return [Finding("oom", WARN, text, "fewer processes, or a larger instanceType; look for a leak")]


def clock(patient: Patient) -> List[Finding]:
    """Whether something keeps the clock right."""
    del patient
    if contained():
        return [Finding("clock", OK, "a container's: the machine around it keeps it")]
    return [judge_clock(run(["timedatectl"], timeout=20).output)]


def judge_clock(told: str) -> Finding:
    """By the words of timedatectl, old (219) and new."""
    synchronized = re.search(r"(?:clock|NTP) synchronized: (\w+)", told)
    service = re.search(r"NTP (?:service|enabled): (\S+)", told)
    state = f"time service {service.group(1) if service else 'unknown'}"
    if synchronized and synchronized.group(1) == "yes":
        return Finding("clock", OK, f"synchronized, {state}")
    remedy = "`systemctl start flask-upkeep` sets one up; then `timedatectl set-ntp true`"
    return Finding("clock", WARN, f"not synchronized, {state}", remedy)


def ssh(patient: Patient) -> List[Finding]:
    """Whether sshd takes passwords."""
    del patient
    printed = run(["sshd", "-T"], timeout=20)
    if printed.code != 0:
        return [
            Finding("ssh", WARN, "sshd cannot read its settings: " + printed.last(1), "`sshd -t` tells where")
        ]
    values = dict(line.split(" ", 1) for line in printed.output.splitlines() if " " in line)
    if values.get("passwordauthentication") == "yes" or values.get("permitrootlogin") == "yes":
        return [
            Finding(
                "ssh", WARN, "sshd takes passwords", "./ops up; then see /etc/ssh for what says otherwise"
            )
        ]
    tries = values.get("maxauthtries", "?")
    return [Finding("ssh", OK, f"keys only, {tries} tries in {values.get('logingracetime', '?')} s")]


def versions(patient: Patient) -> List[Finding]:
    """Of the system, and of what serves on it."""
    host = patient.host
    os_name = re.search(
        r'^PRETTY_NAME="?([^"\n]*)', files.read_text(host.root / "etc/os-release"), re.MULTILINE
    )
    ready = _json(host.state / "ready")
    found = [
        os_name.group(1) if os_name else "unknown system",
        "kernel " + platform.release(),
        "nginx " + (_first(r"nginx/(\S+)", ["nginx", "-v"]) or str(ready.get("nginx", "unknown"))),
        "Python " + platform.python_version(),
        "uWSGI " + (_first(r"(?i)wsgi-([\d.]+)", None, str(ready.get("uwsgi", ""))) or "unknown"),
        "tool " + tool_digest(host),
    ]
    findings = [Finding("versions", OK, ", ".join(found))]
    if (host.root / "run/reboot-required").exists():
        findings.append(Finding("reboot", WARN, "an update waits for a reboot", "./ops ssh STACK -- reboot"))
    return findings


def tool_digest(host: Host) -> str:
    """The installed tool in 12 digits: two hosts that show the same have the same."""
    digest = hashlib.sha256()
    for path in sorted(host.tool.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def contained() -> bool:
    """This host is a container."""
    try:
        return run(["systemd-detect-virt", "--container", "-q"], timeout=20).code == 0
    except Problem:
        return False


def _first(pattern: str, command: Optional[List[str]], text: str = "") -> str:
    if command is not None:
        try:
            text = run(command, timeout=20).output
        except Problem:
            return ""
    found = re.search(pattern, text)
    return found.group(1).rstrip(".") if found else ""


def _seconds_utc(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%b %d %H:%M:%S %Y")))


def _json(path: Path) -> Dict[str, Any]:
    value = files.read_json(path)
    return value if isinstance(value, dict) else {}
