"""Where the audit reads and writes."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The tools, in an environment of their own (Makefile).
TOOLS = ROOT / ".cache/audit/bin"
RESULTS = ROOT / ".build/audit"
# Lock file → who gets what is in it.
LOCKS = {
    "requirements.txt": "operator",
    "requirements-dev.txt": "development",
    "app/requirements.txt": "sample application",
    "host/flask_certificate/requirements.txt": "certbot of a server",
    "audit/requirements.txt": "this audit",
    "tests/scores/requirements.txt": "judges of the tests",
    "tests/engine/requirements.txt": "Go for the tests",
}
