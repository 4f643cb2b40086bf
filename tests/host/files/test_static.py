"""Static files come from the release that serves, and from the one before, without the application."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.client import get
from tests.host.files.rig import Host
from tests.host.files.variants import small


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    """Release 2 serves in slot b; release 1, in slot a, served before it."""
    with rig.host(small(socket="unix")) as made, rig.uwsgi(made, APPLICATION), rig.nginx(made):
        srv = made.root / "srv/flask"
        for release, slot, files in (
            ("r1", "a", {"site.css": "old", "app.0123abcd.js": "first", "only-in-1.txt": "kept"}),
            (
                "r2",
                "b",
                {"site.css": "new", "app.4567cdef.js": "second", ".secret": "hidden", "a/b.txt": "deep"},
            ),
        ):
            for name, content in files.items():
                file = srv / "releases" / release / "app/static" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
            (srv / "releases" / release / "public").mkdir()
            _link(srv / "releases" / release / "public/static", "../app/static")
            _link(srv / "slots" / slot, f"../releases/{release}")
        (srv / "releases/r2/app/secret.txt").write_text("not static")
        _link(srv / "serving", "slots/b")
        yield made


def test_files_of_the_release_that_serves(site: Host) -> None:
    answer = get(site, "/static/site.css")
    assert (answer.status_code, answer.text) == (200, "new")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-request-id" in answer.headers
    assert get(site, "/static/a/b.txt").text == "deep"


def test_a_page_of_the_release_before_finds_its_files(site: Host) -> None:
    assert get(site, "/static/app.0123abcd.js").text == "first"
    assert get(site, "/static/only-in-1.txt").text == "kept"


def test_the_other_way_round_after_a_rollback(site: Host) -> None:
    serving = site.root / "srv/flask/serving"
    _link(serving, "slots/a")
    try:
        # What browsers keep is of the release that serves at once, all else after a second.
        assert get(site, "/static/site.css?v=0123456789ab").text == "old"
        assert get(site, "/static/app.4567cdef.js").text == "second"
        rig.until(lambda: get(site, "/static/site.css").text == "old")
    finally:
        _link(serving, "slots/b")
    assert get(site, "/static/site.css?v=0123456789ab").text == "new"
    rig.until(lambda: get(site, "/static/site.css").text == "new")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/static/app.4567cdef.js", "public, max-age=31536000, immutable"),
        ("/static/site.css", "no-cache"),
        ("/static/site.css?v=0123456789ab", "public, max-age=86400"),
        ("/static/site.css?v=latest", "no-cache"),
    ],
)
def test_how_long_browsers_keep_a_file(site: Host, path: str, kept: str) -> None:
    assert get(site, path).headers["cache-control"] == kept


def test_an_unchanged_file_is_not_sent_again(site: Host) -> None:
    first = get(site, "/static/site.css")
    again = get(site, "/static/site.css", {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_compressed_file_beside_is_sent_as_it_is(site: Host) -> None:
    folder = site.root / "srv/flask/releases/r2/app/static"
    (folder / "packed.css").write_text("plain")
    (folder / "packed.css.gz").write_bytes(gzip.compress(b"compressed before"))
    packed = get(site, "/static/packed.css", {"Accept-Encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.text) == ("gzip", "compressed before")
    assert get(site, "/static/packed.css", {"Accept-Encoding": "identity"}).text == "plain"


def test_what_is_no_file_is_the_applications_affair(site: Host) -> None:
    for path in ("/static/missing.css", "/static/missing.css?v=0123456789ab", "/static/a", "/static/"):
        assert get(site, path).json()["REQUEST_URI"] == path


@pytest.mark.parametrize(
    "path", ["/static/.secret", "/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static../x"]
)
def test_nothing_but_static_files_is_published(site: Host, path: str) -> None:
    request = httpx.Request("GET", f"http://127.0.0.1:{site.public}/")
    request.url = request.url.copy_with(raw_path=path.encode())
    with httpx.Client() as client:
        answer = client.send(request)
    assert "hidden" not in answer.text
    assert "not static" not in answer.text
    assert answer.status_code == 404 or answer.json()["PATH_INFO"] in ("/secret.txt", "/static../x")


def _link(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)
