"""A certificate from an authority that speaks ACME: asked for, and renewed, by certbot in an environment of its own."""

import hashlib
import shutil
from pathlib import Path
from typing import Dict, List

from flask_certificate import live
from flask_certificate.places import FULLCHAIN, Places, Settings, private_folder, run
from flask_certificate.problem import Problem, say

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# certbot's own name for the certificate: the folder in `live`.
NAME = "site"
_SHOWN_LINES = 15
_DONE = ".complete"
# What certbot's console script does.
_CERTBOT = "import sys; from certbot.main import main; sys.exit(main())"


def obtain(places: Places, settings: Settings) -> None:
    """Ask for a certificate unless there is one for a while yet, and put it into use.

    Raises:
        Problem: there is none; the site serves as before.
    """
    python = environment(places)
    say("asking {} for a certificate for {}".format(settings.directory, settings.names[0]))
    names = [argument for name in settings.names for argument in ("-d", name)]
    status, text = _certbot(
        places,
        python,
        ["certonly", "--cert-name", NAME, "--keep-until-expiring", "--renew-with-new-domains", "--agree-tos"]
        + ["--webroot", "--webroot-path", str(places.acme_webroot), "--key-type", "ecdsa"]
        # Another authority than before is asked anew, whatever is still valid.
        + ["--server", settings.directory, "--email", settings.email]
        + (["--force-renewal"] if _other_authority(places, settings) else [])
        + names,
    )
    if status != 0:
        raise Problem(_refusal(places, settings, text))
    _use(places, settings)


def renew(places: Places, settings: Settings) -> None:
    """Renew the certificate if it ends soon.

    Raises:
        Problem: it could not be renewed; it serves on until its end.
    """
    if not (places.acme / "renewal" / (NAME + ".conf")).exists():
        obtain(places, settings)
        return
    # Another version of this project may have brought another certbot.
    python = environment(places)
    status, text = _certbot(places, python, ["renew", "--cert-name", NAME, "--no-random-sleep-on-renew"])
    if status != 0:
        raise Problem(_refusal(places, settings, text))
    # Not a hook of certbot's: that would not be called again after a run that was cut off, and its failure is none of
    # certbot's.
    if not live.in_use(places, places.acme / "live" / NAME):
        _use(places, settings)


def environment(places: Places) -> str:
    """Path of a Python that has certbot, made if it is not there.

    Raises:
        Problem: it could not be made.
    """
    folder = places.certbot / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    python = str(folder / "bin/python3")
    if (folder / _DONE).exists():
        return python
    say("installing certbot")
    shutil.rmtree(str(folder), ignore_errors=True)
    steps = [
        [str(places.python), "-I", "-m", "venv", str(folder)],
        [
            *(python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--require-hashes", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS)),
        ],
    ]
    for step in steps:
        status, text = run(step)
        if status != 0:
            raise Problem(
                "certbot could not be installed, so there is no new certificate; the site serves as before."
                " Run `up` again.\n" + _last(text)
            )
    (folder / _DONE).write_text("")
    for other in places.certbot.iterdir():
        if other != folder:
            shutil.rmtree(str(other), ignore_errors=True)
    return python


def _use(places: Places, settings: Settings) -> None:
    folder = places.acme / "live" / NAME
    live.take(places, folder)
    say("{} is served on https, until {}".format(settings.names[0], live.valid_until(folder / FULLCHAIN)))


def _certbot(places: Places, python: str, arguments: List[str]) -> "tuple[int, str]":
    for folder in (places.acme, places.acme_work, places.acme_logs):
        private_folder(folder)
    variables: Dict[str, str] = {}
    if places.acme_ca.exists():
        # Its library's own variable; for the connection to the directory, not for what it signs.
        variables["REQUESTS_CA_BUNDLE"] = str(places.acme_ca)
    common = ["--non-interactive", "--max-log-backups", "10", "--config-dir", str(places.acme)]
    common += ["--work-dir", str(places.acme_work), "--logs-dir", str(places.acme_logs)]
    return run([python, "-I", "-c", _CERTBOT, *arguments, *common], **variables)


def _other_authority(places: Places, settings: Settings) -> bool:
    renewal = places.acme / "renewal" / (NAME + ".conf")
    return renewal.exists() and "server = {}\n".format(settings.directory) not in renewal.read_text(
        encoding="utf-8"
    )


def _refusal(places: Places, settings: Settings, text: str) -> str:
    name = settings.names[0]
    if live.covers(places, name):
        serves = "the certificate of before serves on, until {}".format(
            live.valid_until(places.live / FULLCHAIN)
        )
    else:
        serves = "the site is served on http"
    return (
        "There is no new certificate for {name} from {directory}; {serves}. Most often the name does not lead to this"
        " server yet (its A record), or the authority does not reach port 80 (webCidrs). Then run `up` again. All of"
        " it: {log}\n{last}"
    ).format(
        name=name,
        directory=settings.directory,
        serves=serves,
        log=places.acme_logs / "letsencrypt.log",
        last=_last(text),
    )


def _last(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-_SHOWN_LINES:])
