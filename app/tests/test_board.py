import re
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import notes
from app import NAME_LENGTH, PAGE_LENGTH, TEXT_LENGTH


def token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def pin(client: FlaskClient, text: str = "Hello", name: str = "Ada", **more: Any) -> TestResponse:
    return client.post("/notes", data={"csrf_token": token(client), "name": name, "text": text}, **more)


def texts(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/api/notes{query}").json
    assert answer is not None
    return [note["text"] for note in answer["notes"]]


def test_a_note_is_shown_after_a_redirect_with_a_message(client: FlaskClient) -> None:
    answer = pin(client, "Bread at <noon> & 面包")
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "Bread at &lt;noon&gt; &amp; 面包" in page
    assert 'role="status">Your note is on the board.' in page
    assert "Your note is on the board." not in client.get("/").text
    assert 'value="Ada"' in page


def test_line_breaks_count_once(client: FlaskClient) -> None:
    text = "a\r\n" * (TEXT_LENGTH // 2)
    assert pin(client, text).status_code == 303
    assert texts(client) == [text.replace("\r\n", "\n").strip()]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", " \n"),
        ("text", "x" * (TEXT_LENGTH + 1)),
        ("name", ""),
        ("name", "x" * (NAME_LENGTH + 1)),
    ],
)
def test_a_wrong_field_keeps_what_was_written(client: FlaskClient, field: str, value: str) -> None:
    answer = pin(client, **{"name": "Ada", "text": "Kept words", field: value})
    assert answer.status_code == 422
    assert f'id="{field}-problem"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert ("Kept words" if field == "name" else "Ada") in answer.text
    assert texts(client) == []


@pytest.mark.parametrize("wrong", ["", "guessed", "gé"])
def test_a_form_without_its_token_is_refused(client: FlaskClient, wrong: str) -> None:
    token(client)
    assert client.post("/notes", data={"csrf_token": wrong, "name": "Eve", "text": "spam"}).status_code == 400
    assert texts(client) == []


def test_a_token_of_another_session_is_refused(app: Flask, client: FlaskClient) -> None:
    stolen = token(app.test_client())
    assert client.post("/notes", data={"csrf_token": stolen, "name": "Eve", "text": "x"}).status_code == 400
    token(client)
    assert client.post("/notes", data={"csrf_token": stolen, "name": "Eve", "text": "x"}).status_code == 400


def test_only_its_writer_takes_a_note_down(app: Flask, client: FlaskClient) -> None:
    pin(client)
    stranger = app.test_client()
    pin(stranger, "Not yours")
    assert client.get("/").text.count("Take down your note") == 1
    assert stranger.post("/notes/1/remove", data={"csrf_token": token(stranger)}).status_code == 404
    assert client.post("/notes/1/remove", data={"csrf_token": "wrong"}).status_code == 400
    assert client.post(f"/notes/{10**30}/remove", data={"csrf_token": token(client)}).status_code == 404
    assert client.post("/notes/1/remove", data={"csrf_token": token(client)}).status_code == 303
    assert texts(client) == ["Not yours"]


def test_pages_go_back_to_the_first_note(client: FlaskClient) -> None:
    count = PAGE_LENGTH + 1
    for number in range(count):
        pin(client, f"note {number}")
    first = client.get("/").text
    assert f"note {count - 1}<" in first
    assert "note 0<" not in first
    older = re.search(r'href="(/\?before=[0-9]+)"', first)
    assert older
    last = client.get(older[1]).text
    assert "note 0<" in last
    assert "before=" not in last


def test_the_api_answers_newest_first_within_its_bounds(client: FlaskClient) -> None:
    for text in ("one", "two", "three"):
        pin(client, text)
    assert texts(client) == ["three", "two", "one"]
    assert texts(client, "?limit=1") == ["three"]
    assert texts(client, "?before=3") == ["two", "one"]
    assert texts(client, "?after=1&before=3") == ["two"]
    answer = client.get("/api/notes").json
    assert answer is not None
    note = answer["notes"][0]
    assert set(note) == {"id", "name", "text", "posted"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", note["posted"])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "before=", f"after={2**63}", "after=\u0661"]
)
def test_a_wrong_argument_is_an_error_in_json(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/notes?{query}")
    assert answer.status_code == 400
    assert answer.is_json
    assert client.get(f"/?before={query.partition('=')[2]}").status_code == 400


def test_old_notes_make_room(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "KEPT_NOTES", 3)
    for number in range(5):
        pin(client, f"note {number}")
    assert texts(client) == ["note 4", "note 3", "note 2"]


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask, client: FlaskClient) -> None:
    plain = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain
    assert "Secure" in app.test_client().get("/", base_url="https://localhost").headers["Set-Cookie"]


def test_errors_are_pages(client: FlaskClient) -> None:
    missing = client.get("/missing")
    assert missing.status_code == 404
    assert "Back to the board" in missing.text
    assert "Set-Cookie" not in missing.headers
    wrong_method = client.get("/notes")
    assert wrong_method.status_code == 405
    assert "POST" in wrong_method.headers["Allow"]
    large = client.post("/notes", data={"text": "x" * 70_000})
    assert large.status_code == 413


class InlineCode(HTMLParser):
    """Collects what `Content-Security-Policy: default-src 'self'` would block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.blocked.append(tag)
        for name, value in names.items():
            if name == "style" or name.startswith("on"):
                self.blocked.append(f"{tag} {name}")
            if name in {"src", "href", "action"} and not (value or "").startswith("/"):
                self.blocked.append(f"{tag} {name}={value}")


def test_pages_hold_to_a_strict_content_security_policy(client: FlaskClient) -> None:
    pin(client)
    for address in ("/", "/missing"):
        page = InlineCode()
        page.feed(client.get(address).text)
        assert page.blocked == []


def test_static_files_carry_their_version(client: FlaskClient) -> None:
    page = client.get("/").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert {address.partition("?")[0] for address in addresses} == {
        "/static/icon.svg",
        "/static/board.css",
        "/static/board.js",
    }
    for address in addresses:
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        assert client.get(address).status_code == 200
