"""flask-upkeep: what keeps the machine in order, with stand-ins that write down how they are called."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from render.host_files import host_files
from tests.host.files.programs import run
from tests.host.files.variants import VARIANTS, write

CENTOS, DEBIAN = "centos7-tcp-domain", "debian12-unix-address"
RULES = [
    f"OUTPUT -d 100.100.100.200/32 -m owner --uid-owner {account} -j REJECT"
    for account in ("flask", "flask-build")
]
STANDIN = """#!/bin/sh
line="$(basename "$0") $*"
echo "$line" >>"@ROOT@/calls"
while read -r pattern; do
    case "$line" in $pattern) exit 1 ;; esac
done <"@ROOT@/failing"
case "$line" in
    dd*) for word; do case $word in of=*) : >"${word#of=}" ;; esac; done ;;
    nft*) cat >"@ROOT@/rules" ;;
    df*) printf 'head\\n/dev/vda1 41000000 1 %s 1%% /\\n' "$(cat "@ROOT@/free")" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A folder in a machine's place, of so many MiB."""

    root: Path
    variant: str

    def upkeep(self) -> tuple[int, str]:
        """Run it: exit status and what it said."""
        done = subprocess.run(
            ["sh", self.root / "opt/flask/bin/flask-upkeep"],
            env={
                "PATH": f"{self.root}/bin:/usr/bin:/bin",
                "FLASK_ROOT": str(self.root),
                "FLASK_RETRY_PAUSE": "0",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def calls(self) -> list[str]:
        file = self.root / "calls"
        return file.read_text().replace(str(self.root), "").splitlines() if file.exists() else []

    def memory(self, mib: int, swap: int) -> None:
        text = f"MemTotal: {mib * 1024} kB\nMemFree: 1 kB\nSwapTotal: {swap * 1024} kB\n"
        (self.root / "proc/meminfo").write_text(text)

    def failing(self, *patterns: str) -> None:
        """Calls that fail from now on."""
        (self.root / "failing").write_text("".join(f"{pattern}\n" for pattern in patterns))


def machine(root: Path, variant: str, mib: int = 4096, swap: int = 0) -> Machine:
    write(VARIANTS[variant], root)
    for folder in ("bin", "proc", "var/lib/flask"):
        (root / folder).mkdir(parents=True)
    programs = (
        "dd",
        "df",
        "mkswap",
        "swapon",
        "systemctl",
        "apt-get",
        "yum",
        "iptables",
        "firewall-cmd",
        "nft",
    )
    for name in programs:
        (root / "bin" / name).write_text(STANDIN.replace("@ROOT@", str(root)))
        (root / "bin" / name).chmod(0o755)
    (root / "free").write_text("30000000")
    made = Machine(root, variant)
    made.memory(mib, swap)
    made.failing("systemctl cat *", "firewall-cmd --state", "iptables -w -C *")
    return made


@pytest.mark.parametrize("variant", [CENTOS, DEBIAN])
def test_shellcheck_and_systemd_have_nothing_to_say(variant: str, tmp_path: Path) -> None:
    write(VARIANTS[variant], tmp_path)
    script = tmp_path / "opt/flask/bin/flask-upkeep"
    checked = run("shellcheck", "--shell=sh", "--enable=all", script)
    assert checked.returncode == 0, checked.stdout
    unit = tmp_path / "etc/systemd/system/flask-upkeep.service"
    unit.write_text(unit.read_text().replace("/opt/flask/", f"{tmp_path}/opt/flask/"))
    verified = run("systemd-analyze", "verify", unit)
    assert [line for line in verified.stdout.splitlines() if "flask" in line] == []


@pytest.mark.parametrize("variant", [CENTOS, DEBIAN])
def test_a_small_host_gets_swap_once(variant: str, tmp_path: Path) -> None:
    small = machine(tmp_path, variant, mib=990)
    assert small.upkeep()[0] == 0
    swap = tmp_path / "var/lib/flask/swap"
    assert swap.stat().st_mode & 0o077 == 0
    assert "swapon /var/lib/flask/swap" in small.calls()
    # After a boot: the file is there, and is used again.
    (tmp_path / "calls").unlink()
    small.upkeep()
    assert [call for call in small.calls() if "swap" in call] == ["swapon /var/lib/flask/swap"]


@pytest.mark.parametrize(("mib", "swap"), [(2048, 0), (990, 512)])
def test_others_get_none(mib: int, swap: int, tmp_path: Path) -> None:
    other = machine(tmp_path, DEBIAN, mib=mib, swap=swap)
    other.upkeep()
    assert not [call for call in other.calls() if "swap" in call]


def test_a_full_disk_gets_no_swap_and_the_rest_is_done(tmp_path: Path) -> None:
    small = machine(tmp_path, DEBIAN, mib=990)
    (tmp_path / "free").write_text("1000000")
    status, said = small.upkeep()
    assert status == 1
    assert "no swap: less than 4 GiB" in said
    assert not (tmp_path / "var/lib/flask/swap").exists()
    assert "systemctl enable --now apt-daily.timer apt-daily-upgrade.timer" in small.calls()


def test_a_swap_file_that_could_not_be_made_is_not_taken_for_one(tmp_path: Path) -> None:
    small = machine(tmp_path, DEBIAN, mib=990)
    small.failing("systemctl cat *", "mkswap *")
    assert small.upkeep()[0] == 1
    assert list((tmp_path / "var/lib/flask").iterdir()) == []


def test_debian_gets_what_its_image_lacks(tmp_path: Path) -> None:
    bare = machine(tmp_path, DEBIAN)
    (tmp_path / "bin/nft").rename(tmp_path / "nft")
    # apt-get's part.
    bare.upkeep()
    installed = [call for call in bare.calls() if call.startswith("apt-get") and " install " in call]
    assert len(installed) == 1
    assert installed[0].endswith("install systemd-timesyncd unattended-upgrades nftables")


def test_debian_with_both_installs_nothing_and_starts_its_own_clock(tmp_path: Path) -> None:
    full = machine(tmp_path, DEBIAN)
    full.failing("systemctl cat systemd-timesyncd*", "systemctl cat ntp*", "systemctl cat openntpd*")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/unattended-upgrade").touch()
    assert full.upkeep()[0] == 0
    assert not [call for call in full.calls() if call.startswith("apt-get")]
    assert "systemctl enable --now chrony.service" in full.calls()


def test_packages_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    alone = machine(tmp_path, DEBIAN)
    alone.failing("systemctl cat *", "apt-get *")
    status, said = alone.upkeep()
    assert status == 1
    assert "could not install systemd-timesyncd unattended-upgrades" in said
    assert len([call for call in alone.calls() if call.startswith("apt-get")]) == 3


def test_centos_keeps_the_application_from_the_metadata_service(tmp_path: Path) -> None:
    centos = machine(tmp_path, CENTOS)
    assert centos.upkeep()[0] == 0
    assert [call for call in centos.calls() if " -I " in call] == [f"iptables -w -I {rule}" for rule in RULES]
    (tmp_path / "calls").unlink()
    centos.failing("firewall-cmd --state")
    centos.upkeep()
    assert not [call for call in centos.calls() if call.startswith("iptables -w -I")], "it has one already"


def test_firewalld_is_told_instead_where_it_runs(tmp_path: Path) -> None:
    centos = machine(tmp_path, CENTOS)
    centos.failing("firewall-cmd -q --direct --query-rule *")
    assert centos.upkeep()[0] == 0
    added = [call for call in centos.calls() if "--add-rule" in call]
    assert [("--permanent" in call) for call in added] == [True, False] * 2
    for number, rule in enumerate(RULES):
        assert all(call.endswith(rule.replace("OUTPUT", "OUTPUT 0")) for call in added[2 * number :][:2])
    assert not [call for call in centos.calls() if call.startswith("iptables")]


@pytest.mark.parametrize(
    ("variant", "failing"),
    [(CENTOS, ("firewall-cmd --state", "iptables *")), (DEBIAN, ("systemctl cat *", "nft *"))],
)
def test_a_rule_that_is_refused_is_told(tmp_path: Path, variant: str, failing: tuple[str, ...]) -> None:
    refusing = machine(tmp_path, variant)
    refusing.failing(*failing)
    status, said = refusing.upkeep()
    assert status == 1
    assert "can reach the metadata service" in said


def test_debian_filters_by_account_beside_the_units(tmp_path: Path) -> None:
    debian = machine(tmp_path, DEBIAN)
    assert debian.upkeep()[0] == 0
    rules = (tmp_path / "rules").read_text()
    assert 'ip daddr 100.100.100.200 meta skuid { "flask", "flask-build" } reject' in rules
    unit = host_files(VARIANTS[DEBIAN])["etc/systemd/system/flask-app@.service"].content.decode()
    assert "\nIPAddressDeny=100.100.100.200/32\n" in unit
    # The program that reads them, with accounts that this machine has.
    (tmp_path / "here").write_text(rules.replace('"flask"', "root").replace('"flask-build"', "daemon"))
    checked = run("nft", "--check", "--file", str(tmp_path / "here"))
    assert checked.returncode == 0, checked.stdout


def test_security_updates_are_apts(tmp_path: Path) -> None:
    """By apt's own reader."""
    name = "etc/apt/apt.conf.d/52flask-upgrades"
    assert name not in host_files(VARIANTS[CENTOS])
    write(VARIANTS[DEBIAN], tmp_path)
    told = subprocess.run(
        ["apt-config", "-c", tmp_path / name, "dump"], capture_output=True, text=True, check=True
    ).stdout
    assert 'APT::Periodic::Unattended-Upgrade "1";' in told
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in told
