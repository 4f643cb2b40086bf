"""How exposed systemd-analyze finds a host's services: 0 (shut in) to 10."""

from __future__ import annotations

import re
from pathlib import Path

from render.host_files import HostSettings
from tests.host.files.programs import run
from tests.host.files.variants import write


def of_application(settings: HostSettings, root: Path) -> float:
    """Exposure of a slot's service; `root` is an empty folder to write to."""
    return _exposure(laid_down(settings, root) / "flask-app@a.service")


def of_nginx(settings: HostSettings, root: Path) -> float:
    """Exposure of nginx as a distribution ships it, with our drop-in; `root` as above."""
    folder = laid_down(settings, root)
    ours = (folder / "nginx.service.d/flask.conf").read_text()
    (folder / "nginx.service").write_text(
        f"[Service]\nType=forking\nExecStart=/bin/true\nPIDFile=/run/nginx.pid\n{ours}"
    )
    return _exposure(folder / "nginx.service")


def _exposure(unit: Path) -> float:
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", judged.stdout)
    assert found, judged.stdout
    return float(found[1])


def laid_down(settings: HostSettings, root: Path) -> Path:
    """Units in a folder, with programs that are there: systemd-analyze looks for them."""
    write(settings, root)
    folder = root / "etc/systemd/system"
    for file in folder.glob("*.service"):
        text = file.read_text().replace("/opt/flask/", f"{root}/opt/flask/")
        file.write_text(text)
    (folder / "flask-app@a.service").symlink_to("flask-app@.service")
    return folder
