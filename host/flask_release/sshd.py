"""sshd's settings from the bundle, put before its own.

sshd takes the first value that it reads. Where its configuration begins with a folder of files (Debian), ours is one of
them; where it knows no folders (CentOS 7's 7.4), ours is a marked block at its beginning.
"""

import re
from pathlib import Path
from typing import Optional

from flask_release import files, units
from flask_release.host import Host
from flask_release.problem import Problem, say
from flask_release.process import run

NAME = "etc/flask/sshd.conf"
_INCLUDED = re.compile(r"^\s*Include\s+/etc/ssh/sshd_config\.d/\*\.conf\s*$", re.MULTILINE | re.IGNORECASE)
# Before cloud-init's 50-cloud-init.conf.
_DROP_IN = "etc/ssh/sshd_config.d/10-flask.conf"
_BEGIN, _END = "# flask: begin", "# flask: end"
_BLOCK = re.compile(rf"^{_BEGIN}\n.*?^{_END}\n", re.MULTILINE | re.DOTALL)
# Debian's name, and the other one.
_UNITS = ("ssh.service", "sshd.service")


def follow(host: Host) -> None:
    """Make sshd's settings those of the bundle, after sshd itself has read them; none of them: take ours out.

    A failure is told, not raised: what was in force still is, and nobody is locked out.
    """
    main = host.root / "etc/ssh/sshd_config"
    before = _text(main)
    if before is None:
        return
    ours = _text(host.root / NAME) or ""
    theirs = _BLOCK.sub("", before)
    block = f"{_BEGIN}\n{ours}{_END}\n" if ours else ""
    try:
        if _INCLUDED.search(theirs):
            place, content = host.root / _DROP_IN, ours
        else:
            place, content = main, block + theirs
        if content == (_text(place) or ""):
            return
        _try(main.with_name("sshd_config.flask-candidate"), block + theirs)
        if content:
            files.write(place, _bytes(content), 0o600)
        else:
            files.remove(place)
        _reload()
    except Problem as problem:
        say(f"warning: sshd keeps its settings of before: {problem.text}")


def _try(candidate: Path, content: str) -> None:
    """Have sshd read settings before anything is changed: with what it refuses it would not start again.

    Raises:
        Problem: it refuses them.
    """
    files.write(candidate, _bytes(content), 0o600)
    try:
        ran = run(["sshd", "-t", "-f", str(candidate)], timeout=30)
    finally:
        files.remove(candidate)
    if ran.code != 0:
        raise Problem(ran.last(5))


def _reload() -> None:
    """Have sshd read them; connections that stand, stay. One that starts for each connection reads them anyway."""
    for unit in _UNITS:
        if units.state(unit).active == "active":
            units.must("reload", unit)
            return


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
