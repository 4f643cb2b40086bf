"""A deployment's server used directly: `flask-release` by SSH, and what only the machine below it can do to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import ssh
from automation import server
from automation.stacks import open_stack
from render.release import application_release
from sandbox import containers
from sandbox.cloud import ADDRESS_LABEL
from tests.e2e import visitor
from tests.e2e.broken_apps import MODULE
from tests.e2e.deployment import STACK, Deployment
from tests.host.release_tool.fake_host import Ran

TOOL = "/opt/flask/bin/flask-release"
# The release command's standard input: no variables.
NO_VARIABLES = '{"env": {}}'
_SETTINGS = "/etc/flask/host.json"
# Where archives wait on the server: the tool prunes its own folder for them.
_WAITING = "/root/waiting"
# Seconds. What stops a hanging command; none is expected to come near.
LIMIT = 150.0

# Runs `flask-release`, which gets a signal as it begins a step: the one named, or the first that is not among those
# passed. A step that comes twice has a number the second time; "environment+" is a second into that step.
_STRUCK = """
import json, os, sys, threading, time
number, at, passed, *arguments = json.loads(sys.argv[1])
sys.path.insert(0, "/opt/flask/lib")
from flask_release import cli, lock
real, times, struck = lock.Lock.step, {}, []
def strike(place, seconds=0):
    if struck or (place != at if at else place in passed):
        return
    struck.append(place)
    print(place, flush=True)
    time.sleep(seconds)
    os.kill(os.getpid(), number)
def step(self, name, **facts):
    real(self, name, **facts)
    times[name] = times.get(name, 0) + 1
    strike(name if times[name] == 1 else "%s %d" % (name, times[name]))
    if name == "environment":
        threading.Thread(target=strike, args=("environment+", 1), daemon=True).start()
lock.Lock.step = step
sys.exit(cli.main(arguments))
"""


class Server:
    """The server of a deployment. Commands share one SSH connection: most take less time than to make one."""

    def __init__(self, deployment: Deployment, ssh_command: list[str], folder: Path) -> None:
        self.address = deployment.output("address")
        (self.container,) = containers.owned(ADDRESS_LABEL, self.address)
        self.requirements = (deployment.folder / "app/requirements.txt").read_text()
        self._folder = folder
        client, *options, host = ssh_command
        shared = {"ControlMaster": "auto", "ControlPath": str(folder / "shared"), "ControlPersist": "yes"}
        shared_options = [part for name, value in shared.items() for part in ("-o", f"{name}={value}")]
        self._ssh = [client, *shared_options, *options]
        self._host = host

    def start(self, script: str, stdin: str | bytes = b"") -> subprocess.Popen[bytes]:
        """Start a script on the server; `finish` waits for it."""
        process = subprocess.Popen(
            [*self._ssh, self._host, "--", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin.encode() if isinstance(stdin, str) else stdin)
            process.stdin.close()
        process.stdin = None
        return process

    def run(self, script: str, stdin: str | bytes = b"") -> Ran:
        """Run a script on the server to its end."""
        return finish(self.start(script, stdin))

    def must(self, script: str, stdin: str | bytes = b"") -> str:
        """Run a script that has to succeed; return what it printed."""
        ran = self.run(script, stdin)
        assert ran.code == 0, ran.out + ran.err
        return ran.out.strip()

    def hang_up(self) -> None:
        """End the shared connection: it would not notice that the server was switched off."""
        subprocess.run([*self._ssh, "-O", "exit", self._host], capture_output=True, check=False)

    def archive(
        self, application: str, requirements: str | None = None, files: Mapping[str, str] | None = None
    ) -> str:
        """Put an application's release archive, with `files` beside its module, on the server; return where it is."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            source = Path(folder)
            (source / f"{MODULE}.py").write_text(application)
            for name, text in (files or {}).items():
                (source / name).write_text(text)
            (source / "requirements.txt").write_text(requirements or self.requirements)
            made = application_release(source, MODULE, "app").archive
            path = f"{_WAITING}/release-{made.digest}.tar.gz"
            # Written from the folder, not from memory.
            self.must(f"mkdir -p {_WAITING} && cat > {path}", made.content)
        return path

    def release(
        self,
        application: str,
        requirements: str | None = None,
        environment: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Ran:
        """Release an application; `environment` are assignments of the shell's."""
        archive = self.archive(application, requirements, files)
        return self.run(f"{environment} {TOOL} release {archive}", NO_VARIABLES)

    def start_struck(
        self, archive: str, number: int, *, at: str = "", passed: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a release that gets a signal as it begins a step: `at`, or the first not among `passed`.

        It prints the step's name before.
        """
        arguments = json.dumps([number, at, passed, "release", archive])
        script = (
            f"cat > /root/struck.py && exec /opt/flask/python/bin/python3 -I /root/struck.py '{arguments}'"
        )
        # Its standard input is empty by then: the variables of the live release stay, which has none.
        return self.start(script, _STRUCK)

    @contextlib.contextmanager
    def settings(self, *, check: Mapping[str, object] | None = None, **changes: object) -> Iterator[None]:
        """Change settings of `flask-release`, as its host.json has them, for a while."""
        kept = self.must(f"cat {_SETTINGS}")
        settings = json.loads(kept)
        settings["check"] |= check or {}
        self.must(f"cat > {_SETTINGS}", json.dumps(settings | changes))
        try:
            yield
        finally:
            self.must(f"cat > {_SETTINGS}", kept + "\n")

    @contextlib.contextmanager
    def memory(self, mebibytes: int) -> Iterator[None]:
        """Give the server as a whole so much memory, for a while."""
        _podman("update", "--memory", f"{mebibytes}m", self.container)
        try:
            yield
        finally:
            _podman("update", "--memory", "64g", self.container)

    @contextlib.contextmanager
    def small_disk(self, folder: str, options: str) -> Iterator[None]:
        """Have a file system of its own in the place of a folder, with what is in there, for a while.

        `options` are of the tmpfs: "size=32m", "nr_inodes=100".
        """
        self.must(
            f"mkdir -p /mnt/small && mount -t tmpfs -o mode=0755,{options} small /mnt/small"
            f" && cp -a {folder}/. /mnt/small && mount --bind /mnt/small {folder} && umount /mnt/small"
        )
        try:
            yield
        finally:
            self.must(f"umount {folder}")

    def cut_the_power(self) -> None:
        """Switch the server off and on again."""
        _podman("stop", "--time", "0", self.container)
        self.hang_up()
        containers.start(self.container)

    def reboot(self) -> None:
        """Have the server reboot in its own, orderly way; return when it is down, or up again."""
        before = self._started()
        self.run("systemctl reboot")
        self.hang_up()
        deadline = time.monotonic() + LIMIT
        while self._started() == before:
            assert time.monotonic() < deadline
            time.sleep(visitor.PAUSE)

    def _started(self) -> str:
        return _podman("inspect", "-f", "{{.State.StartedAt}}", self.container)


def finish(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for what `Server.start` started."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def visiting(address: str) -> contextlib.AbstractContextManager[list[str]]:
    """Ask the site for `/` again and again; give the answers as they come, as `ask` tells them."""
    return visitor.answers(lambda: ask(address))


def ask(address: str) -> str:
    """Ask the site for `/`: the text of a good answer, else "status …" or the error."""
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    return text if response.status == 200 else f"status {response.status}"


def until_answered(address: str, text: str) -> None:
    """Ask until the site answers so."""
    deadline = time.monotonic() + LIMIT
    while (answer := ask(address)) != text:
        assert time.monotonic() < deadline, answer
        time.sleep(visitor.PAUSE)


def _podman(*arguments: str) -> str:
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def connected(deployment: Deployment) -> Iterator[Server]:
    """Use the server of a deployment."""
    connection = server.connection(open_stack(STACK, deployment.folder))
    with ssh.arguments(connection) as command, tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        found = Server(deployment, command, Path(folder))
        try:
            yield found
        finally:
            found.hang_up()
