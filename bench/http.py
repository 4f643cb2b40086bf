"""How fast a deployed host answers, beside three usual ways to serve the same Flask application.

- the blog post: its own nginx.conf and uwsgi.ini (four processes, two threads, TCP, no master)
- TechEmpower: the Flask entry of its FrameworkBenchmarks
- gunicorn, sync and gthread: as Flask's documentation puts it behind nginx
- ours: what render/host_files.py makes of the default settings; and, on the routes that compute, with `load: cpu`,
  as the guide has it for such an application

None of the others compresses; our gzip.conf is added to each, so that all send the same bytes.

All run at the same time, as processes of this machine on loopback; wrk asks one of them at a time. A round asks each
of them on each route, one after the other, so that a ratio is of two numbers taken within seconds. Ratios are medians
over the rounds. gunicorn is no dependency of the project: each run installs it, with pinned versions, into an
environment of its own in a temporary folder.

`python -m bench.http` is a quick try, a minute long, that writes no report.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import settings
from bench import report
from bench.http_load import Load, load
from bench.http_servers import FILES, Server, blog, gunicorn, gunicorn_program, ours, techempower
from bench.report import Figure
from render.host_files import HostSettings, host_files
from settings.values import PROJECT_FILE
from tests.unit.recorder import run

ROUNDS = 7
# Of each run of wrk. With ROUNDS: 5 servers, 5 routes and 2 numbers of connections take seven minutes.
SECONDS = 1
CONNECTIONS = (64, 256)
BLOG, OURS, COMPUTING = "the blog post", "ours", "ours with load: cpu"
PICTURE_SIZE = 20 * 1024


@dataclass(frozen=True)
class Route:
    """What is asked for.

    Attributes:
        to_reach: how much faster than the blog post's files it is to be.
        computes: the application only computes, and waits for nothing.
    """

    name: str
    path: str
    to_reach: float | None = None
    headers: tuple[str, ...] = ()
    computes: bool = False


ROUTES = (
    Route("JSON", "/json", 1.4, computes=True),
    Route("template, 5 KB", "/page", 1.1, computes=True),
    Route("waiting 20 ms", "/wait", 3.9),
    Route("static file, 20 KB", "/static/picture.jpg", 13),
    Route("text, 30 KB, gzip", "/text", None, ("Accept-Encoding: gzip",)),
)
# By server, route and connections: a load a round.
Results = dict[tuple[str, Route, int], list[Load]]
# In a folder of its own.
_Start = Callable[[Path], contextlib.AbstractContextManager[Server]]


def measure(rounds: int = ROUNDS, seconds: int = SECONDS) -> list[Figure]:
    """Return ratios, errors and memory."""
    with contextlib.ExitStack() as stack:
        # Who ends this with SIGTERM, as `timeout` does, leaves no server behind either.
        before_this = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        stack.callback(signal.signal, signal.SIGTERM, before_this)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        servers = stack.enter_context(_servers(folder))
        memory = {name: server.memory() for name, server in servers.items()}
        _check(servers)
        results: Results = {}
        before = time.monotonic(), _others_time(servers)
        for number in range(rounds):
            for connections, route in itertools.product(CONNECTIONS, ROUTES):
                for name, server in servers.items():
                    if name == COMPUTING and not route.computes:
                        continue
                    result = load(server.address(route.path), connections, seconds, route.headers)
                    results.setdefault((name, route, connections), []).append(result)
                    _tell(number, name, route, connections, result)
        after = time.monotonic(), _others_time(servers)
        busy = {name: server.memory() for name, server in servers.items()}
    others = (after[1] - before[1]) / (after[0] - before[0]) / (os.cpu_count() or 1)
    return [
        *_ratios(results),
        *_rates(results),
        *_errors(results),
        *_memory(memory, busy),
        Figure("processor time that went to others meanwhile", 100 * others, "%", "the less, the truer"),
    ]


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[dict[str, Server]]:
    """Start them all, in the order in which a round asks them."""
    code = folder / "application"
    shutil.copytree(FILES / "application", code, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "static").mkdir()
    (code / "static/picture.jpg").write_bytes(random.Random(1).randbytes(PICTURE_SIZE))  # noqa: S311
    own_settings = _default_settings()
    (folder / "gzip.conf").write_bytes(host_files(own_settings)["etc/nginx/flask/gzip.conf"].content)
    program = gunicorn_program(folder / "gunicorn-environment")
    with contextlib.ExitStack() as stack:
        made: dict[str, Server] = {}
        starts: tuple[tuple[str, _Start], ...] = (
            (BLOG, lambda own: blog(own, code)),
            ("TechEmpower", lambda own: techempower(own, code)),
            ("gunicorn sync", lambda own: gunicorn(own, code, program, threads=1)),
            ("gunicorn gthread", lambda own: gunicorn(own, code, program, threads=2 * (os.cpu_count() or 1))),
            (OURS, lambda _: ours(own_settings, code)),
            (COMPUTING, lambda _: ours(replace(own_settings, load="cpu"), code)),
        )
        for name, start in starts:
            own = folder / name.replace(" ", "-")
            own.mkdir()
            made[name] = stack.enter_context(start(own))
        yield made


def _default_settings() -> HostSettings:
    """What a stack has whose owner set nothing but what has no default."""
    loaded: list[HostSettings] = []
    project = PROJECT_FILE.parent
    run(
        lambda: loaded.append(settings.load(project).host()),
        config={"adminCidrs": '["203.0.113.7/32"]'},
    )
    return loaded[0]


def _others_time(servers: dict[str, Server]) -> float:
    """Seconds that the machine's cores have computed, less those of the servers and of wrk."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    everything = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    children = os.times()
    wrk = children.children_user + children.children_system
    return everything - wrk - sum(server.processor_time() for server in servers.values())


def _check(servers: dict[str, Server]) -> None:
    """Stop unless all give the same answers, compressed where that was asked for."""
    for route in ROUTES:
        answers = {}
        for name, server in servers.items():
            headers = dict(header.split(": ", 1) for header in route.headers)
            request = urllib.request.Request(server.address(route.path), headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                encoding = answer.headers.get("Content-Encoding", "")
                answers[name] = ("compressed",) if encoding == "gzip" else (encoding, answer.read())
        expected = ("compressed",) if route.headers else answers[BLOG]
        differing = [name for name, answer in answers.items() if answer != expected]
        if differing:
            raise RuntimeError(f"{route.path}: {', '.join(differing)} answers differently")


def _ratios(results: Results) -> Iterator[Figure]:
    others = sorted({name for name, _, _ in results} - {BLOG, OURS, COMPUTING})
    for connections, route, name in itertools.product(CONNECTIONS, ROUTES, (OURS, COMPUTING)):
        if (name, route, connections) not in results:
            continue
        own = results[name, route, connections]
        place = f"{route.name}, {connections} connections{', load: cpu' if name == COMPUTING else ''}"
        against = _ratio(own, results[BLOG, route, connections])
        to_reach = f"≥ {route.to_reach:g}" if route.to_reach else ""
        yield Figure(f"{place}: against the blog post", against, "times", to_reach)
        # The one that ours is the least ahead of.
        ratios = {other: _ratio(own, results[other, route, connections]) for other in others}
        best = min(ratios, key=ratios.__getitem__)
        yield Figure(f"{place}: against the best other, {best}", ratios[best], "times", "≥ 1.0")


def _ratio(own: list[Load], other: list[Load]) -> float:
    return statistics.median(mine.rate / max(its.rate, 1) for mine, its in zip(own, other, strict=True))


def _rates(results: Results) -> Iterator[Figure]:
    for route in ROUTES:
        loads = results[OURS, route, CONNECTIONS[0]]
        rate = statistics.median(each.rate for each in loads)
        yield Figure(f"{route.name}, {CONNECTIONS[0]} connections: answers of ours", rate, "a second")


def _errors(results: Results) -> Iterator[Figure]:
    for name in dict.fromkeys(name for name, _, _ in results):
        for connections in CONNECTIONS:
            loads = itertools.chain.from_iterable(
                results.get((name, route, connections), []) for route in ROUTES
            )
            errors = sum(each.errors for each in loads)
            to_reach = "0" if name in (OURS, COMPUTING) else ""
            yield Figure(f"errors of {name}, {connections} connections", errors, "", to_reach)


def _memory(idle: dict[str, float], busy: dict[str, float]) -> Iterator[Figure]:
    for name in (BLOG, OURS):
        why = ": one loaded application, which master and workers share" if name == OURS else ""
        yield Figure(
            f"memory of {name} (PSS of nginx and uWSGI), idle after its start{why}", idle[name], "MiB"
        )
        yield Figure(f"memory of {name}, idle after all of this", busy[name], "MiB")


def _tell(number: int, name: str, route: Route, connections: int, result: Load) -> None:
    print(
        f"round {number + 1}, {connections:3} connections, {route.path:20} {name:20} {result.rate:8.0f}/s, "
        f"99 % in {result.p99 * 1000:6.1f} ms, {result.errors} errors",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    print(report.table(measure(rounds=1, seconds=1)))
