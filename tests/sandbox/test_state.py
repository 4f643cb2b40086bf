"""What a stack remembers: whole after a crash, for one run at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from progress import DeploymentError
from sandbox.state import Entry, State, Status, locked, write_atomically

ROOT = Path(__file__).parents[2]


def entry(name: str) -> Entry:
    return Entry(f"urn::{name}", "test:index:Thing", name, f"id-{name}", Status.SETTLED, {"size": 1})


def test_another_process_finds_what_was_put(tmp_path: Path) -> None:
    State(tmp_path).put(entry("one"))
    assert State(tmp_path).entries == {"urn::one": entry("one")}


def test_a_state_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DeploymentError, match=r"state\.json cannot be read"):
        State(tmp_path)
    (tmp_path / "state.json").write_text('{"version": 99}')
    with pytest.raises(DeploymentError, match="another version"):
        State(tmp_path)


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "a long first text")
    write_atomically(path, "short")
    assert path.read_text() == "short"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name.name for name in tmp_path.iterdir()] == ["file"]


def test_a_stack_is_held_by_one_run_and_given_back_by_a_dead_one(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from sandbox.state import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(ROOT)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(DeploymentError, match=rf"local is in use by process {holder.pid} since"),
            locked(folder),
        ):
            pass
        holder.kill()
    with locked(folder):
        pass
