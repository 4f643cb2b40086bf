"""What a run prints: each line once, in a pipe and in a terminal, and commands as a user types them."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from automation.display import Display, show_outcome
from progress import Event, Happening, Operation, Outcome, Step

PROJECT = Path(__file__).resolve().parents[2]
RELEASE = Step(Operation.CREATE, "Command", "site-release")
LOG = ["Traceback (most recent call last):", "LookupError: not today"]
ADVICE = "error: The application does not start; nothing was changed. Correct it and release again."
ERROR = "\n".join(["the command on the server failed (exit status 1):", *LOG, ADVICE])


def printed(*, terminal: bool, told: list[str]) -> str:
    """What stays on a console of a release that fails, after these lines of output."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    display = Display(console)
    with display.running() as report:
        report(Event(Happening.STARTED, RELEASE))
        for line in told:
            report(Event(Happening.OUTPUT, RELEASE, line))
        report(Event(Happening.FAILED, RELEASE, ERROR, 1.0))
    # The lines under way come and go; this looks at the end alone.
    if terminal:
        console.file = io.StringIO()
    show_outcome(console, Outcome((RELEASE,), ((RELEASE, ERROR),), {}), planned=False, told=display.told)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_that_was_printed_as_it_came_is_not_printed_again() -> None:
    text = printed(terminal=False, told=[*LOG, ADVICE])
    assert text.count("LookupError: not today") == 1
    # What to do stands at the end as well.
    assert text.index("site-release failed:") < text.rindex(ADVICE)


def test_what_was_not_printed_yet_is() -> None:
    text = printed(terminal=False, told=LOG[:1])
    assert text.count("Traceback") == text.count("LookupError: not today") == text.count(ADVICE) == 1


def test_a_terminal_shows_the_log_at_the_end_since_the_lines_before_went() -> None:
    text = printed(terminal=True, told=[*LOG, ADVICE])
    assert all(text.count(line) == 1 for line in (*LOG, ADVICE))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["up", "--help"], ["up"], ["nonsense"], ["logs", "local", "no"]]
)
def test_usage_is_of_the_command_that_one_types(arguments: list[str]) -> None:
    done = subprocess.run(["./ops", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "Usage: ./ops" in said
    assert "python" not in said
