"""What judges say that know nothing of this project; tests assert all of it but Lynis (tests/scores/, tests/host/)."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from bench import deployed
from bench.report import Figure
from sandbox import cloud, containers, networks
from sandbox.image import base_image
from tests.host.files import exposure
from tests.host.files.variants import VARIANTS
from tests.sandbox import machine
from tests.scores import judges
from tests.scores.tools import MissingToolError

ADDRESSES = "127.0.58.0/24"
DEBIAN, CENTOS = "debian12-unix-address", "centos7-tcp-domain"
# What Debian's package has and an audit needs; copied, since an installation would change what is judged.
LYNIS = ("/usr/sbin/lynis", "/usr/share/lynis", "/etc/lynis")
# Seconds.
AUDIT_LIMIT = 240


def measure() -> list[Figure]:
    """Return what each of them says."""
    return [*_gixy(), *_exposure(), *_sslyze(), *_observatory(), *_checkov(), *_lynis()]


def _gixy() -> list[Figure]:
    found = [finding for settings in VARIANTS.values() for finding in judges.gixy(settings)]
    return [
        Figure("gixy", len(found), f"findings in nginx's files of {len(VARIANTS)} kinds of host", "0"),
        Figure("… exceptions", len(judges.GIXY_ACCEPTED), "with their reason in tests/scores/judges.py"),
    ]


def _exposure() -> list[Figure]:
    figures = []
    for variant, system, target in (
        (DEBIAN, "Debian 12", "≤ 2.5"),
        (CENTOS, "CentOS 7, whose systemd knows half of the words", ""),
    ):
        with tempfile.TemporaryDirectory() as folder:
            value = exposure.of_application(VARIANTS[variant], Path(folder))
        figures.append(
            Figure(
                f"`systemd-analyze security` of flask-app@.service, {system}", value, "of 10 (most)", target
            )
        )
    return figures


def _sslyze() -> list[Figure]:
    others = [line for line in judges.sslyze() if judges.OWN_AUTHORITY not in line]
    return [
        Figure("sslyze", len(others), "deviations from Mozilla's intermediate, the test CA aside", "0"),
    ]


def _observatory() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        scan = judges.observatory(Path(folder))["scan"]
    return [Figure("MDN's HTTP Observatory, sample application", scan["score"], scan["grade"], "≥ 100")]


def _checkov() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        checks = judges.checkov(Path(folder))
    return [
        Figure("checkov: failed", len(checks.left), "checks of what the example stacks plan", "0"),
        Figure("… passed", checks.passed, "checks"),
        Figure("… exceptions", len(judges.CHECKOV_ACCEPTED), "with their reason in tests/scores/judges.py"),
    ]


def _lynis() -> list[Figure]:
    return [
        Figure("Lynis' hardening index, image of the sandbox as it starts", _of_image(), "of 100"),
        Figure("Lynis' hardening index, with the sample application deployed", _of_server(), "of 100"),
    ]


def _of_image() -> int:
    with tempfile.TemporaryDirectory() as folder:
        place = machine.new_place(Path(folder), base_image(print))
        try:
            networks.create(place.name("net"), place.labels)
            instance = place.instance("lynis", "net")
            containers.create(instance, place.seeds)
            containers.start(instance.name)
            machine.wait_for(lambda: machine.booted(instance.name))
            return _audited(instance.name)
        finally:
            place.clear()


def _of_server() -> int:
    with deployed.deployment(ADDRESSES) as deployment:
        deployment.up()
        (name,) = containers.owned(cloud.ADDRESS_LABEL, deployment.output("address"))
        return _audited(name)


def _audited(container: str) -> int:
    """Copy Lynis into a container, have it audit that, and return its index."""
    missing = [path for path in LYNIS if not Path(path).exists()]
    if missing:
        raise MissingToolError(f"Lynis is missing ({missing[0]}): apt-get install lynis")
    packed = subprocess.run(
        ["tar", "-C", "/", "-c", *(path[1:] for path in LYNIS)], capture_output=True, check=True
    )
    into = ["podman", "exec", "--interactive", container]
    subprocess.run([*into, "tar", "-C", "/", "-x"], input=packed.stdout, check=True)
    done = subprocess.run(
        [*into, "lynis", "audit", "system", "--quick", "--no-colors"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=AUDIT_LIMIT,
        check=False,
    )
    index = re.search(r"Hardening index : (\d+)", done.stdout)
    assert index, done.stdout[-2000:] + done.stderr
    return int(index[1])
