"""What the units of a server forbid is forbidden here, too: asked of the kernel, from inside of each unit.

What does not hold is what sandbox/README.md says, no more and no less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from render.host_files import host_files
from tests.e2e.deployment import PROJECT, Deployment
from tests.e2e.direct import Server, connected
from tests.host.files.test_systemd import assignments
from tests.host.files.variants import VARIANTS

PROBE = Path(__file__).with_name("probe.py")
Facts = dict[str, Any]

# Of how a unit is run, not of what it may do. RemoveIPC is about its end.
_RUNNING = re.compile(
    "Type|NotifyAccess|Exec.*|Timeout.*|Kill.*|Restart.*|SyslogIdentifier|PIDFile|User|Group|Environment|RemoveIPC"
)
# One filter of system calls each, at least; what they forbid, a service without capabilities can hardly try.
_FILTERS = ("SystemCallArchitectures", "RestrictRealtime", "ProtectClock", "ProtectKernelModules")
_FILTERING = (
    *_FILTERS,
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictSUIDSGID",
    "LockPersonality",
)
_READ_ONLY = {
    "true": ["/usr"],
    "full": ["/usr", "/etc"],
    "strict": ["/usr", "/etc", "/var/lib", "/srv/flask"],
}
# Bits of capability.h that nginx's unit names.
_CAPABILITIES = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
    "CAP_NET_BIND_SERVICE": 10, "CAP_SYS_RESOURCE": 24,
}  # fmt: skip
_SCHED_BATCH = 3
_METADATA_SERVICE = "100.100.100.200"

# Name of a directive → whether it holds, by its value, what was seen in the unit, and what in one that forbids nothing.
_HOLDS: dict[str, Callable[[str, Facts, Facts], bool]] = {
    "NoNewPrivileges": lambda _, seen, __: seen["status"]["NoNewPrivs"] == "1",
    "PrivateTmp": lambda _, seen, __: not {"/tmp/marker", "/var/tmp/marker"} & {*seen["seen"]},
    "PrivateDevices": lambda _, seen, __: seen["writes"]["/dev"] == "EROFS",
    "ProtectHome": lambda _, seen, __: seen["modes"]["/home"] == seen["modes"]["/root"] == 0,
    "ProtectSystem": lambda value, seen, __: {seen["writes"][at] for at in _READ_ONLY[value]} == {"EROFS"},
    "ReadOnlyPaths": lambda value, seen, __: {seen["writes"][at] for at in _places(value)} == {"EROFS"},
    # Not read-only; whose a folder is remains another question.
    "ReadWritePaths": lambda value, seen, __: "EROFS" not in {seen["writes"][at] for at in _places(value)},
    "CapabilityBoundingSet": lambda value, seen, free: _bits(seen) == _bits(free) & _named_bits(value),
    "RestrictAddressFamilies": lambda value, seen, __: (
        {name for name, error in seen["families"].items() if not error} == {*value.split()}
    ),
    "SystemCallFilter": lambda value, seen, free: (
        (free["ptrace"], seen["ptrace"]) == ("", "EPERM")
        and ("~" not in value or "@resources" not in value or (free["nice"], seen["nice"]) == ("", "EPERM"))
    ),
    "SystemCallErrorNumber": lambda value, seen, __: seen["ptrace"] == value,
    "MemoryDenyWriteExecute": lambda _, seen, free: (free["code"], seen["code"]) == ("", "EPERM"),
    "RestrictNamespaces": lambda _, seen, free: (free["namespace"], seen["namespace"]) == ("", "EPERM"),
    "RestrictSUIDSGID": lambda _, seen, free: (free["suid"], seen["suid"]) == ("", "EPERM"),
    "LockPersonality": lambda _, seen, free: (free["personality"], seen["personality"]) == ("", "EPERM"),
    "ProtectHostname": lambda _, seen, free: seen["uts"] != free["uts"],
    "ProtectControlGroups": lambda _, seen, __: _read_only(seen, "/sys/fs/cgroup"),
    "ProtectKernelTunables": lambda _, seen, __: _read_only(seen, "/proc/sys"),
    "ProtectKernelLogs": lambda _, seen, __: seen["modes"]["/proc/kmsg"] == 0,
    "ProtectProc": lambda value, seen, __: f"hidepid={value}" in seen["mounts"]["/proc"]["all"],
    "UMask": lambda value, seen, __: seen["status"]["Umask"] == value,
    "LimitNOFILE": lambda value, seen, __: seen["files"] == int(value),
    "LimitCORE": lambda value, seen, __: seen["core"] == int(value),
    "CPUSchedulingPolicy": lambda _, seen, __: seen["scheduler"] == _SCHED_BATCH,
    "Nice": lambda value, seen, __: seen["priority"] == int(value),
    "MemoryMax": lambda _, seen, free: (free["memory"], seen["memory"]) == ("", "killed"),
    "TasksMax": lambda value, seen, __: seen["processes"] < int(value),
    "IPAddressDeny": lambda _, seen, free: (free["packet"], seen["packet"]) == ("", "EPERM"),
    "IPAddressAllow": lambda _, seen, free: (free["packet"], seen["packet"]) == ("", "EPERM"),
    **{name: lambda _, seen, __: seen["filters enough"] for name in _FILTERS},
}

# An application that tries what a visitor asks, and notes what its worker sees.
_APPLICATION = """
import errno, os
from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def write():
    try:
        with open(request.args.get("to", os.devnull), "w") as file:
            file.write("written")
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"


@app.get("/seen")
def seen():
    return str(os.path.exists(request.args["path"]))


@app.get("/healthz")
def healthz():
    return "well"
"""
_WORKER = """
import os, time

shared = "/srv/flask/shared/instance/"
open("/tmp/of-the-worker", "w").close()
while True:
    if os.path.exists("/tmp/of-the-web"):
        open(shared + "worker-saw-it", "w").close()
    open(shared + "worker-looked", "w").close()
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def site(deployed: Deployment) -> Iterator[Server]:
    """A server whose application writes where it is told to, and has a worker."""
    with connected(deployed) as server:
        files = {"Procfile": "peeper: python worker.py\n", "worker.py": _WORKER}
        released = server.release(_APPLICATION, files=files)
        assert released.code == 0, released.err
        yield server


def asked(site: Server, path: str) -> str:
    return site.must(f"curl -sf 'http://127.0.0.1:81{path}'")


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        ("/usr/lib/x", "EROFS"),
        ("/etc/x", "EROFS"),
        ("/var/lib/flask/x", "EROFS"),
        ("x", "EROFS"),  # beside its code
        ("/srv/flask/x", "EROFS"),
        ("/home/x", "EACCES"),
        ("/dev/x", "EROFS"),
        ("/tmp/of-the-web", "written"),
        ("/var/tmp/x", "written"),
        ("/srv/flask/shared/instance/x", "written"),
    ],
)
def test_an_application_writes_where_a_server_lets_it(site: Server, place: str, answer: str) -> None:
    assert asked(site, f"/?to={place}") == answer


def test_web_and_worker_have_a_tmp_each_and_share_the_instance_folder(site: Server) -> None:
    assert asked(site, "/?to=/tmp/of-the-web") == "written"
    looked = "/srv/flask/shared/instance/worker-looked"
    site.must(f"rm -f {looked}; until test -e {looked}; do sleep 0.1; done")
    site.must("test ! -e /srv/flask/shared/instance/worker-saw-it")
    assert asked(site, f"/seen?path={looked}") == "True"
    assert asked(site, "/seen?path=/tmp/of-the-worker") == "False"
    # The system's own holds neither.
    site.must("test ! -e /tmp/of-the-web && test ! -e /tmp/of-the-worker")


def test_every_directive_of_every_unit_holds_but_for_what_the_readme_names(site: Server) -> None:
    site.must("cat > /usr/local/lib/probe.py", PROBE.read_bytes())
    site.must("touch /tmp/marker /var/tmp/marker; mkdir -p /srv/flask/acme")
    free = probed(site, [])
    failing: dict[str, list[str]] = {}
    units = confining(site)
    for unit, lines in units.items():
        seen = probed(site, lines)
        filters = int(seen["status"]["Seccomp_filters"]) - int(free["status"]["Seccomp_filters"])
        seen["filters enough"] = filters >= sum(name in _FILTERING for name, _ in lines)
        for name, value in lines:
            if _RUNNING.fullmatch(name):
                continue
            assert name in _HOLDS, f"{name} of {unit}: how does one see that it holds?"
            if not _HOLDS[name](value, seen, free):
                failing.setdefault(name, []).append(unit)
    assert len(units) == 5
    assert failing.keys() == said_not_to_hold(), failing


@pytest.mark.parametrize(
    "unit", ["nginx.service", "flask-app@a.service", "flask-metrics.service", "flask-worker-peeper.service"]
)
def test_what_runs_is_confined_as_its_unit_says(site: Server, unit: str) -> None:
    """The process itself, not another one with the same directives."""
    if unit == "flask-app@a.service":
        unit = f"flask-app@{site.must('basename $(readlink /srv/flask/live)')}.service"
    pid = site.must(f"systemctl show -p MainPID --value {unit}")
    status = dict(re.findall(r"^(\w+):\t(.*)$", site.must(f"cat /proc/{pid}/status"), re.MULTILINE))
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    lines = dict(directives(site.must(f"systemctl cat {unit}")))
    assert int(status["CapBnd"], 16) & ~_named_bits(lines["CapabilityBoundingSet"]) == 0
    mounts = site.must(f"cat /proc/{pid}/mountinfo")
    assert re.search(
        rf"^(\S+ ){{3}}\S*/systemd-private-\w+-{re.escape(unit)}-\w+/tmp /tmp ", mounts, re.MULTILINE
    )


def confining(site: Server) -> dict[str, list[tuple[str, str]]]:
    """The directives by unit: nginx, a slot, a worker, metrics, and the certificate's renewal."""
    names = ("nginx.service", "flask-app@a.service", "flask-worker-peeper.service", "flask-metrics.service")
    texts = {name: site.must(f"systemctl cat {name}") for name in names}
    secured = host_files(VARIANTS["debian12-unix-domain-everything"])
    renewal = "flask-certificate.service"
    texts[renewal] = secured[f"etc/systemd/system/{renewal}"].content.decode()
    # What systemd makes of the slot's name.
    return {name: directives(text.replace("%i", "a")) for name, text in texts.items()}


def directives(text: str) -> list[tuple[str, str]]:
    return [(name, value) for section, name, value in assignments(text) if section == "Service"]


def probed(site: Server, lines: list[tuple[str, str]]) -> Facts:
    """What the kernel lets a unit with these directives do, run by the same account."""
    named = ("ReadOnlyPaths", "ReadWritePaths")
    written = [place for name, value in lines if name in named for place in _places(value)]
    places = sorted({"/usr", "/etc", "/var/lib", "/srv/flask", "/dev", *written})
    unit = [
        "[Service]",
        "Type=oneshot",
        "StandardOutput=truncate:/root/probed",
        f"ExecStart=/usr/bin/python3 /usr/local/lib/probe.py '{json.dumps([places, _METADATA_SERVICE])}'",
        "TimeoutStartSec=60",
        *(
            f"{name}={value}"
            for name, value in lines
            if name in ("User", "Group") or not _RUNNING.fullmatch(name)
        ),
    ]
    site.must(
        "cat > /run/systemd/system/probe.service && systemctl daemon-reload"
        " && { systemctl start probe || { journalctl -u probe -n 30; false; }; }",
        "\n".join(unit) + "\n",
    )
    facts: Facts = json.loads(site.must("cat /root/probed"))
    return facts


def said_not_to_hold() -> set[str]:
    """The first column of the README's table, of the rows that are about this machine."""
    text = (PROJECT / "sandbox/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", text, re.MULTILINE)
    first_version = Path("/sys/fs/cgroup/systemd").is_dir()
    return {
        name
        for names, where in rows
        if first_version or "cgroup v1" not in where
        for name in re.findall(r"\w+", names)
    }


def _places(value: str) -> list[str]:
    return [place.removeprefix("-") for place in value.split()]


def _bits(seen: Facts) -> int:
    return int(seen["status"]["CapBnd"], 16)


def _named_bits(value: str) -> int:
    return sum(1 << _CAPABILITIES[name] for name in value.split())


def _read_only(seen: Facts, place: str) -> bool:
    return "ro" in seen["mounts"][place]["mount"].split(",")
