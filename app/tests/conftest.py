import os
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

# uWSGI has the application's folder on its path; so have the tests.
sys.path.insert(0, str(Path(__file__).parent.parent))
# Importing `app` makes the application that uWSGI serves; with a key given it writes nothing to disk.
os.environ.setdefault("SECRET_KEY", "only for tests")

from app import create_app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = create_app(str(tmp_path / "instance"))
    app.testing = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
