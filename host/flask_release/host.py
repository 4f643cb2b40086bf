"""Where everything is on a host."""

from pathlib import Path
from typing import NamedTuple

SLOTS = ("a", "b")
NGINX = "nginx.service"


class Host(NamedTuple):
    """The places of a host below `root`, which is `/` but for tests."""

    root: Path = Path("/")

    @property
    def python(self) -> Path:
        """The interpreter that makes environments, unless host.json names another."""
        return self.root / "opt/flask/python/bin/python3"

    @property
    def wheels(self) -> Path:
        """Pinned wheels that every environment gets without an index: uWSGI, and pip where it has to be newer."""
        return self.root / "opt/flask/wheels"

    @property
    def tool(self) -> Path:
        """The package of this tool as installed."""
        return self.root / "opt/flask/lib/flask_release"

    @property
    def slot_program(self) -> Path:
        """What a slot's unit starts; it ends up in `launcher.py`."""
        return self.root / "opt/flask/bin/flask-slot"

    @property
    def settings(self) -> Path:
        """Settings of the tool, rendered by the stack."""
        return self.root / "etc/flask/host.json"

    @property
    def slot_ini(self) -> Path:
        """What uWSGI is told in both slots alike."""
        return self.root / "etc/flask/uwsgi/slot.ini"

    @property
    def environments(self) -> Path:
        """Folder of the applications' environment variables, a JSON file a release."""
        return self.root / "etc/flask/env"

    @property
    def release_key(self) -> Path:
        """Secret that turns an environment into the tail of a release's id."""
        return self.root / "etc/flask/release.key"

    @property
    def upstream(self) -> Path:
        """nginx's upstream; it names the live slot when slots listen on TCP."""
        return self.root / "etc/nginx/flask/upstream.conf"

    @property
    def upstream_default(self) -> Path:
        """The upstream file as the stack renders it, naming slot a."""
        return self.root / "etc/nginx/flask/upstream.conf.default"

    @property
    def units(self) -> Path:
        """systemd units of the administrator."""
        return self.root / "etc/systemd/system"

    @property
    def srv(self) -> Path:
        """Everything a release lives from; one file system, so that renames in it are atomic."""
        return self.root / "srv/flask"

    @property
    def releases(self) -> Path:
        """A folder a release."""
        return self.srv / "releases"

    @property
    def venvs(self) -> Path:
        """A Python environment for each lock of requirements."""
        return self.srv / "venvs"

    @property
    def instance(self) -> Path:
        """Flask's instance folder: data of the application that outlives releases."""
        return self.srv / "shared/instance"

    @property
    def slots(self) -> Path:
        """A link a slot to the release that it runs."""
        return self.srv / "slots"

    @property
    def live(self) -> Path:
        """Link to the live slot: the record of what serves."""
        return self.srv / "live"

    @property
    def serving(self) -> Path:
        """Link to the slot whose release nginx takes static files from."""
        return self.srv / "serving"

    @property
    def run(self) -> Path:
        """What is there while the host runs; root's. In it, a folder of each slot's own."""
        return self.root / "run/flask"

    @property
    def current_socket(self) -> Path:
        """Link to the socket of the slot that nginx talks to."""
        return self.run / "current.sock"

    def asleep(self, slot: str) -> Path:
        """There while the slot sleeps; the slot's unit does not start then."""
        return self.run / f"{slot}.asleep"

    @property
    def nginx_pid(self) -> Path:
        """Process id of nginx's master."""
        return self.root / "run/nginx.pid"

    @property
    def log(self) -> Path:
        """nginx's and this tool's logs."""
        return self.root / "var/log/flask"

    @property
    def access_log(self) -> Path:
        """nginx's access log, a JSON object a line."""
        return self.log / "access.log"

    @property
    def history(self) -> Path:
        """What this tool did, a JSON object a line."""
        return self.log / "releases.jsonl"

    @property
    def state(self) -> Path:
        """What this tool remembers, and what arrives at the host."""
        return self.root / "var/lib/flask"

    @property
    def rollbacks(self) -> Path:
        """How often a rollback changed what serves; the stack's program reads it."""
        return self.state / "rollbacks"

    @property
    def lock(self) -> Path:
        """Held, and filled with its owner, while something changes."""
        return self.state / "release.lock"

    @property
    def incoming(self) -> Path:
        """Archives as they were copied to the host."""
        return self.state / "incoming"

    @property
    def bundles(self) -> Path:
        """Unpacked host bundles, and what was installed from them."""
        return self.state / "host"

    @property
    def installed(self) -> Path:
        """Paths and digests of the files that `configure` installed."""
        return self.bundles / "installed.json"

    @property
    def undo(self) -> Path:
        """Files as they were before a `configure` that is not done yet."""
        return self.bundles / "undo"

    @property
    def started(self) -> Path:
        """Digest of the uWSGI settings that each slot was started with."""
        return self.state / "started.json"

    @property
    def processes(self) -> Path:
        """Digests of the units made from a Procfile, and the release that they were started for."""
        return self.state / "processes.json"

    def socket(self, slot: str) -> Path:
        """The slot's uwsgi socket. Its folder is the application's: see `untrusted.py`, as for the next two."""
        return self.run / slot / "app.sock"

    def stats(self, slot: str) -> Path:
        """The slot's statistics socket."""
        return self.run / slot / "stats.sock"

    def fifo(self, slot: str) -> Path:
        """The slot's command pipe."""
        return self.run / slot / "fifo"

    def environment(self, release: str) -> Path:
        """The release's environment variables."""
        return self.environments / f"{release}.env"

    def place(self, name: str) -> Path:
        """Where the file `name` of a host bundle ("etc/nginx/nginx.conf") belongs."""
        return self.root / name


def unit(slot: str) -> str:
    """The slot's systemd unit."""
    return f"flask-app@{slot}.service"


def identifier(name: str) -> str:
    """What marks the lines of a unit of ours in the journal: SyslogIdentifier= in it, flask-app-a for slot a's."""
    return name.rpartition(".")[0].replace("@", "-")
