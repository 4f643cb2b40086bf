"""Releases and rollbacks under load, next to a restart and to uWSGI's chain reload under the same load.

One server on the sandbox, with an application that takes START seconds of computing to start and HANDLER for an
answer (`slow_app/`), and more clients than it has slots for requests: its queue is never empty. Server, clients and
`./ops` share this machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ssh
from automation import server
from automation.stacks import open_stack
from bench import deployed, load
from bench.report import Figure
from render.release import application_release
from tests.e2e.deployment import STACK, Deployment

ADDRESSES = "127.0.44.0/24"
APP = Path(__file__).with_name("slow_app")
# The usual set-up by hand has 4 processes of 2 threads: eight requests at once, and as many again that wait.
PROCESSES, THREADS, CLIENTS = 4, 2, 16
SLOTS = PROCESSES * THREADS
# Seconds, as in slow_app.
HANDLER = 0.02
ROUNDS = 5
# A round is so many releases by flask-release itself, one by `./ops up`, and a rollback.
DIRECT = 3
RESTARTS = 3
CHAINS = 2
# Seconds. After ENOUGH no further round is begun: the report says how many there were.
BEFORE, BETWEEN = 10.0, 1.0
ENOUGH, LIMIT = 180.0, 300.0
REMOTE_LIMIT = 60.0
# Where archives wait on the server: the tool prunes its own folder for them.
WAITING = "/root/bench"

# Waits until each worker has loaded the application (a chain reload that begins before does nothing); with a second
# argument, has them all reloaded, and waits until each is another process that has.
_WORKERS = """
import json, socket, sys, time
slot = sys.argv[1]
def workers():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/run/flask/{slot}/stats.sock")
        return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))["workers"]
def wait(before):
    while any(worker["pid"] in before or not worker["apps"] for worker in workers()):
        time.sleep(0.2)
wait(())
if len(sys.argv) > 2:
    before = {worker["pid"] for worker in workers()}
    with open(f"/run/flask/{slot}/fifo", "w") as fifo:
        fifo.write("c")
    wait(before)
"""


@dataclass(frozen=True)
class Switch:
    """One release or rollback. Times in seconds of the epoch; `serving` is when a client first saw `release`."""

    release: str
    command: float
    done: float
    serving: float = 0.0


@dataclass
class Switches:
    """What was done under one load. `quiet` are times without anything."""

    direct: list[Switch] = field(default_factory=list)
    by_ops: list[Switch] = field(default_factory=list)
    back: list[Switch] = field(default_factory=list)
    quiet: list[tuple[float, float]] = field(default_factory=list)


class Site:
    """The deployed application."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._generation = 0
        deployment.up()
        self.address = deployment.output("address")
        self._connection = server.connection(open_stack(STACK, deployment.folder))

    def on_server(self, script: str, stdin: str = "") -> str:
        """Run a script on the server and return what it printed."""
        return ssh.run(self._connection, script, stdin=stdin.encode(), seconds=REMOTE_LIMIT).stdout

    def archives(self, count: int) -> list[str]:
        """Put archives of so many versions on the server; return where they are."""
        paths = []
        for _ in range(count):
            self._edit()
            made = application_release(self._deployment.folder / APP.name, "app", "app").archive
            source = self._deployment.folder / "release.tar.gz"
            source.write_bytes(made.content)
            paths.append(f"{WAITING}/{made.digest}.tar.gz")
            ssh.copy(self._connection, source, paths[-1], seconds=REMOTE_LIMIT)
        return paths

    def release(self, archive: str) -> Switch:
        """Release by the tool on the server."""
        return self._tool(f"release {archive}", '{"env": {}}')

    def rollback(self) -> Switch:
        """Go back to the release before."""
        return self._tool("rollback")

    def up(self) -> Switch:
        """Release an edited application by `./ops up`."""
        self._edit()
        command = time.time()
        self._deployment.up()
        return Switch(self._deployment.output("release"), command, time.time())

    def restart(self) -> None:
        """Restart the live slot, until systemd says that it serves."""
        self.on_server(f"systemctl restart flask-app@{self._live()}")

    def load_in_workers(self) -> None:
        """Have each worker load the application, as a chain reload takes it."""
        self.on_server("echo 'lazy-apps = true' >> /etc/flask/uwsgi/slot.ini")
        self.restart()
        self._workers()

    def chain_reload(self) -> None:
        """Reload the live slot's workers one after the other."""
        self._workers("reload")

    def _workers(self, *arguments: str) -> None:
        self.on_server(" ".join(("/opt/flask/python/bin/python3 -", self._live(), *arguments)), _WORKERS)

    def _live(self) -> str:
        return self.on_server("basename $(readlink /srv/flask/live)")

    def _edit(self) -> None:
        old, self._generation = self._generation, self._generation + 1
        self._deployment.edit(
            f"{APP.name}/app.py", f"GENERATION = {old}\n", f"GENERATION = {self._generation}\n"
        )

    def _tool(self, arguments: str, stdin: str = "") -> Switch:
        # The server's clock is this machine's.
        printed = self.on_server(f"date +%s.%N; exec /opt/flask/bin/flask-release {arguments}", stdin)
        done = time.time()
        first, *_, last = printed.splitlines()
        return Switch(json.loads(last)["release"], float(first), done)


def measure() -> list[Figure]:
    """Return the figures of issue 4, and what limits them."""
    with _site() as site:
        archives = site.archives(ROUNDS * DIRECT)
        switches = Switches()
        busy, enough = _Busy(), time.monotonic() + ENOUGH
        with load.running(site.address, CLIENTS, LIMIT) as released:
            _quiet(switches, BEFORE)
            machine = busy.share()
            for number in range(ROUNDS):
                if time.monotonic() > enough:
                    break
                for archive in archives[number * DIRECT : (number + 1) * DIRECT]:
                    _quiet(switches, BETWEEN)
                    switches.direct.append(site.release(archive))
                _quiet(switches, BETWEEN)
                switches.by_ops.append(site.up())
                _quiet(switches, BETWEEN)
                switches.back.append(site.rollback())
        restarted = _repeated(f"{RESTARTS} x `systemctl restart`", site, site.restart, RESTARTS)
        site.load_in_workers()
        chained = _repeated(
            f"{CHAINS} x chain reload (code only, no check before it serves)", site, site.chain_reload, CHAINS
        )
    quiet = load.summary(load.within(released.samples, switches.quiet))
    return [
        *_of_releases(released, switches, quiet),
        *restarted,
        *chained,
        Figure(
            f"answers a second; {SLOTS} at once of {HANDLER * 1000:.0f} ms are at most {SLOTS / HANDLER:.0f}",
            quiet.requests / sum(end - begin for begin, end in switches.quiet),
            "without a release",
        ),
        Figure("processors in use, all programs of this machine", 100 * machine, "% without a release"),
        Figure("the clients' share of one processor", 100 * released.cpu_seconds / released.seconds, "%"),
    ]


def _repeated(name: str, site: Site, action: Callable[[], None], times: int) -> list[Figure]:
    windows = []
    with load.running(site.address, CLIENTS, LIMIT) as seen:
        for _ in range(times):
            time.sleep(BETWEEN)
            begin = time.time()
            action()
            windows.append((begin, time.time()))
        time.sleep(BETWEEN)
    summary = load.summary(seen.samples)
    return [
        Figure(f"{name}: lost", summary.lost, f"of {summary.requests:,} requests{_kinds(summary)}"),
        _times(name, load.summary(load.within(seen.samples, windows))),
        Figure(f"{name}: each", statistics.median(end - begin for begin, end in windows), "s"),
    ]


def _of_releases(released: load.Load, switches: Switches, without: load.Summary) -> list[Figure]:
    releases = len(switches.direct) + len(switches.by_ops)
    all_of_it = load.summary(released.samples)
    direct, by_ops, back = (
        load.summary(load.within(released.samples, [(switch.command, switch.done) for switch in kind]))
        for kind in (switches.direct, switches.by_ops, switches.back)
    )
    return [
        Figure(
            f"{releases} releases and {len(switches.back)} rollbacks: lost",
            all_of_it.lost,
            f"of {all_of_it.requests:,} requests{_kinds(all_of_it)}",
            "0",
        ),
        Figure("… stale keep-alive", all_of_it.stale, "requests", "0"),
        _times("no release under way", without),
        _times("release by `flask-release`", direct),
        _times("release by `./ops up`, which runs on the same machine", by_ops),
        _times("rollback", back),
        Figure("p99 during a release, to p99 without", direct.p99 / without.p99, "times", "≤ 1.5"),
        Figure("p99 during a rollback, to p99 without", back.p99 / without.p99, "times", "≤ 1.5"),
        _seconds("`flask-release release`, command to serving", released, switches.direct, "≤ 3"),
        _seconds("`flask-release rollback`, command to serving", released, switches.back, "≤ 1"),
        _seconds("`./ops up`, command to serving", released, switches.by_ops),
        _whole("`flask-release release`, whole (the slot that was left is at rest)", switches.direct),
        _whole("`flask-release rollback`, whole", switches.back),
        _whole("`./ops up`, whole", switches.by_ops),
    ]


def _times(name: str, summary: load.Summary) -> Figure:
    others = f"p50 {summary.p50:.0f} ms, longest {summary.longest:.0f} ms"
    return Figure(f"{name}: p99", summary.p99, f"ms ({others})")


def _kinds(summary: load.Summary) -> str:
    kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.losses.most_common())
    return f" ({kinds})" if kinds else ""


def _seconds(name: str, seen: load.Load, switches: Sequence[Switch], target: str = "") -> Figure:
    return _median(name, [_serving(seen.samples, switch) - switch.command for switch in switches], target)


def _serving(samples: Sequence[load.Sample], switch: Switch) -> float:
    """When a client first had an answer of the release, after the command."""
    return min(
        (
            sample.ended
            for sample in samples
            if sample.release == switch.release and sample.ended > switch.command
        ),
        default=float("nan"),
    )


def _whole(name: str, switches: Sequence[Switch]) -> Figure:
    return _median(name, [switch.done - switch.command for switch in switches])


def _median(name: str, seconds: Sequence[float], target: str = "") -> Figure:
    return Figure(name, statistics.median(seconds), f"s (longest {max(seconds):.2f})", target)


def _quiet(switches: Switches, seconds: float) -> None:
    begin = time.time()
    time.sleep(seconds)
    switches.quiet.append((begin, time.time()))


class _Busy:
    """The share of the machine's processors that is in use, from now on."""

    def __init__(self) -> None:
        self._before = self._times()

    def share(self) -> float:
        idle, whole = (now - before for now, before in zip(self._times(), self._before, strict=True))
        return 1 - idle / whole

    def _times(self) -> tuple[int, int]:
        fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return fields[3] + fields[4], sum(fields)


@contextlib.contextmanager
def _site() -> Iterator[Site]:
    with deployed.deployment(ADDRESSES) as deployment:
        shutil.copytree(APP, deployment.folder / APP.name, ignore=shutil.ignore_patterns("__pycache__"))
        # The sample application's lock: it needs no more than Flask, either.
        shutil.copy(deployment.folder / "app/requirements.txt", deployment.folder / APP.name)
        deployment.configure(appPath=APP.name, processes=PROCESSES, threads=THREADS, healthPath="/healthz")
        yield Site(deployment)
