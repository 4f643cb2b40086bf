"""What a visitor or an application wrote reaches no terminal as more than text."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from automation import cli
from automation.display import Display, show_outcome
from health import HealthCheck, smoke
from printable import printable
from progress import DeploymentError, Event, Happening, Operation, Outcome, Step
from tests.host.release_tool.fake_host import module
from tests.unit.test_ssh import KEY, client

# A colour, a window's title, a C1 sequence, text turned round, and a tag that nobody sees.
HOSTILE = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x7f\b evil\u202egpj.exe \U000e0041 \ufeff"
SHOWN = r"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x7f\x08 evil\u202egpj.exe \U000e0041 \ufeff"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\ufeff\U000e0000-\U000e007f]")
HEALTH = HealthCheck("/", 200, "", attempts=1, interval=0.1, timeout=1, settle=0)
FINDING = {"name": "errors", "state": "warn", "found": HOSTILE, "do": HOSTILE}
STEP = Step(Operation.UPDATE, "Command", "site-release")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("one\ntwo\tthree\r\nfour", "one\ntwo\tthree\nfour"),
        ("Grüße, 世界, می‌خواهم, 👩‍💻, \\x1b", "Grüße, 世界, می‌خواهم, 👩‍💻, \\x1b"),
        ("rewritten\rline\u2028\x85", r"rewritten\rline\u2028\x85"),
        ("half \ud800", r"half \ud800"),
        ("\u2066isolated\u2069 \u200b \u061c \xad", r"\u2066isolated\u2069 \u200b \u061c \xad"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert module("problem").printable(text) == shown, "the host's tool has its own"


def test_of_unicodes_control_and_format_characters_only_harmless_ones_stay() -> None:
    kept = {
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and printable(character) == character
    }
    # Line feed, tab, the two joiners; signs of scripts and of music, which are seen.
    seen = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "SHORTHAND", "MUSICAL")
    assert kept >= set("\n\t\u200c\u200d")
    assert {c for c in kept - set("\n\t\u200c\u200d") if not unicodedata.name(c).startswith(seen)} == set()


class Standing:
    """A stack with a server that says what a test wants."""

    def resources(self) -> list[dict[str, Any]]:
        connection = {"host": "127.0.0.1", "user": "root", "hostKey": KEY, "privateKey": "key"}
        return [{"type": "command:remote:Command", "inputs": {"connection": connection}}]

    def outputs(self) -> dict[str, Any]:
        return {"release": HOSTILE}

    public_outputs = outputs


def ops(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *words: str,
    stdout: str = "",
    stderr: str = "",
    status: int = 0,
) -> None:
    """Run a command line whose server answers so."""
    (folder / "stdout").write_text(stdout, errors="surrogatepass")
    (folder / "stderr").write_text(stderr)
    paths = [shlex.quote(str(folder / name)) for name in ("stdout", "stderr")]
    client(monkeypatch, folder, f"cat {paths[0]}; cat {paths[1]} >&2; exit {status}")
    monkeypatch.setattr(cli, "open_stack", lambda *_names, **_more: Standing())
    monkeypatch.setattr(sys, "argv", ["ops", *words])
    with pytest.raises(SystemExit):
        cli.main()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["logs", "x"], {"stdout": HOSTILE}),
        (["logs", "x", "web", "--follow"], {"stdout": HOSTILE + "\n"}),
        (["status", "x"], {"stdout": HOSTILE}),
        (["status", "x"], {"stderr": HOSTILE, "status": 1}),
        (["doctor", "x"], {"stdout": json.dumps({"state": "warn", "findings": [FINDING]})}),
        (["doctor", "x"], {"stderr": HOSTILE, "status": 1}),
        (["releases", "x"], {"stdout": HOSTILE}),
        (["releases", "x"], {"stdout": "{}", "stderr": HOSTILE, "status": 1}),
        (["rollback", "x"], {"stdout": json.dumps({"release": HOSTILE}), "stderr": HOSTILE}),
        (["output", "x"], {}),
        (["output", "x", "release"], {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "-".join(value),
)
def test_what_a_server_says_is_shown_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    answer: dict[str, Any],
) -> None:
    ops(monkeypatch, tmp_path, *words, **answer)
    printed = "".join(capfd.readouterr())
    assert SHOWN in printed
    assert not RAW.search(printed), "also where it is not a terminal"


@pytest.mark.parametrize("command", ["status", "doctor", "releases"])
def test_json_stays_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    told = {"state": "ok", "findings": [FINDING], "text": HOSTILE}
    # As a server would that does not escape: JSON itself allows DEL, C1 and all of Unicode's.
    raw = json.dumps(told, ensure_ascii=False)
    ops(monkeypatch, tmp_path, command, "x", "--json", stdout=raw)
    printed = capfd.readouterr().out
    assert not RAW.search(printed)
    found = json.loads(printed)
    assert (found["server"] if command == "status" else found) == told


def test_a_log_that_is_no_text_is_shown_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client(monkeypatch, tmp_path, r"printf 'a\377b\033[2J\n\303\274 no end'; exit 3")
    monkeypatch.setattr(cli, "open_stack", lambda *_names, **_more: Standing())
    monkeypatch.setattr(sys, "argv", ["ops", "logs", "x"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert capfd.readouterr().out == "a\ufffdb\\x1b[2J\nü no end"
    assert ended.value.code == 3


def test_a_run_shows_what_its_steps_say() -> None:
    for terminal in (False, True):
        console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=400)
        display = Display(console)
        with display.running() as report:
            report(Event(Happening.STARTED, STEP))
            report(Event(Happening.OUTPUT, STEP, HOSTILE))
            if terminal:
                console.print(display._lines())  # What a terminal shows meanwhile.
            report(Event(Happening.FAILED, STEP, HOSTILE, 1.0))
        outcome = Outcome((STEP,), ((STEP, HOSTILE),), {"name": HOSTILE}, (HOSTILE,))
        show_outcome(console, outcome, planned=False)
        assert isinstance(console.file, io.StringIO)
        printed = console.file.getvalue()
        assert printed.count(SHOWN) >= 4
        for own in ("\x1b[?25l", "\x1b[?25h", "\x1b[1A", "\x1b[2K", "\r"):
            printed = printed.replace(own, "")
        assert not RAW.search(printed), terminal


def test_an_error_is_shown(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(*_names: object, **_more: object) -> None:
        raise DeploymentError(HOSTILE)

    monkeypatch.setattr(cli, "open_stack", refuse)
    monkeypatch.setattr(sys, "argv", ["ops", "status", "x"])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capfd.readouterr().err
    assert SHOWN in printed
    assert not RAW.search(printed)


def test_what_answers_in_the_sites_place_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi up` prints the warning itself, as it is."""

    def refuse(*_: object, **_more: object) -> None:
        raise OSError(HOSTILE)

    monkeypatch.setattr("http.client.HTTPConnection.request", refuse)
    problem = smoke("127.0.0.1", "127.0.0.1", HEALTH)
    assert problem
    assert SHOWN in problem


def test_the_hosts_tool_prints_it_so_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    """Its lines pass through Pulumi, or a person's own ssh, as they are."""
    problem = module("problem")
    problem.say(HOSTILE)
    problem.answer("one\ntwo\tthree " + HOSTILE)
    printed = capfd.readouterr()
    assert printed.err == SHOWN + "\n"
    assert printed.out == "one\ntwo\tthree " + SHOWN + "\n"
