"""Where things are on a server, files that are whole or not there, and the programs that are run."""

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, List, Optional, Tuple

from flask_certificate.problem import Problem

FULLCHAIN = "fullchain.pem"
PRIVKEY = "privkey.pem"
# Exit status of a program that is not there, as a shell has it.
MISSING = 127


class Places:
    """Paths below `root`, which is / on a server."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.settings = root / "etc/flask/tls.json"
        self.folder = root / "etc/flask/tls"
        # Where nginx looks (tls.conf).
        self.live = self.folder / "live"
        self.loaded = self.folder / "loaded"
        self.placeholder = self.folder / "placeholder"
        # Read by nginx while there is a certificate that browsers know.
        self.certified = root / "etc/nginx/flask/certified.conf"
        self.lock = root / "run/flask-certificate.lock"
        self.acme = root / "etc/flask/acme"
        self.acme_ca = root / "etc/flask/acme-ca.pem"
        self.acme_webroot = root / "srv/flask/acme"
        self.acme_work = root / "var/lib/flask/certbot"
        self.acme_logs = root / "var/log/flask/certbot"
        self.python = root / "opt/flask/python/bin/python3"
        self.certbot = root / "opt/flask/certbot"


class Settings:
    """What the stack decided: /etc/flask/tls.json.

    Attributes:
        mode: own or acme.
        names: of the site; the first is the one that counts.
        email: account at the certificate authority.
        directory: URL of its directory.
    """

    def __init__(self, values: Any) -> None:
        self.mode = str(values["mode"])
        self.names = [str(name) for name in values["names"]]
        self.email = str(values["email"])
        self.directory = str(values["directory"])


def load(path: Path) -> Optional[Settings]:
    """The settings, or None where the site speaks http only."""
    try:
        return Settings(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            "{} cannot be read: {}. Run the stack's `up`, which writes it anew.".format(path, error)
        )


def run(command: List[str], **variables: str) -> Tuple[int, str]:
    """Run a program to its end: its status and all that it printed. Its environment has `variables` more."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, **variables),
            check=False,
        )
    except OSError as error:
        return MISSING, "{}: {}".format(command[0], error.strerror)
    return done.returncode, done.stdout.decode(errors="replace")


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace the file at once. It never has more rights than `mode`."""
    part = path.with_name(".part-" + path.name)
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    descriptor = os.open(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.rename(str(part), str(path))


def link(path: Path, target: str) -> None:
    """Make `path` a link to `target` at once, over whatever link was there."""
    part = path.with_name(".part-" + path.name)
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    os.symlink(target, str(part))
    os.rename(str(part), str(path))


def private_folder(path: Path) -> None:
    """Make a folder that only root enters."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
