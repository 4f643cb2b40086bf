"""Clients that keep their connections, ask without a pause and never ask twice for the same.

`python -m bench.load ADDRESS CLIENTS SECONDS` is the process of the clients: beside the measurement, so that neither
waits for the other. It ends when its standard input does, or after SECONDS, and prints what became of each request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OK = "ok"
# nginx had closed the idle connection when the client used it: a browser asks again, and nothing was done.
STALE = "stale"
BODY = 2048
# Longer than anything that is measured.
TIMEOUT = 30.0
# After a request that failed. Clients that came back at once would measure how fast nginx says 502.
PAUSE = 0.1


@dataclass(frozen=True)
class Sample:
    """One request. `began` in seconds of the epoch, `outcome` OK, STALE or how it was lost."""

    began: float
    seconds: float
    outcome: str
    release: str

    @property
    def ended(self) -> float:
        """Seconds of the epoch."""
        return self.began + self.seconds


@dataclass
class Load:
    """What the clients saw, complete once they ended. `cpu_seconds` is what they themselves took."""

    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Summary:
    """Some requests together. Times in milliseconds; `losses` counts the kinds of loss, stale ones apart."""

    requests: int
    losses: Counter[str]
    stale: int
    p50: float
    p99: float
    longest: float

    @property
    def lost(self) -> int:
        """Requests without the right answer, but for stale ones."""
        return sum(self.losses.values())


@contextlib.contextmanager
def running(address: str, clients: int, seconds: float) -> Iterator[Load]:
    """Have clients ask the site at `address` while the context lasts, at most some seconds."""
    load = Load()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load", address, str(clients), str(seconds)],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield load
        printed, _ = process.communicate(timeout=2 * TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, "the clients ended early"
    result = json.loads(printed)
    load.samples.extend(Sample(*sample) for sample in result["samples"])
    load.seconds, load.cpu_seconds = time.monotonic() - began, result["cpu"]


def summary(samples: Sequence[Sample]) -> Summary:
    """Put samples together; the percentiles are of the right answers and of the lost ones alike."""
    times = sorted(1000 * sample.seconds for sample in samples)
    outcomes = Counter(sample.outcome for sample in samples)
    stale = outcomes.pop(STALE, 0)
    outcomes.pop(OK, None)
    return Summary(
        requests=len(samples),
        losses=outcomes,
        stale=stale,
        p50=_percentile(times, 0.5),
        p99=_percentile(times, 0.99),
        longest=times[-1] if times else math.nan,
    )


def within(samples: Sequence[Sample], windows: Sequence[tuple[float, float]]) -> list[Sample]:
    """Return the samples that began in one of the windows (begin and end, seconds of the epoch)."""
    return [sample for sample in samples if any(begin <= sample.began < end for begin, end in windows)]


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


class _LostError(Exception):
    """A request without the right answer; its text is the outcome."""


class _Client:
    """One client with its connection."""

    def __init__(self, address: str, name: int) -> None:
        self._address = address
        self._name = name
        self._body = (f"client {name} " * BODY)[:BODY].encode()
        self._digests = {body: hashlib.sha256(body).hexdigest() for body in (b"", self._body)}
        self._connection: socket.socket | None = None
        self.samples: list[Sample] = []

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        number = 0
        while not stop.is_set():
            number += 1
            # Half of the clients begin with a POST: at any moment half of the requests are.
            body = self._body if (number + self._name) % 2 else b""
            wall, began, release = time.time(), time.perf_counter(), ""
            try:
                release = self._ask(f"{self._name}-{number}", body)
                outcome = OK
            except _LostError as lost:
                outcome = str(lost)
                self._close()
            self.samples.append(Sample(wall, time.perf_counter() - began, outcome, release))
            if outcome not in (OK, STALE):
                stop.wait(PAUSE)
        self._close()

    def _ask(self, number: str, body: bytes) -> str:
        """Return the release that answered."""
        used = self._connection is not None
        received = b""
        try:
            if self._connection is None:
                self._connection = socket.create_connection((self._address, 80), TIMEOUT)
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.sendall(self._request(number, body))
            while True:
                chunk = self._connection.recv(65536)
                if not chunk:
                    raise _LostError(STALE if used and not received else "premature end")
                received += chunk
                head, end, content = received.partition(b"\r\n\r\n")
                if end and len(content) >= (length := _content_length(head)):
                    return self._checked(head, content[:length], number, body)
        except TimeoutError:
            raise _LostError("timeout") from None
        except ConnectionRefusedError:
            raise _LostError("refused") from None
        except OSError:
            raise _LostError(STALE if used and not received else "reset") from None

    def _request(self, number: str, body: bytes) -> bytes:
        method = "POST" if body else "GET"
        head = f"{method} /work?number={number} HTTP/1.1\r\nHost: {self._address}\r\n"
        if body:
            head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    def _checked(self, head: bytes, content: bytes, number: str, body: bytes) -> str:
        if b"\nconnection: close" in head.lower():
            self._close()
        status = head.split(b" ", 2)[1].decode(errors="replace")
        if status != "200":
            raise _LostError(f"status {status}")
        release, _, rest = content.decode(errors="replace").partition(" ")
        if rest != f"{number} {self._digests[body]}\n":
            raise _LostError("wrong body")
        return release

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise _LostError("no length")


def _main(address: str, clients: int, seconds: float) -> None:
    # Ctrl-C is the measurement's business: it ends this process with its own clean-up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    made = [_Client(address, name) for name in range(clients)]
    threads = [threading.Thread(target=client.run, args=(stop,)) for client in made]
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    for thread in (timer, *threads):
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    samples = [
        (sample.began, sample.seconds, sample.outcome, sample.release)
        for client in made
        for sample in client.samples
    ]
    json.dump({"samples": samples, "cpu": used.ru_utime + used.ru_stime}, sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
