"""What stands behind the session cookie: the key that signs it, and the token that every form carries."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from flask import Flask, abort, request, session
from flask.sessions import SecureCookieSessionInterface

KEY_FILE = "secret_key"
CSRF_FIELD = "csrf_token"


class SchemeAwareSession(SecureCookieSessionInterface):
    """Marks the cookie Secure where the page came by https, so that plain http by address works as well."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        """Tell whether the cookie of this answer may travel by https only."""
        return request.is_secure


def secret_key(instance: Path) -> str:
    """Return SECRET_KEY of the environment, or the key kept in the instance folder, made on first use.

    Workers and releases that start at the same moment get the same key: it is written aside and
    then linked to its name, which only the first one can do.
    """
    given = os.environ.get("SECRET_KEY")
    if given:
        return given
    path = instance / KEY_FILE
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    instance.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file 0600.
    descriptor, aside = tempfile.mkstemp(prefix=KEY_FILE, dir=instance)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink()
    return path.read_text(encoding="ascii")


def csrf_token() -> str:
    """Return the token of this session, made on first use."""
    if CSRF_FIELD not in session:
        session[CSRF_FIELD] = secrets.token_urlsafe(32)
    return str(session[CSRF_FIELD])


def require_csrf_token() -> None:
    """Answer 400 unless the form carries its session's token."""
    kept = session.get(CSRF_FIELD, "")
    sent = request.form.get(CSRF_FIELD, "")
    if not kept or not secrets.compare_digest(kept.encode(), sent.encode()):
        abort(400, "This form has expired. Load the page again and send it once more.")


def writer() -> str:
    """Return what marks this session's notes as its own, made on first use."""
    if "writer" not in session:
        session["writer"] = secrets.token_hex(16)
    # Kept for a month instead of until the browser closes, so that one's notes can still be taken down.
    session.permanent = True
    return str(session["writer"])
