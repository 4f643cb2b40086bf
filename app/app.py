"""Noticeboard: a small Flask application, served by uWSGI as `app:app`.

A page with a form, a JSON route and a health check, over one SQLite file in the instance folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from functools import cache
from pathlib import Path

from flask import Flask, abort, current_app, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

import notes
from sessions import SchemeAwareSession, csrf_token, require_csrf_token, secret_key, writer

NAME_LENGTH = 40
TEXT_LENGTH = 500
PAGE_LENGTH = 20
API_LENGTH = 100
# SQLite's largest integer; beyond it a parameter is an error of its driver.
LARGEST_ID = 2**63 - 1
LOOKS_LIKE_ID = re.compile("[0-9]{1,19}")


def create_app(instance_path: str | None = None) -> Flask:
    """Make the application; `instance_path` (absolute) moves its data elsewhere, for tests."""
    app = Flask(__name__, instance_path=instance_path)
    app.session_interface = SchemeAwareSession()
    app.config.update(
        SECRET_KEY=secret_key(Path(app.instance_path)),
        SESSION_COOKIE_NAME="noticeboard",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # The longest note is a few kilobytes once a browser has encoded it.
        MAX_CONTENT_LENGTH=64 * 1024,
        RELEASE=os.environ.get("FLASK_RELEASE", "development"),
    )
    app.add_url_rule("/", view_func=board)
    app.add_url_rule("/notes", view_func=post_note, methods=["POST"])
    app.add_url_rule("/notes/<int:note_id>/remove", view_func=remove_note, methods=["POST"])
    app.add_url_rule("/api/notes", view_func=api_notes)
    app.add_url_rule("/healthz", view_func=healthz)
    app.register_error_handler(HTTPException, error_page)
    app.teardown_appcontext(close_database)
    app.url_defaults(add_version)
    app.context_processor(
        lambda: {"csrf_token": csrf_token, "name_length": NAME_LENGTH, "text_length": TEXT_LENGTH}
    )
    return app


def board() -> ResponseReturnValue:
    """Show the notes, newest first, with the form above them."""
    return board_page({"name": session.get("name", ""), "text": ""}, {})


def board_page(form: dict[str, str], errors: dict[str, str]) -> str:
    """Render the board with what the form held and what was wrong with it, by field."""
    found = notes.latest(database(), PAGE_LENGTH + 1, before=id_argument("before"))
    shown = found[:PAGE_LENGTH]
    return render_template(
        "board.html",
        notes=shown,
        older=shown[-1].id if len(found) > len(shown) else None,
        first_page="before" not in request.args,
        writer=session.get("writer"),
        form=form,
        errors=errors,
    )


def post_note() -> ResponseReturnValue:
    """Pin a note, or show the form again with what is wrong with it."""
    require_csrf_token()
    # Browsers count a line break as one character and send it as two.
    form = {field: request.form.get(field, "").replace("\r\n", "\n").strip() for field in ("name", "text")}
    errors = {}
    if not form["name"]:
        errors["name"] = "Say who it is from."
    elif len(form["name"]) > NAME_LENGTH:
        errors["name"] = f"At most {NAME_LENGTH} characters."
    if not form["text"]:
        errors["text"] = "Write a few words."
    elif len(form["text"]) > TEXT_LENGTH:
        errors["text"] = f"At most {TEXT_LENGTH} characters."
    if errors:
        return board_page(form, errors), 422
    notes.add(database(), name=form["name"], text=form["text"], writer=writer())
    session["name"] = form["name"]
    flash("Your note is on the board.")
    return redirect(url_for("board"), 303)


def remove_note(note_id: int) -> ResponseReturnValue:
    """Take down a note that this session wrote."""
    require_csrf_token()
    if note_id > LARGEST_ID or not notes.remove(database(), note_id, writer=session.get("writer", "")):
        abort(404, "There is no such note of yours.")
    flash("Your note was taken down.")
    return redirect(url_for("board"), 303)


def api_notes() -> ResponseReturnValue:
    """Answer `{"notes": [{"id", "name", "text", "posted"}]}`, newest first.

    Arguments: `limit` (1 to 100, default 20), `before` and `after` (ids of notes).
    """
    limit = id_argument("limit") or PAGE_LENGTH
    found = notes.latest(
        database(), min(limit, API_LENGTH), before=id_argument("before"), after=id_argument("after")
    )
    return {
        "notes": [
            {"id": note.id, "name": note.name, "text": note.text, "posted": note.posted} for note in found
        ]
    }


def healthz() -> ResponseReturnValue:
    """Answer 200 when notes can be read and written, else 503. The release tool and monitors ask here."""
    try:
        notes.check(database())
        database_state = "ok"
    except (sqlite3.Error, OSError):
        current_app.logger.exception("health check: the database does not answer")
        database_state = "failed"
    healthy = database_state == "ok"
    answer = {
        "status": "ok" if healthy else "failed",
        "release": current_app.config["RELEASE"],
        "checks": {"database": database_state},
    }
    return answer, 200 if healthy else 503, {"Cache-Control": "no-store"}


def error_page(error: HTTPException) -> ResponseReturnValue:
    """Show an error as a page, or as JSON below /api/."""
    if error.code is None or error.code < 400:
        return error
    # The error's own response holds what belongs to it, such as Allow.
    response = error.get_response()
    if request.path.startswith("/api/"):
        response.data = json.dumps({"error": error.name, "detail": error.description})
        response.content_type = "application/json"
    else:
        response.data = render_template("error.html", error=error)
    return response


def id_argument(name: str) -> int | None:
    """Return a positive whole number of the query string, None when it is absent; 400 for anything else."""
    text = request.args.get(name)
    if text is None:
        return None
    number = int(text) if LOOKS_LIKE_ID.fullmatch(text) else 0
    if not 1 <= number <= LARGEST_ID:
        abort(400, f"{name} must be a whole number from 1.")
    return number


def database() -> sqlite3.Connection:
    """Return this request's connection, opened on first use."""
    if "database" not in g:
        folder = Path(current_app.instance_path)
        folder.mkdir(parents=True, exist_ok=True)
        g.database = notes.connect(folder / "noticeboard.sqlite3")
    connection: sqlite3.Connection = g.database
    return connection


def close_database(_: BaseException | None) -> None:
    """Close this request's connection."""
    connection: sqlite3.Connection | None = g.pop("database", None)
    if connection is not None:
        connection.close()


def add_version(endpoint: str, values: dict[str, object]) -> None:
    """Give addresses of static files their content's hash, so that browsers may keep a file for good."""
    if endpoint == "static" and current_app.static_folder:
        version = static_version(Path(current_app.static_folder, str(values["filename"])))
        if version:
            values["v"] = version


@cache
def static_version(path: Path) -> str | None:
    """Return the first 12 hex digits of the file's SHA-256, None when there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError:
        return None


app = create_app()
