"""What an examination of the host says."""

from typing import NamedTuple

from flask_release.host import Host
from flask_release.settings import Settings

OK = "ok"
WARN = "warn"
BAD = "bad"


class Finding(NamedTuple):
    """One line of what was found, and one of what to do when that is not well.

    Attributes:
        name: what was looked at.
        state: OK; WARN, when it serves and somebody should look; BAD, when it does not serve or soon will not.
        found: what there is.
        do: what to do; empty when it is OK.
    """

    name: str
    state: str
    found: str
    do: str = ""


class Patient(NamedTuple):
    """The host, and its settings; all defaults when they cannot be read."""

    host: Host
    settings: Settings
