"""Runs a command and interrupts it when it is asked to, or when who asks is gone: python lifeline.py INPUT COMMAND…

INPUT is the number of the open file that is the command's standard input.

Standard input is a pipe that the asking process alone holds: each byte is a SIGINT for the command, and the pipe's end,
which is that process' end, killed too, is one where there was none before. (Linux' own signal for a parent's end comes
once for each of its threads, and a second SIGINT ends the command in the middle of what it does.)
"""

import os
import signal
import subprocess
import sys
import threading


def main(given: int, command: list[str]) -> int:
    """Return the command's exit status, as a shell gives it."""
    running = subprocess.Popen(command, stdin=given)
    threading.Thread(target=_listen, args=(running,), daemon=True).start()
    code = running.wait()
    return code if code >= 0 else 128 - code


def _listen(running: subprocess.Popen[bytes]) -> None:
    asked = False
    while os.read(0, 1) or not asked:
        running.send_signal(signal.SIGINT)
        asked = True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
