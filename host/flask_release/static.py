"""Static files that nginx serves itself, from the release that has the traffic.

A release has `public/`, which holds its static folder under the address that Flask serves it at; `/srv/flask/serving`
links to the slot whose release nginx takes them from, and moves with the traffic.
"""

import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

from flask_release import files, releases, untrusted
from flask_release.host import Host

# What the import check prints last, when the application is Flask's and has static files.
MARK = "flask-release static: "
# Runs in the import check, where `found` is the application.
PROGRAM = """
folder, url = getattr(found, "static_folder", None), getattr(found, "static_url_path", None)
if isinstance(folder, str) and isinstance(url, str):
    import json
    print("\\n" + "flask-release static: " + json.dumps([folder, url]))
"""


# Of an address and its folder: parts of both together, and characters of one.
_PARTS = 64
_NAME = 128


class Static(NamedTuple):
    """A folder of files, and the address they have on the site, such as `/static`."""

    folder: Path
    address: str


def told(output: str) -> Optional[Static]:
    """What the import check said of static files, or None."""
    for line in reversed(output.splitlines()):
        if line.startswith(MARK):
            return _static(line[len(MARK) :])
    return None


def _static(text: str) -> Optional[Static]:
    """What the application said, if it is of the form; it is printed by the application, and can be anything."""
    try:
        folder, address = untrusted.json_list(text.encode())
        names = [*PurePosixPath(folder).parts, *PurePosixPath(address).parts]
    except (ValueError, TypeError):
        return None
    if not (folder + address).isprintable() or len(names) > _PARTS or max(map(len, names), default=0) > _NAME:
        return None
    return Static(Path(folder), address)


def publish(host: Host, release: str, static: Optional[Static]) -> bool:
    """Give the release its `public/`; tells whether nginx can serve its files.

    Files outside of the release stay the application's to serve, and so do those at the root of the site.
    """
    folder = releases.folder(host, release)
    app = Path(os.path.realpath(str(folder / "app")))
    if static is None:
        return False
    place = PurePosixPath("/", static.address)
    real = Path(os.path.realpath(str(static.folder)))
    if len(place.parts) < 2 or ".." in place.parts or app not in (real, *real.parents) or not real.is_dir():
        return False
    link = folder.joinpath("public", *place.parts[1:])
    target = os.path.relpath(str(real), os.path.realpath(str(folder / "public" / Path(*place.parts[1:-1]))))
    if files.target(link) != target:
        files.folder(link.parent, 0o755)
        files.link(link, target)
    return True


def serve_from(host: Host, slot: Optional[str]) -> None:
    """Have nginx take static files from the slot's release; None: from nowhere."""
    if slot is None:
        files.remove(host.serving)
    elif files.target(host.serving) != f"slots/{slot}":
        files.link(host.serving, f"slots/{slot}")
