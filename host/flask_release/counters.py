"""What nginx, uWSGI and the kernel count: requests, busy workers, waiting connections, memory."""

import http.client
import re
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from flask_release import uwsgi
from flask_release.host import Host
from flask_release.problem import Problem
from flask_release.process import run
from flask_release.settings import Settings

NGINX_STATUS = "/nginx_status"
_PROC = Path("/proc")
_STATUS = re.compile(
    r"Active connections: (\d+)\s+server accepts handled requests\s+(\d+) (\d+) (\d+)\s+"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+)"
)


class Nginx(NamedTuple):
    """nginx's own counters (ngx_http_stub_status_module); accepted, handled and requests since it started."""

    active: int
    accepted: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int


class Worker(NamedTuple):
    """A worker of uWSGI. Counts since it was first started; times in seconds, memory in bytes.

    Attributes:
        id: its number, from 1.
        pid: its process.
        status: uWSGI's word: idle, busy, cheap, pause or sig.
        threads: how many it has.
        busy: how many of them have a request.
        requests: answered.
        exceptions: requests that ended in one.
        harakiri: how often it was ended for a request that took too long.
        respawns: how often it was started.
        running: spent on requests.
        average: mean time of a request.
        sent: bytes of answers.
        rss: resident memory, what it shares with the others included.
    """

    id: int
    pid: int
    status: str
    threads: int
    busy: int
    requests: int
    exceptions: int
    harakiri: int
    respawns: int
    running: float
    average: float
    sent: int
    rss: int


class Slot(NamedTuple):
    """The uWSGI of a slot.

    Attributes:
        pid: its master.
        rss: resident memory of the master, in bytes.
        queue: connections that wait for a worker.
        queue_errors: how often the queue was found full.
        workers: its workers, those that were given up for lack of work too.
    """

    pid: int
    rss: int
    queue: int
    queue_errors: int
    workers: List[Worker]

    @property
    def memory(self) -> int:
        """Resident memory of master and workers in bytes; what they share is counted with each."""
        return self.rss + sum(worker.rss for worker in self.workers)


def nginx(address: str, timeout: float = 2.0) -> Nginx:
    """Ask nginx's listener for checks from the host itself.

    Raises:
        OSError: it does not answer, or not with its counters.
    """
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", NGINX_STATUS, headers={"Connection": "close"})
        response = connection.getresponse()
        text = response.read(4096).decode("latin-1")
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error}")
    finally:
        connection.close()
    found = _STATUS.search(text)
    if response.status != 200 or not found:
        raise OSError(f"http://{address}{NGINX_STATUS} answers {response.status} without nginx's counters")
    return Nginx(*map(int, found.groups()))


def requests_a_second(address: str, seconds: float) -> float:
    """Requests that nginx takes a second, over all its sites, watched for some seconds.

    Raises:
        OSError: as `nginx`.
    """
    first, began = nginx(address), time.monotonic()
    time.sleep(seconds)
    second, ended = nginx(address), time.monotonic()
    # The second question is one itself.
    return max(0, second.requests - first.requests - 1) / (ended - began)


def slot(host: Host, settings: Settings, name: str) -> Optional[Slot]:
    """What a slot's uWSGI says of itself, or None when it does not run or does not answer."""
    try:
        stats: Optional[Dict[str, Any]] = uwsgi.stats(host.stats(name))
    except OSError:
        return None
    if stats is None:
        return None
    sockets = stats.get("sockets") or []
    queue = max([int(entry.get("queue") or 0) for entry in sockets] + [int(stats.get("listen_queue") or 0)])
    if settings.tcp_address(name) is None:
        # uWSGI cannot tell for a unix socket: it says 0.
        queue = max(queue, waiting(str(host.socket(name))))
    pid = int(stats.get("pid") or 0)
    return Slot(
        pid=pid,
        rss=resident(pid),
        queue=queue,
        queue_errors=int(stats.get("listen_queue_errors") or 0),
        workers=[_worker(entry) for entry in stats.get("workers") or []],
    )


def waiting(path: str) -> int:
    """Connections that wait to be accepted on a unix socket; 0 when nobody can tell."""
    try:
        listed = run(["ss", "-x", "-l", "-n"], timeout=10).output
    except Problem:
        return 0
    for line in listed.splitlines():
        words = line.split()
        # Netid, state, waiting, most that may wait, path.
        if len(words) > 4 and words[1] == "LISTEN" and words[4] == path and words[2].isdigit():
            return int(words[2])
    return 0


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 when there is none."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", (_PROC / str(pid) / "status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0


def _worker(entry: Dict[str, Any]) -> Worker:
    cores = entry.get("cores") or []
    pid = int(entry.get("pid") or 0)
    return Worker(
        id=int(entry.get("id") or 0),
        pid=pid,
        status=str(entry.get("status") or ""),
        threads=len(cores),
        busy=sum(bool(core.get("in_request")) for core in cores),
        requests=int(entry.get("requests") or 0),
        exceptions=int(entry.get("exceptions") or 0),
        harakiri=int(entry.get("harakiri_count") or 0),
        respawns=int(entry.get("respawn_count") or 0),
        running=int(entry.get("running_time") or 0) / 1e6,
        average=int(entry.get("avg_rt") or 0) / 1e6,
        sent=int(entry.get("tx") or 0),
        rss=resident(pid),
    )
