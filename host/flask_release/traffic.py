"""Which slot nginx talks to.

Unix sockets: nginx's upstream is /run/flask/current.sock, a link that rename(2) moves from one slot's socket to
the other's; nginx is not reloaded and no request notices. TCP: the upstream file names the slot's port, and nginx
is reloaded, which closes idle connections of clients: the lesser way.
"""

import contextlib
import http.client
import os
import re
import signal
import time
from pathlib import Path
from typing import Optional, Set

from flask_release import files, gate, static, units, uwsgi
from flask_release.host import NGINX, SLOTS, Host
from flask_release.problem import Problem
from flask_release.process import run
from flask_release.settings import Settings

POLL = 0.05
VERIFY_SECONDS = 5.0
# How long nginx may take to take up its configuration.
RELOAD_SECONDS = 5.0
_SERVER = re.compile(r"^(\s*server\s+)([^\s;]+)([^;]*;)", re.MULTILINE)


def current(host: Host, settings: Settings) -> Optional[str]:
    """The slot that traffic goes to, or None when it goes nowhere."""
    for slot in SLOTS:
        if settings.socket == "unix":
            # The second: where an earlier version of this tool had a slot's socket.
            if files.target(host.current_socket) in (_link(host, slot), f"{slot}.sock"):
                return slot
        elif _upstream_address(host) == _written(settings, slot):
            return slot
    return None


def move(host: Host, settings: Settings, slot: Optional[str]) -> Set[int]:
    """Send new requests to a slot; None: to nowhere (nginx answers 502), as before the first release.

    Returns:
        Process ids of nginx workers that may still send requests to the slot before (TCP only).

    Raises:
        Problem: nginx refuses its configuration (TCP only); traffic stays.
    """
    static.serve_from(host, slot)
    if settings.socket != "unix":
        return _replace_upstream(host, settings, slot)
    if slot is None:
        files.remove(host.current_socket)
    else:
        files.link(host.current_socket, _link(host, slot))
    return _leave_tcp(host)


def write_upstream(host: Host, settings: Settings, slot: Optional[str]) -> bool:
    """Name the slot's address in nginx's upstream file, without a reload; tells whether that changed it.

    Raises:
        Problem: the host has no such file to start from.
    """
    before = _text(host.upstream)
    if slot is None:
        files.remove(host.upstream)
        return before is not None
    pattern = _text(host.upstream_default) or before
    if pattern is None or not _SERVER.search(pattern):
        raise Problem(f"{host.upstream_default} has no `server` line. Run the stack's `up`, which writes it.")
    after = _SERVER.sub(
        lambda line: line.group(1) + _written(settings, slot) + line.group(3), pattern, count=1
    )
    if after == before:
        return False
    files.write(host.upstream, after.encode())
    return True


def verify(settings: Settings, release: str) -> None:
    """See the release answer through nginx.

    Raises:
        Problem: nginx does not answer, or another release does.
    """
    until = time.monotonic() + VERIFY_SECONDS
    while True:
        fault = through_nginx(settings, release)
        if fault is None:
            return
        if time.monotonic() >= until:
            raise Problem(
                f"nginx does not serve release {release} at http://{settings.verify_address}{settings.health_path}:"
                f" {fault}. What served before serves again. Look at `systemctl status nginx` and at its log,"
                " /var/log/flask/error.log, and release again."
            )
        time.sleep(POLL)


def test_nginx() -> None:
    """Have nginx read its configuration.

    Raises:
        Problem: it does not parse; with nginx's words.
    """
    ran = run(["nginx", "-t", "-q"], timeout=60)
    if ran.code != 0:
        raise Problem("nginx refuses its configuration (above).", ran.last(20))


def reload_nginx(host: Host) -> Set[int]:
    """Have nginx take up its configuration, and wait until no worker of before takes another request.

    Asked sooner, it would be one of before that answers: 502 where there was no slot, with an error in nginx's log.

    Returns:
        Process ids of the workers of before, which may still be at requests that they have.

    Raises:
        Problem: systemd could not.
    """
    workers = nginx_workers(host)
    units.must("reload", NGINX)
    until = time.monotonic() + RELOAD_SECONDS
    while any(map(_takes_requests, workers)) and time.monotonic() < until:
        time.sleep(POLL)
    return workers


def flush_log(host: Host) -> None:
    """Have nginx write out the lines of its access log that it holds back."""
    master = _nginx_master(host)
    if master:
        with contextlib.suppress(OSError):
            os.kill(master, signal.SIGUSR1)


def nginx_workers(host: Host) -> Set[int]:
    """Process ids of nginx's workers."""
    master = _nginx_master(host)
    if not master:
        return set()
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(int(name)) == master}


def wait_for_exit(pids: Set[int], seconds: float) -> None:
    """Wait until these processes are gone, at most some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}") for pid in pids):
        time.sleep(POLL)


def through_nginx(settings: Settings, release: str) -> Optional[str]:
    """Ask once by way of nginx: what is wrong with the answer, or None."""
    check = settings.check
    connection = http.client.HTTPConnection(settings.verify_address, timeout=gate.LONGEST_REQUEST)
    try:
        headers = {"User-Agent": "flask-release", "Connection": "close"}
        if check.host:
            headers["Host"] = check.host
        connection.request("GET", settings.health_path, headers=headers)
        response = connection.getresponse()
        answer = uwsgi.Answer(
            response.status,
            {name.lower(): response.getheader(name) or "" for name in response.headers},
            response.read(uwsgi.BODY_LIMIT),
        )
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    if "x-flask-release" not in answer.headers:
        return f"status {answer.status} without the header X-Flask-Release"
    return gate.judge(settings, answer, release)


def _link(host: Host, slot: str) -> str:
    # Relative: the link is the same wherever the folder is mounted.
    return host.socket(slot).relative_to(host.run).as_posix()


def _replace_upstream(host: Host, settings: Settings, slot: Optional[str]) -> Set[int]:
    before = _text(host.upstream)
    try:
        if not write_upstream(host, settings, slot):
            return set()
        test_nginx()
        return reload_nginx(host)
    except BaseException:
        if before is None:
            files.remove(host.upstream)
        else:
            files.write(host.upstream, before.encode())
        raise


def _leave_tcp(host: Host) -> Set[int]:
    """When slots listened on TCP before, nginx has to take up its new configuration for the link to count."""
    if not host.upstream.exists():
        return set()
    test_nginx()
    files.remove(host.upstream)
    return reload_nginx(host)


def _takes_requests(worker: int) -> bool:
    """Whether a worker of nginx still listens; it says in its title when it has been told not to."""
    try:
        title = Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return False
    return bool(title) and b"shutting down" not in title


def _upstream_address(host: Host) -> Optional[str]:
    found = _SERVER.search(_text(host.upstream) or "")
    return found.group(2) if found else None


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _written(settings: Settings, slot: str) -> str:
    address = settings.tcp_address(slot)
    return "{}:{}".format(*address) if address else ""


def _nginx_master(host: Host) -> int:
    """Process id of nginx's master; 0 when it does not run (a stale file may name another program)."""
    try:
        master = int(host.nginx_pid.read_text())
        name = Path(f"/proc/{master}/comm").read_text().strip()
    except (OSError, ValueError):
        return 0
    return master if name == "nginx" else 0


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
