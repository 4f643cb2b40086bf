"""The certificate that nginx uses: which one it is, and another in its place."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Optional

from flask_certificate.places import FULLCHAIN, PRIVKEY, Places, Settings, link, private_folder, run, write
from flask_certificate.problem import Problem, say

# A key and a certificate that only let nginx start. openssl of CentOS 7 takes names from a file alone.
_REQUEST = """[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = no certificate yet
[extensions]
subjectAltName = DNS:{}
"""


def covers(places: Places, name: str) -> bool:
    """There is a certificate for this name, with its key, where nginx looks, and it is no placeholder."""
    chain = places.live / FULLCHAIN
    if (
        not chain.is_file()
        or not (places.live / PRIVKEY).is_file()
        or _target(places) == places.placeholder.name
    ):
        return False
    status, text = run(["openssl", "x509", "-noout", "-checkhost", name, "-in", str(chain)])
    # Its exit status says nothing in older versions.
    return status == 0 and "does match" in text


def valid_until(chain: Path) -> str:
    """The end of a certificate's validity, in openssl's words."""
    _, text = run(["openssl", "x509", "-noout", "-enddate", "-in", str(chain)])
    found = re.search(r"notAfter=(.*)", text)
    return found.group(1).strip() if found else "unknown"


def provide(places: Places, settings: Settings) -> None:
    """See to it that nginx finds some certificate: without one for this site, one that says so.

    The site is then served on http, until there is another (`take`).

    Raises:
        Problem: openssl could not make one.
    """
    if covers(places, settings.names[0]):
        return
    private_folder(places.folder)
    folder = places.placeholder
    shutil.rmtree(str(folder), ignore_errors=True)
    private_folder(folder)
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as request:
        request.write(_REQUEST.format(settings.names[0]))
        request.flush()
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(folder / PRIVKEY)]
        out = ["-x509", "-sha256", "-days", "3650", "-out", str(folder / FULLCHAIN)]
        status, text = run(["openssl", "req", "-config", request.name, *key, *out])
    if status != 0:
        raise Problem("openssl could not make a placeholder certificate:\n" + text)
    (folder / PRIVKEY).chmod(0o600)
    with contextlib.suppress(FileNotFoundError):
        places.certified.unlink()
    link(places.live, folder.name)
    say("no certificate for {} yet: the site stays on http until there is one".format(settings.names[0]))


def in_use(places: Places, folder: Path) -> bool:
    """The certificate in `folder` is the one that nginx was told to read last."""
    try:
        return places.loaded.read_text() == _digest(folder)
    except OSError:
        return False


def take(places: Places, folder: Path) -> None:
    """Have nginx use the certificate in `folder`, and send visitors to https.

    Raises:
        Problem: nginx does not take it; all is as before.
    """
    target = os.path.relpath(str(folder), str(places.folder))
    before, certified = _target(places), places.certified.exists()
    link(places.live, target)
    write(places.certified, places.certified.with_name("certified.conf.default").read_bytes(), 0o644)
    status, text = run(["nginx", "-t", "-q"])
    if status != 0:
        if before:
            link(places.live, before)
        if not certified:
            places.certified.unlink()
        raise Problem("nginx does not take the certificate; the one of before serves on.\n" + text)
    _reload_nginx()
    write(places.loaded, _digest(folder).encode(), 0o600)


def _reload_nginx() -> None:
    """Have nginx read its files again; running requests are answered by its old workers.

    Raises:
        Problem: it could not be asked to.
    """
    # A host that boots reads them anyway.
    if run(["systemctl", "is-active", "-q", "nginx.service"])[0] != 0:
        return
    status, text = run(["systemctl", "reload", "nginx.service"])
    if status != 0:
        raise Problem("nginx could not be reloaded: systemctl status nginx\n" + text)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / FULLCHAIN).read_bytes()).hexdigest()


def _target(places: Places) -> Optional[str]:
    try:
        return os.readlink(str(places.live))
    except OSError:
        return None
