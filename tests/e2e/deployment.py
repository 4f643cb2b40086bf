"""A checkout of its own with a sandbox of its own, used as a person would: files are edited, `./ops` is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

PROJECT = Path(__file__).resolve().parents[2]
# Beside those of a deployed local stack (127.0.42.0/24).
ADDRESSES = "127.0.43.0/24"
STACK = "local"
# What stops a hanging run; none is expected to come near.
SECONDS = 300


@dataclass(frozen=True)
class Run:
    """How an `./ops` command ended; `text` is all it printed."""

    status: int
    text: str


class Deployment:
    """The stack `stack` of one checkout in `folder`; `environment` is added to this process' own."""

    def __init__(
        self, folder: Path, stack: str = STACK, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.stack = stack
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PULUMI_", "FLASK_", "ALICLOUD_", "ALIBABA_CLOUD_"))
        } | {
            "FLASK_SANDBOX_ADDRESSES": os.environ.get("FLASK_SANDBOX_ADDRESSES", ADDRESSES),
            # The folder is gone one day, and what was not taken down is this checkout's to clear away.
            "FLASK_SANDBOX_CHECKOUT": str(PROJECT),
            **(environment or {}),
        }

    def ops(self, *arguments: str, stdin: str = "") -> Run:
        """Run `./ops` to its end."""
        return self.run("./ops", *arguments, stdin=stdin)

    def run(self, *command: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Run:
        """Run a command in the checkout to its end; `environment` is added to the deployment's."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | dict(environment or {}),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def up(self) -> Run:
        """Run `./ops up`, which has to succeed."""
        run = self.ops("up", self.stack)
        assert run.status == 0, run.text
        return run

    def up_and_kill(self, seconds: float) -> None:
        """Start `./ops up`, and kill it and all it started after `seconds`."""
        process = subprocess.Popen(
            ["./ops", "up", self.stack],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def output(self, name: str) -> str:
        """Return one output of the stack."""
        run = self.ops("output", self.stack, name)
        assert run.status == 0, run.text
        return run.text.strip()

    def on_server(self, command: str) -> str:
        """Run a command on the server, which has to succeed; return what it printed."""
        run = self.ops("ssh", self.stack, "--", command)
        assert run.status == 0, run.text
        return run.text.strip()

    def get(self, path: str) -> httpx.Response:
        """Ask the site for a page."""
        return httpx.get(self.output("url") + path, timeout=10, follow_redirects=True)

    def configure(self, **values: object) -> None:
        """Set keys of the stack; None takes one out."""
        file = self.folder / f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load(file.read_text())
        for key, value in values.items():
            full = f"flask-on-ecs:{key}"
            document["config"].pop(full, None)
            if value is not None:
                document["config"][full] = value
        file.write_text(yaml.safe_dump(document))

    @contextmanager
    def changed(self) -> Iterator[None]:
        """Take back what is changed in the stack's file and in the application meanwhile."""
        stack, application = self.folder / f"Pulumi.{self.stack}.yaml", self.folder / "app"
        text, copy = stack.read_text(), self.folder / ".app-as-it-was"
        shutil.copytree(application, copy)
        try:
            yield
        finally:
            stack.write_text(text)
            shutil.rmtree(application)
            copy.rename(application)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file of the checkout."""
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def destroy(self) -> Run:
        """Take the stack down, whatever its state."""
        return self.ops("destroy", self.stack, "--yes")

    def leftovers(self) -> list[str]:
        """Name what of this deployment is still on the machine: containers, networks, packet filters, files."""
        mark = self._mark()
        commands = (
            ["podman", "ps", "--all", "--format", "{{.Names}}"],
            ["podman", "network", "ls", "--format", "{{.Name}}"],
            ["nft", "list", "tables"],
        )
        lines = [
            line
            for command in commands
            for line in subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.splitlines()
        ]
        # The passphrase opens the secrets of the stack's configuration, which outlives a deployment.
        files = [str(path) for path in self.folder.glob(".sandbox/*") if path.name != "passphrase"]
        return [line for line in lines if mark in line] + files

    def _mark(self) -> str:
        # As the sandbox marks what is its own: by the folder of the stack's state.
        return hashlib.sha256(str(self.folder / ".sandbox" / self.stack).encode()).hexdigest()[:8]


def checkout(folder: Path) -> Deployment:
    """Make a checkout of the project's files as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file() and not name.startswith(("tests/", "docs/", "bench/")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    return Deployment(folder)
