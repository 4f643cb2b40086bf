"""What nginx, uWSGI and the kernel count: requests, busy workers, waiting connections, memory."""

import http.client
import re
import time
from pathlib import Path
from typing import List, NamedTuple, Optional

from flask_release import members, uwsgi_stats
from flask_release.host import Host, unit
from flask_release.problem import Problem
from flask_release.process import run
from flask_release.settings import Settings
from flask_release.uwsgi_stats import Worker

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


class Slot(NamedTuple):
    """The uWSGI of a slot.

    Attributes:
        queue: connections that wait for a worker.
        queue_errors: how often the queue was found full.
        workers: its workers, those that were given up for lack of work too.
        rss: resident memory of the workers in bytes, in the order of `workers`, what they share included.
        master_rss: of the master.
    """

    queue: int
    queue_errors: int
    workers: List[Worker]
    rss: List[int]
    master_rss: int

    @property
    def memory(self) -> int:
        """Resident memory of master and workers in bytes; what they share is counted with each."""
        return self.master_rss + sum(self.rss)


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
        stats = uwsgi_stats.read(host.stats(name))
    except OSError:
        return None
    if stats is None:
        return None
    queue = stats.queue
    if settings.tcp_address(name) is None:
        # uWSGI cannot tell for a unix socket: it says 0.
        queue = max(queue, waiting(str(host.socket(name))))
    processes = members.of(host, unit(name))
    return Slot(
        queue=queue,
        queue_errors=stats.queue_errors,
        workers=stats.workers,
        rss=[resident(worker.pid) if worker.pid in processes.all else 0 for worker in stats.workers],
        master_rss=resident(processes.main),
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
