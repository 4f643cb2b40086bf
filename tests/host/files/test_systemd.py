"""systemd reads the units; the oldest one knows every word of them; how far they shut an intruder in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from render.host_files import host_files
from tests.host.files import exposure
from tests.host.files.programs import run
from tests.host.files.variants import VARIANTS
from tests.host.release_tool.fake_host import module

KNOWN_219 = frozenset((Path(__file__).parent / "data/systemd-219-directives.txt").read_text().split())
# Of journald.conf(5) in systemd 219, which the list of unit directives does not hold.
JOURNALD_219 = frozenset((Path(__file__).parent / "data/journald-219-settings.txt").read_text().split())
# Of systemd.timer(5) and systemd.mount(5) in systemd 219, for the same reason.
OTHERS_219 = frozenset(
    f"{kind.title()}.{name}"
    for kind in ("timer", "mount")
    for name in (Path(__file__).parent / f"data/{kind}-219-settings.txt").read_text().split()
)
CENTOS, DEBIAN = "centos7-tcp-domain", "debian12-unix-address"
# With the units of a certificate's renewal.
ALL_CENTOS, ALL_DEBIAN = "centos7-tcp-domain-everything", "debian12-unix-domain-everything"


def assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """(section, name, value) of each line of a unit file."""
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield section, name, value


def units(variant: str) -> dict[str, str]:
    return {
        name: file.content.decode()
        for name, file in host_files(VARIANTS[variant]).items()
        if name.startswith("etc/systemd/system/")
    }


def test_systemd_219_knows_every_directive() -> None:
    used = {
        f"{section}.{name}" for text in units(ALL_CENTOS).values() for section, name, _ in assignments(text)
    }
    assert len(used) > 30
    assert "Timer.OnCalendar" in used
    assert used - KNOWN_219 - OTHERS_219 == set()


def test_systemd_219_knows_every_value() -> None:
    """What `reference` of systemd 219 says of values that it skips, or reads otherwise, without a word."""
    for name, text in units(ALL_CENTOS).items():
        for _, key, value in assignments(text):
            assert not (key == "ProtectSystem" and value == "strict"), name
            assert not (key == "SystemCallFilter" and "@" in value), name
            assert not (key.startswith("Timeout") and value == "infinity"), name
            assert not (key.startswith("Exec") and value and not re.match(r"[-@]*/", value)), name
            assert not (key.startswith("Exec") and "%" in value.split(" ")[0]), name


@pytest.mark.parametrize("variant", [ALL_CENTOS, ALL_DEBIAN])
def test_lines_in_the_journal_are_marked_by_the_unit(variant: str) -> None:
    """`flask-release` and `./ops logs` find them by it, where the journal has lost the unit's own name."""
    for path, text in units(variant).items():
        name = path.removeprefix("etc/systemd/system/")
        if name.endswith(".service"):
            marks = [value for _, key, value in assignments(text) if key == "SyslogIdentifier"]
            assert [mark.replace("%i", "") for mark in marks] == [module("host").identifier(name)]


def test_systemd_219_gets_a_capability_set_on_one_line() -> None:
    """It stores the set inverted and adds up what is to be dropped: of two lines their intersection is left."""
    for name, text in units(CENTOS).items():
        assert [key for _, key, _ in assignments(text)].count("CapabilityBoundingSet") <= 1, name


def test_newer_systemd_gets_more_than_219_does() -> None:
    keys = {key for text in units(DEBIAN).values() for _, key, _ in assignments(text)}
    assert {"ProtectKernelModules", "RestrictNamespaces", "ReadWritePaths"} <= keys


def test_journald_219_knows_its_settings() -> None:
    for variant in (CENTOS, DEBIAN):
        text = host_files(VARIANTS[variant])["etc/systemd/journald.conf.d/flask.conf"].content.decode()
        for section, name, _ in assignments(text):
            assert section == "Journal"
            assert name in JOURNALD_219


@pytest.mark.parametrize("variant", [ALL_CENTOS, ALL_DEBIAN])
def test_systemd_has_nothing_to_say_about_the_units(variant: str, tmp_path: Path) -> None:
    folder = exposure.laid_down(VARIANTS[variant], tmp_path)
    names = (
        "flask-app@a.service", "flask-boot.service", "flask-certificate.service", "flask-certificate.timer",
    )  # fmt: skip
    verified = run("systemd-analyze", "verify", *(folder / name for name in names))
    assert verified.returncode == 0, verified.stdout
    ours = [line for line in verified.stdout.splitlines() if "flask" in line]
    assert ours == []


# 219 lacks half of the words; 252 judges what it would honour of them.
@pytest.mark.parametrize(("variant", "bar"), [(DEBIAN, 2.0), (CENTOS, 4.5)])
def test_exposure_of_the_application(variant: str, bar: float, tmp_path: Path) -> None:
    assert exposure.of_application(VARIANTS[variant], tmp_path) <= bar


@pytest.mark.parametrize(("variant", "bar"), [(DEBIAN, 3.0), (CENTOS, 7.0)])
def test_exposure_of_nginx(variant: str, bar: float, tmp_path: Path) -> None:
    assert exposure.of_nginx(VARIANTS[variant], tmp_path) <= bar


@pytest.mark.parametrize("seconds", [5, 60, 3600])
@pytest.mark.parametrize("variant", [CENTOS, DEBIAN])
def test_times_are_in_step(variant: str, seconds: int) -> None:
    """A running request has longer to end than uWSGI lets it run, and systemd waits longer than uWSGI."""
    settings = replace(VARIANTS[variant], request_timeout=seconds)
    files = {name: file.content.decode() for name, file in host_files(settings).items()}
    ini, uwsgi = files["etc/flask/uwsgi/slot.ini"], files["etc/nginx/flask/uwsgi.conf"]
    harakiri = _number(r"^harakiri = (\d+)$", ini)
    mercy = _number(r"^worker-reload-mercy = (\d+)$", ini)
    stop = _number(r"^TimeoutStopSec=(\d+)$", files["etc/systemd/system/flask-app@.service"])
    read = _number(r"^uwsgi_read_timeout (\d+)s;$", uwsgi)
    send = _number(r"^uwsgi_send_timeout (\d+)s;$", uwsgi)
    assert harakiri == seconds
    assert harakiri < mercy < stop
    assert harakiri < read == send
    # A reload of nginx ends no request that uWSGI lets run.
    assert read < _number(r"^worker_shutdown_timeout (\d+)s;$", files["etc/nginx/nginx.conf"])
    assert json.loads(files["etc/flask/host.json"])["drain_seconds"] == seconds


def test_nginx_compiles_no_patterns_since_its_unit_forbids_code_made_at_run_time() -> None:
    files = {name: file.content.decode() for name, file in host_files(VARIANTS[DEBIAN]).items()}
    assert "MemoryDenyWriteExecute=true" in files["etc/systemd/system/nginx.service.d/flask.conf"]
    assert not re.search(r"^\s*pcre_jit on;$", files["etc/nginx/nginx.conf"], re.MULTILINE)


@pytest.mark.parametrize("variant", [CENTOS, DEBIAN])
def test_the_kernel_allows_the_queue_that_uwsgi_asks_for(variant: str) -> None:
    files = {name: file.content.decode() for name, file in host_files(VARIANTS[variant]).items()}
    asked = _number(r"^listen = (\d+)$", files["etc/flask/uwsgi/slot.ini"])
    assert asked <= _number(r"^net\.core\.somaxconn = (\d+)$", files["etc/sysctl.d/60-flask.conf"])


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    assert found, pattern
    return int(found[1])
