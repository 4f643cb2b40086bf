"""What the real programs say of a configuration that was accepted. What they were asked before is not asked again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from render.cloud_init import user_data
from render.host_files import HostSettings, host_files
from settings import ServerSettings, Settings
from tests.host.files import rig
from tests.host.files.programs import run
from tests.host.files.variants import write
from tests.host.release_tool.fake_host import module

# Units of one run of systemd-analyze, which takes a moment to begin.
_BATCH = 40


class Programs:
    """nginx, uWSGI, the server's own tool, OpenSSH's reader of keys and YAML's at once; systemd in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[tuple[str, ...]] = set()
        self._units: dict[str, str] = {}
        self.asked = 0

    def read(self, settings: Settings) -> None:
        """Have all of them read what comes of these settings."""
        host = settings.host()
        files = {name: file.content.decode() for name, file in host_files(host).items()}
        ini, server = files["etc/flask/uwsgi/slot.ini"], settings.server
        sizes = module("sizing").options(self._tool(files["etc/flask/host.json"]))
        nginx = [text for name, text in files.items() if name.startswith("etc/nginx/")]
        self._once(("nginx", *nginx), lambda: self._nginx(host))
        self._once(("uwsgi", ini, host.socket, *sizes), lambda: self._uwsgi(ini, host, sizes))
        keys = files.get("etc/flask/authorized_keys")
        if keys:
            self._once(("keys", keys), lambda: self._keys(keys))
        first_boot = ("cloud-init", server.profile.name, server.python, server.python_mirror or "")
        self._once(first_boot, lambda: self._first_boot(server))
        for name, text in files.items():
            if name.startswith("etc/systemd/system/") and name.endswith(".service"):
                self._units.setdefault(text, Path(name).name.replace("@", "").removesuffix(".service"))

    def verify_units(self, host: HostSettings) -> None:
        """Have systemd read all units at once; `host` is any whose programs the units name."""
        root = self._folder / "units"
        write(host, root)
        folder = root / "etc/systemd/system"
        shutil.rmtree(folder)
        folder.mkdir()
        paths = []
        for number, (text, name) in enumerate(self._units.items()):
            path = folder / f"{name}-{number}.service"
            path.write_text(text.replace("/opt/flask/", f"{root}/opt/flask/"))
            paths.append(path)
        for start in range(0, len(paths), _BATCH):
            verified = run("systemd-analyze", "verify", *paths[start : start + _BATCH])
            assert verified.returncode == 0, verified.stdout
            # "Unit uses …; please use …": words for CentOS 7, which knows no newer ones.
            ours = [
                line for line in verified.stdout.splitlines() if "flask-" in line and "Unit uses" not in line
            ]
            assert not ours, "\n".join(ours)
            self.asked += 1

    def _once(self, what: tuple[str, ...], ask: Callable[[], None]) -> None:
        # Not before it was taken: hypothesis tries again what failed.
        if what not in self._seen:
            self.asked += 1
            ask()
            self._seen.add(what)

    def _first_boot(self, server: ServerSettings) -> None:
        data = user_data(
            server.profile,
            host_key_private="x",
            host_key_public="y",
            python=server.python,
            python_mirror=server.python_mirror,
        )
        command = yaml.load(data, yaml.CSafeLoader)["runcmd"][-1]
        assert command[2] == f"FLASK_PYTHON_MIRROR={server.python_mirror or ''}"

    def _nginx(self, host: HostSettings) -> None:
        with rig.host(host) as made:
            read = run("nginx", "-t", "-c", made.nginx_conf)
            assert read.returncode == 0, read.stdout
            assert "[warn]" not in read.stdout

    def _uwsgi(self, text: str, host: HostSettings, sizes: list[str]) -> None:
        ini = self._folder / "slot.ini"
        ini.write_text(text)
        socket = str(self._folder / "a.sock") if host.socket == "unix" else host.socket
        # Whatever the application is: what is asked is whether uWSGI takes the settings around it.
        (self._folder / "taken.py").write_text("app = print\n")
        application = ("--pythonpath", self._folder, "--module", "taken", "--callable", "app")
        read = run("uwsgi", "--ini", ini, *sizes, "--socket", socket, *application, "--no-server")
        assert "no-server mode requested" in read.stdout, read.stdout

    def _tool(self, text: str) -> object:
        file = self._folder / "host.json"
        file.write_text(text)
        return module("settings").load(None, file)

    def _keys(self, text: str) -> None:
        file = self._folder / "authorized_keys"
        file.write_text(text)
        listed = run("ssh-keygen", "-l", "-f", file)
        assert listed.returncode == 0, listed.stdout
        assert len(listed.stdout.splitlines()) == 1
