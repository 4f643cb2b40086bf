"""What a slot's uWSGI tells on its stats socket, as checked values.

The application can answer in uWSGI's place: nothing here is more than its own word about itself.
https://uwsgi-docs.readthedocs.io/en/latest/StatsServer.html
"""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from flask_release import untrusted, uwsgi

SECONDS = 2.0
# More than sizing gives, or a key allows.
_WORKERS = 1024
_THREADS = 1024


class Worker(NamedTuple):
    """A worker of uWSGI. Counts since it was first started; times in seconds.

    Attributes:
        id: its number, from 1.
        pid: its process, by its own word; 0 when it has none.
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
        started: when its process was started, in seconds of the epoch.
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
    started: int


class Stats(NamedTuple):
    """The uWSGI of a slot.

    Attributes:
        queue: connections that wait for a worker, as far as uWSGI can tell.
        queue_errors: how often the queue was found full.
        workers: its workers, those that were given up for lack of work too.
    """

    queue: int
    queue_errors: int
    workers: List[Worker]

    @property
    def busy(self) -> int:
        """Requests that are running or wait."""
        return self.queue + sum(worker.busy for worker in self.workers)


def read(path: Path, timeout: float = SECONDS) -> Optional[Stats]:
    """The statistics, or None when it gives none in time, or none that make sense.

    Raises:
        ConnectionRefusedError, FileNotFoundError: there is no instance.
    """
    try:
        return parse(uwsgi.receive(path, timeout, untrusted.JSON_LIMIT))
    except (ConnectionRefusedError, FileNotFoundError):
        raise
    except (OSError, ValueError):
        return None


def parse(text: bytes) -> Stats:
    """The statistics in an answer.

    Raises:
        ValueError: it is none of uWSGI's.
    """
    found = untrusted.json_object(text)
    sockets = untrusted.objects(found.get("sockets"), _WORKERS)
    queues = sum(untrusted.number(socket.get("queue")) for socket in sockets)
    return Stats(
        queue=max(untrusted.number(found.get("listen_queue")), queues),
        queue_errors=untrusted.number(found.get("listen_queue_errors")),
        workers=[_worker(entry) for entry in untrusted.objects(found.get("workers"), _WORKERS)],
    )


def _worker(entry: Dict[str, Any]) -> Worker:
    cores = untrusted.objects(entry.get("cores"), _THREADS)

    def number(name: str) -> int:
        return untrusted.number(entry.get(name))

    return Worker(
        id=number("id"),
        pid=number("pid"),
        status=untrusted.word(entry.get("status")),
        threads=len(cores),
        busy=sum(bool(core.get("in_request")) for core in cores),
        requests=number("requests"),
        exceptions=number("exceptions"),
        harakiri=number("harakiri_count"),
        respawns=number("respawn_count"),
        running=number("running_time") / 1e6,
        average=number("avg_rt") / 1e6,
        sent=number("tx"),
        started=number("last_spawn"),
    )
