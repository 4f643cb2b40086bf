"""HTTP/2 by hand (RFC 9113): frames as a test wants them, of which no client's library would send some."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator

from tests.host.files.rig import Host

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
# Room for any answer of a test, from the start: windows of nginx are watched, its answers' are not.
WIDE = 1 << 30
CANCEL = 8
# HPACK's static table: what nginx answers with most.
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


class Http2:
    """One connection to the site of a host."""

    def __init__(self, connection: ssl.SSLSocket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._received = b""
        self._next = 1
        # What may be sent: of the connection and of each stream.
        self._window = self._first_window = 65535
        self._windows: dict[int, int] = {}
        self.statuses: dict[int, int] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.closed = False
        # SETTINGS_INITIAL_WINDOW_SIZE, and the connection's own.
        connection.sendall(
            PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, WIDE)) + frame(WINDOW, 0, 0, number(WIDE))
        )

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, *, end: bool = True
    ) -> int:
        """Open a stream; return its number. With `end` the request has no body."""
        return self.requests(1, method, path, headers, end=end)

    def requests(
        self,
        count: int,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        end: bool = True,
        reset: bool = False,
    ) -> int:
        """Open streams in one write, and with `reset` take each back at once; return the last one's number."""
        fields = {":method": method, ":scheme": "https", ":authority": self._name, ":path": path}
        block = b"".join(literal(*field) for field in (fields | (headers or {})).items())
        sent = b""
        stream = 0
        for _ in range(count):
            stream, self._next = self._next, self._next + 2
            sent += frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)
            if reset:
                sent += frame(RESET, 0, stream, number(CANCEL))
        self._windows[stream] = self._first_window
        self._connection.sendall(sent)
        return stream

    def send(self, stream: int, body: bytes, *, end: bool = True) -> None:
        """Send a body, in frames, as nginx lets it."""
        while body:
            while not (room := min(16384, len(body), self._window, self._windows[stream])):
                self._take()
            self._connection.sendall(frame(DATA, 0, stream, body[:room]))
            body = body[room:]
            self._window -= room
            self._windows[stream] -= room
        if end:
            self._connection.sendall(frame(DATA, END_STREAM, stream, b""))

    def answer(self, stream: int) -> tuple[int, bytes]:
        """Wait for a stream's answer; its status and body."""
        while stream not in self.ended:
            if self.closed:
                raise ConnectionError(f"the connection ended before stream {stream}")
            self._take()
        return self.statuses[stream], self.bodies.get(stream, b"")

    def drain(self) -> None:
        """Read until nginx closes the connection, or says nothing any more for a second."""
        self._connection.settimeout(1)
        with contextlib.suppress(TimeoutError, OSError):
            while not self.closed:
                self._take()

    def _take(self) -> None:
        head = self._read(9)
        size, kind, flags, stream = int.from_bytes(head[:3]), head[3], head[4], int.from_bytes(head[5:])
        content = self._read(size)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, size, 6):
                setting, value = struct.unpack(">HI", content[at : at + 6])
                if setting == 4:
                    for known in self._windows:
                        self._windows[known] += value - self._first_window
                    self._first_window = value
            self._connection.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == WINDOW and stream:
            self._windows[stream] = self._windows.get(stream, 0) + int.from_bytes(content)
        elif kind == WINDOW:
            self._window += int.from_bytes(content)
        elif kind == HEADERS:
            self.statuses[stream] = status(content)
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + content
        elif kind == GOAWAY:
            self.closed = True
        if kind == RESET or (kind in (HEADERS, DATA) and flags & END_STREAM):
            self.ended.add(stream)

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            part = self._connection.recv(65536)
            if not part:
                self.closed = True
                raise ConnectionError("the connection was closed")
            self._received += part
        taken, self._received = self._received[:size], self._received[size:]
        return taken


@contextlib.contextmanager
def http2(host: Host) -> Iterator[Http2]:
    """A connection to a host of the rig that has a certificate."""
    name = host.settings.server_names[0]
    trusted = ssl.create_default_context(cafile=str(host.root / "ca.pem"))
    trusted.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", host.secure), timeout=20) as plain,
        trusted.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield Http2(connection, name)


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """A frame as it is sent."""
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def number(value: int) -> bytes:
    """Four bytes, as windows and errors are sent."""
    return value.to_bytes(4)


def literal(name: str, value: str) -> bytes:
    """A field in HPACK's plainest form: not indexed, not compressed, each part shorter than 127 bytes."""
    return b"\0" + b"".join(bytes([len(part)]) + part for part in (name.encode(), value.encode()))


def status(block: bytes) -> int:
    """The status that nginx puts first into an answer's fields."""
    return STATUSES.get(block[0]) or int(block[2:5])
