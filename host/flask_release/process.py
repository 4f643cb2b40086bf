"""Programs that this tool runs."""

import contextlib
import ctypes
import os
import pwd
import select
import signal
import subprocess
import time
from typing import IO, Callable, Dict, List, NamedTuple, Optional, cast

from flask_release import memory, strays
from flask_release.problem import Problem

# A remote command's PATH may leave these out; systemctl, nginx and sysctl live there on some systems.
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
NICE = 10
# Seconds that the output of an ended program takes to read.
READING = 1.0
# Bytes of a program's output that are kept, the last ones: it may print for as long as it likes.
OUTPUT_LIMIT = 1 << 20
POLL = 0.1
_PR_SET_PDEATHSIG = 1


class Ran(NamedTuple):
    """How a program ended. `output` is what it printed on both streams."""

    code: int
    output: str

    def last(self, lines: int) -> str:
        """The end of the output."""
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


class Running:
    """A program that was started."""

    def __init__(self, process: "subprocess.Popen[bytes]", name: str, timeout: float, user: str = "") -> None:
        self._process = process
        self._name = name
        self._user = user
        self._timeout = timeout
        self._until = time.monotonic() + timeout

    def end(self) -> Ran:
        """Wait for its end; to be called once. What ran as another account leaves no process behind.

        Raises:
            Problem: it took too long, and was killed with all it started.
        """
        output = bytearray()
        try:
            # One that has ended is read even when its time is over.
            in_time = self._read(output, max(time.monotonic() + READING, self._until))
            if not in_time:
                self.kill()
                self._read(output, time.monotonic() + READING)
        except BaseException:
            self.kill()
            self._process.wait()
            raise
        finally:
            self._pipe().close()
            if self._user:
                strays.end(self._user)
        text = output.decode(errors="replace")
        if not in_time:
            raise Problem(f"{self._name} took longer than {self._timeout:g} s and was ended.", text)
        return Ran(self._process.returncode, text)

    def kill(self) -> None:
        """End it with all it started, if it still runs."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if self._user:
                strays.end(self._user)

    def _read(self, output: bytearray, until: float) -> bool:
        """Read what it prints, of which the end is kept, until it has ended; False when it has not in time."""
        reading = True
        while time.monotonic() < until:
            if reading and select.select([self._pipe()], [], [], POLL)[0]:
                chunk = os.read(self._pipe().fileno(), 65536)
                reading = bool(chunk)
                output += chunk
                del output[:-OUTPUT_LIMIT]
            elif self._process.poll() is not None:
                # Ended; where the pipe is still open, what it started holds it.
                return True
            elif not reading:
                time.sleep(POLL / 10)
        return False

    def _pipe(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdout)


def run(
    command: List[str],
    env: Optional[Dict[str, str]] = None,
    cwd: str = "/",
    user: str = "",
    timeout: float = 600,
    background: bool = False,
) -> Ran:
    """Run a program to its end; as `start`.

    Raises:
        Problem: the program is not there, or took too long.
    """
    return start(command, env, cwd, user, timeout, background).end()


def must(command: List[str], timeout: float = 600) -> None:
    """Run a program of the system's, which has to succeed.

    Raises:
        Problem: as `run`, or it failed; with the end of what it printed.
    """
    ran = run(command, timeout=timeout)
    if ran.code != 0:
        raise Problem(f"`{' '.join(command)}` failed with {ran.code} (above).", ran.last(5))


def start(
    command: List[str],
    env: Optional[Dict[str, str]] = None,
    cwd: str = "/",
    user: str = "",
    timeout: float = 600,
    background: bool = False,
) -> Running:
    """Start a program, with nothing on its stdin.

    Args:
        command: the program and its arguments; no shell.
        env: its whole environment; default: `system_environment()`.
        cwd: folder to run it in.
        user: account to run it as; empty, or when this is not root: the current one.
        background: it leaves processor and memory to others first, such as to what serves.
        timeout: seconds, after which it is killed with all it started.

    Raises:
        Problem: the program is not there.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=system_environment() if env is None else env,
            cwd=cwd,
            preexec_fn=_child(user, background),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Problem(f"{command[0]} is not there ({error}). Install it, or look at the bootstrap's log.")
    return Running(process, command[0], timeout, user if os.geteuid() == 0 else "")


def system_environment() -> Dict[str, str]:
    """This process's environment without what would change how a Python starts, and with the system's programs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = env.get("PATH", "").split(":") if env.get("PATH") else []
    env["PATH"] = ":".join(path + [folder for folder in SYSTEM_PATH if folder not in path])
    return env


def _child(user: str, background: bool) -> Callable[[], None]:
    change = bool(user) and os.geteuid() == 0
    account = pwd.getpwnam(user) if change else None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        if background:
            os.nice(NICE)
            memory.offer()
        if account is not None:
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        # Dies with this tool: a pip that outlived a kill -9 would write into what the next run builds. Set after
        # the change of account, which clears it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare
