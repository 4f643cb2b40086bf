"""flask-metrics.service: systemd takes it, and it can do little."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.files.programs import run
from tests.host.files.variants import VARIANTS, write


@pytest.mark.parametrize(("variant", "bar"), [("debian12-unix-address", 1.5), ("centos7-tcp-domain", 5.2)])
def test_the_metrics_unit(variant: str, bar: float, tmp_path: Path) -> None:
    write(VARIANTS[variant], tmp_path)
    unit = tmp_path / "etc/systemd/system/flask-metrics.service"
    unit.write_text(unit.read_text().replace("/opt/flask/", f"{tmp_path}/opt/flask/"))
    verified = run("systemd-analyze", "verify", unit)
    # Which Debian's newer systemd calls out of date, and which the old one has nothing else for.
    named = [line for line in verified.stdout.splitlines() if "flask" in line and "MemoryLimit" not in line]
    assert named == []
    judged = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={bar * 10:.0f}", "--no-pager", unit
    )
    assert judged.returncode == 0, judged.stdout
