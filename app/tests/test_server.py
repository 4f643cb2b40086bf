"""What holds on a server: several processes, a folder that outlives releases, a health check."""

import multiprocessing
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import notes
import sessions
from app import create_app

WORKERS = 6
NOTES_EACH = 20


def write_notes(path: Path, number: int) -> None:
    for index in range(NOTES_EACH):
        with closing(notes.connect(path)) as connection:
            notes.add(connection, name=f"worker {number}", text=f"note {index}", writer="w")


def run_workers(target: object, arguments: list[tuple[object, ...]]) -> None:
    # Fresh interpreters, as uWSGI masters of two slots would be.
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=target, args=values) for values in arguments]  # type: ignore[arg-type]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def test_workers_that_start_together_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "noticeboard.sqlite3"
    run_workers(write_notes, [(path, number) for number in range(WORKERS)])
    with closing(notes.connect(path)) as connection:
        assert len(notes.latest(connection, 1000)) == WORKERS * NOTES_EACH
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def read_key(instance: Path, answer: Path) -> None:
    answer.write_text(sessions.secret_key(instance))


def test_workers_that_start_together_get_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    instance = tmp_path / "instance"
    answers = [tmp_path / f"key{number}" for number in range(WORKERS)]
    run_workers(read_key, [(instance, answer) for answer in answers])
    keys = {answer.read_text() for answer in answers}
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [path.name for path in instance.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((instance / "secret_key").stat().st_mode) == 0o600


def test_a_key_of_the_environment_is_used_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "given")
    assert sessions.secret_key(tmp_path) == "given"
    assert list(tmp_path.iterdir()) == []


def test_the_instance_folder_may_be_a_link(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "instance").symlink_to(shared)
    assert create_app(str(tmp_path / "instance")).test_client().get("/healthz").status_code == 200
    assert (shared / "noticeboard.sqlite3").exists()


def test_the_health_check_names_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_RELEASE", "0123456789ab")
    client = create_app(str(tmp_path)).test_client()
    answer = client.get("/healthz")
    assert answer.json == {"status": "ok", "release": "0123456789ab", "checks": {"database": "ok"}}
    assert answer.headers["Cache-Control"] == "no-store"
    assert "0123456789ab" in client.get("/").text


def test_the_health_check_fails_without_a_usable_database(app: Flask, client: FlaskClient) -> None:
    folder = Path(app.instance_path)
    folder.mkdir()
    (folder / "noticeboard.sqlite3").write_bytes(b"not a database " * 100)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"] == {"database": "failed"}


def test_the_health_check_fails_while_nothing_can_be_written(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/healthz").status_code == 200
    monkeypatch.setattr(notes, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(Path(app.instance_path, "noticeboard.sqlite3"))) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert client.get("/healthz").status_code == 503
    assert client.get("/healthz").status_code == 200
