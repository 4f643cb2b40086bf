"""Metrics for Prometheus: nginx, both slots and the live release.

nginx's have the names of nginx-prometheus-exporter, uWSGI's those of uwsgi_exporter with the slot as a label, so that
dashboards made for these show them. Two programs more on every host would be what those need; this is one page.
Text format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import socketserver
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from flask_release import counters, releases, settings, slots, trim
from flask_release.counters import Nginx, Slot
from flask_release.host import SLOTS, Host
from flask_release.problem import Problem
from flask_release.uwsgi_stats import Worker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_SECONDS = 5.0

# (name, kind, meaning, value)
_NGINX: Tuple[Tuple[str, str, str, Callable[[Nginx], float]], ...] = (
    ("nginx_connections_active", "gauge", "Connections of clients.", lambda of: of.active),
    ("nginx_connections_reading", "gauge", "Connections whose request is being read.", lambda of: of.reading),
    ("nginx_connections_writing", "gauge", "Connections being answered.", lambda of: of.writing),
    ("nginx_connections_waiting", "gauge", "Connections without a request.", lambda of: of.waiting),
    ("nginx_connections_accepted", "counter", "Connections accepted.", lambda of: of.accepted),
    ("nginx_connections_handled", "counter", "Connections not dropped.", lambda of: of.handled),
    ("nginx_http_requests_total", "counter", "Requests.", lambda of: of.requests),
)
_SLOT: Tuple[Tuple[str, str, str, Callable[[Slot], float]], ...] = (
    ("uwsgi_listen_queue_length", "gauge", "Connections that wait for a worker.", lambda of: of.queue),
    ("uwsgi_listen_queue_errors", "gauge", "Times the queue was full.", lambda of: of.queue_errors),
    ("uwsgi_workers", "gauge", "Workers.", lambda of: len(of.workers)),
    ("uwsgi_master_rss_bytes", "gauge", "Resident memory of the master.", lambda of: of.master_rss),
)
_WORKER: Tuple[Tuple[str, str, str, Callable[[Worker], float]], ...] = (
    ("busy", "gauge", "Whether the worker has a request.", lambda of: of.status == "busy"),
    ("threads", "gauge", "Threads of the worker.", lambda of: of.threads),
    ("threads_busy", "gauge", "Threads that have a request.", lambda of: of.busy),
    ("requests_total", "counter", "Requests answered.", lambda of: of.requests),
    ("exceptions_total", "counter", "Requests that ended in an exception.", lambda of: of.exceptions),
    ("harakiri_count_total", "counter", "Times it was ended for a slow request.", lambda of: of.harakiri),
    ("respawn_count_total", "counter", "Times it was started.", lambda of: of.respawns),
    ("running_time_seconds_total", "counter", "Time spent on requests.", lambda of: of.running),
    ("average_response_time_seconds", "gauge", "Mean time of a request.", lambda of: of.average),
    ("transmitted_bytes_total", "counter", "Bytes of answers.", lambda of: of.sent),
)


class _Sample(NamedTuple):
    labels: Dict[str, str]
    value: float


def text(host: Host) -> str:
    """All metrics, as they are now. What does not answer is absent, and its `up` is 0.

    Raises:
        Problem: host.json cannot be read.
    """
    lines: List[str] = []
    for name, kind, meaning, samples in _families(host):
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        lines += [name + _labels(sample.labels) + " " + _number(sample.value) for sample in samples]
    return "\n".join(lines) + "\n"


def serve(host: Host, address: Tuple[str, int]) -> None:
    """Answer GET /metrics until the process is ended, and look after the memory of the slots' processes meanwhile.

    Raises:
        Problem: the address is taken.
    """
    try:
        server = _server(host, address)
    except OSError as error:
        # systemd tries again in a few seconds, and the memory is looked after meanwhile.
        trim.trim(host)
        raise Problem(
            "{}:{} cannot be listened on: {}.".format(*address, error) + " See `flask-release doctor`."
        )
    server.serve_forever()


def _families(host: Host) -> Iterator[Tuple[str, str, str, List[_Sample]]]:
    current = settings.load(host)
    yield from _nginx(current.verify_address)
    found = {name: counters.slot(host, current, name) for name in SLOTS}
    yield (
        "uwsgi_up",
        "gauge",
        "Whether the slot's uWSGI answers.",
        [_Sample({"slot": name}, of is not None) for name, of in found.items()],
    )
    running = {name: of for name, of in found.items() if of is not None}
    for name, kind, meaning, of_slot in _SLOT:
        samples = [_Sample({"slot": slot}, of_slot(of)) for slot, of in running.items()]
        if samples:
            yield name, kind, meaning, samples
    workers = [
        ({"slot": slot, "worker_id": str(worker.id)}, worker)
        for slot, of in running.items()
        for worker in of.workers
    ]
    for name, kind, meaning, of_worker in _WORKER:
        if workers:
            yield (
                "uwsgi_worker_" + name,
                kind,
                meaning,
                [_Sample(labels, of_worker(worker)) for labels, worker in workers],
            )
    resident = [
        _Sample({"slot": slot, "worker_id": str(worker.id)}, rss)
        for slot, of in running.items()
        for worker, rss in zip(of.workers, of.rss)
    ]
    if resident:
        yield (
            "uwsgi_worker_rss_bytes",
            "gauge",
            "Resident memory of the worker, what it shares included.",
            resident,
        )
    yield from _release(host)


def _nginx(address: str) -> Iterator[Tuple[str, str, str, List[_Sample]]]:
    try:
        of = counters.nginx(address)
    except OSError:
        of = None
    yield "nginx_up", "gauge", "Whether nginx answers.", [_Sample({}, of is not None)]
    if of is not None:
        for name, kind, meaning, value in _NGINX:
            yield name, kind, meaning, [_Sample({}, value(of))]


def _release(host: Host) -> Iterator[Tuple[str, str, str, List[_Sample]]]:
    live = slots.live(host)
    if live is None:
        return
    labels = {"release": live.release, "slot": live.slot}
    entry = releases.entry(host, live.release)
    if entry is not None:
        labels["commit"] = entry.commit
    yield "flask_release_info", "gauge", "The release that serves.", [_Sample(labels, 1)]
    if entry is not None and entry.served:
        yield (
            "flask_release_served_timestamp_seconds",
            "gauge",
            "When it began to serve.",
            [_Sample({}, entry.served)],
        )


def _labels(labels: Dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items())) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _server(host: Host, address: Tuple[str, int]) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS
        server_version, sys_version = "flask-release", ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "only /metrics is here")
                return
            try:
                body = text(host).encode()
            except (Problem, OSError) as error:
                self.send_error(500, "the metrics cannot be read", str(error))
                return
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- a line each scrape is no news
            pass

    # (ThreadingHTTPServer came with Python 3.7.)
    class Server(socketserver.ThreadingMixIn, HTTPServer):
        daemon_threads = True
        looked = time.monotonic()

        def service_actions(self) -> None:
            # Called twice a second. This process is there at any time; a timer's would start for each look.
            if time.monotonic() - self.looked >= trim.INTERVAL:
                self.looked = time.monotonic()
                trim.trim(host)

    return Server(address, Handler)
