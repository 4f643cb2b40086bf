"""The application that every server of bench/http.py runs: one route a kind of work."""

from __future__ import annotations

import html
import time
from pydoc_data.topics import topics

from flask import Flask, Response, jsonify, render_template

app = Flask(__name__)

# Prose that Python brings: how well a text compresses, and how long that takes, is its own.
_PROSE = " ".join(" ".join(topics[name] for name in sorted(topics)).split())
_ARTICLE = f"<!doctype html><title>Article</title><p>{html.escape(_PROSE[: 30 * 1024], quote=False)}"
_ITEMS = [
    {"name": _PROSE[start : start + 12], "text": _PROSE[start : start + 110], "count": number}
    for number, start in enumerate(range(0, 2400, 100))
]


@app.get("/json")
def json_object() -> Response:
    """A small JSON object: next to nothing but Flask itself."""
    return jsonify(message="Hello, World!")


@app.get("/page")
def page() -> str:
    """A page of 5 KB from a Jinja template with inheritance, a loop, conditions and filters."""
    return render_template("page.html", items=_ITEMS, title="Stock")


@app.get("/wait")
def wait() -> Response:
    """20 ms of waiting, as for a database."""
    time.sleep(0.02)
    return jsonify(waited=20)


@app.get("/text")
def text() -> Response:
    """30 KB of text as HTML, the one type that every nginx compresses once gzip is on."""
    return Response(_ARTICLE, mimetype="text/html")
