"""What the measurement of releases deploys: slow to start, and every answer takes a while.

An answer names the release that gave it, the request's own number and the digest of its body, so that a client can
tell a right answer from another's.
"""

from __future__ import annotations

import hashlib
import os
import time

from flask import Flask, Response, request

# Changed for each release.
GENERATION = 0
# Seconds.
START = 1.5
HANDLER = 0.02


def _start() -> None:
    # Imports compute: a start that slept would leave the machine to the requests that are being measured.
    end = time.monotonic() + START
    while time.monotonic() < end:
        compile("value = 1\n" * 200, "start", "exec")


_start()
app = Flask(__name__)
RELEASE = os.environ.get("FLASK_RELEASE", "none")


@app.get("/healthz")
def healthz() -> str:
    return RELEASE


@app.route("/work", methods=["GET", "POST"])
def work() -> Response:
    digest = hashlib.sha256(request.get_data()).hexdigest()
    time.sleep(HANDLER)
    return Response(f"{RELEASE} {request.args.get('number', '')} {digest}\n", content_type="text/plain")
