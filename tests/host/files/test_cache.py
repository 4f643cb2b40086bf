"""The micro-cache: what is kept, for whom, and what a stale answer hides."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from health import HealthCheck, smoke
from tests.host.files import rig
from tests.host.files.client import get, raw, request
from tests.host.files.http2 import http2
from tests.host.files.rig import Host
from tests.host.files.variants import ACME, small
from tests.host.release_tool.fake_host import module

# Each answer is another one; `?header=Name:value` has it bring that header.
COUNTING = """
from urllib.parse import parse_qsl
count = 0

def app(environ, start_response):
    global count
    count += 1
    headers = [tuple(value.split(":", 1)) for name, value in parse_qsl(environ["QUERY_STRING"]) if name == "header"]
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), *headers])
    said = "%d %s %s %s" % (count, environ["REQUEST_METHOD"], environ.get("HTTP_ACCEPT_LANGUAGE", "-"), body.decode())
    return [said.encode()]
"""
GOOD = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
"""
FAILING = """
def app(environ, start_response):
    start_response("500 Failed", [("Content-Type", "text/plain")])
    return [b"failed"]
"""


@pytest.fixture(scope="module")
def cached() -> Iterator[Host]:
    """A site whose answers are kept for longer than the tests run."""
    settings = replace(
        small(
            socket="unix", has_domain=True, server_names=("www.example.com",), processes=1, threads=1, **ACME
        ),
        micro_cache_seconds=3600,
        trusted_proxies=("127.0.0.0/8",),
    )
    with rig.host(settings) as made, rig.uwsgi(made, COUNTING), rig.nginx(made):
        yield made


def ask(
    host: Host,
    path: str,
    method: str = "GET",
    content: str | bytes | list[bytes] | None = None,
    **headers: str,
) -> str:
    """The answer to one visitor, as text."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = request(host, method, path, headers={"Host": "www.example.com", **named}, content=content)
    assert answer.status_code == 200
    return answer.text


def test_an_answer_is_kept_for_those_who_say_nothing_of_themselves(cached: Host) -> None:
    assert len({ask(cached, "/kept") for _ in range(3)}) == 1


def test_head_and_get_do_not_answer_for_each_other(cached: Host) -> None:
    for path, order in (("/head-first", ("HEAD", "GET")), ("/get-first", ("GET", "HEAD"))):
        said = {method: [ask(cached, path, method) for _ in range(2)] for method in order}
        assert said["HEAD"] == ["", ""]
        assert said["GET"][0] == said["GET"][1] != ""
        assert " GET " in said["GET"][0]


@pytest.mark.parametrize("content", [b"a body", [b"a ", b"body"]], ids=["length", "chunked"])
def test_a_request_with_a_body_neither_fills_the_cache_nor_asks_it(
    cached: Host, content: bytes | list[bytes]
) -> None:
    path = f"/body-{type(content).__name__}"
    assert ask(cached, path, content=content).endswith("GET - a body")
    kept = ask(cached, path)
    assert kept.endswith("GET - ")
    assert ask(cached, path, content=content).endswith("GET - a body")
    assert ask(cached, path) == kept


def test_nor_does_one_by_http_2_that_tells_no_length(cached: Host) -> None:
    with http2(cached) as connection:
        for _ in range(2):
            stream = connection.request("GET", "/body-http2", end=False)
            connection.send(stream, b"a body")
            assert connection.answer(stream)[1].endswith(b"GET - a body")
        bare = [connection.answer(connection.request("GET", "/body-http2"))[1] for _ in range(2)]
    assert bare[0] == bare[1]
    assert bare[0].endswith(b"GET - ")


@pytest.mark.parametrize(
    "who",
    [
        {"Cookie": "session=x"},
        # To nginx no value at all, where it is asked whether there is one.
        {"cookie": "0"},
        {"Authorization": "Bearer x"},
        {"X-Api-Key": "x"},
        {"X-Auth-Token": "x"},
        {"X-Access-Token": "x"},
        {"X-HTTP-Method-Override": "DELETE"},
    ],
    ids=lambda who: next(iter(who)),
)
def test_who_says_something_of_themselves_gets_an_answer_of_their_own(
    cached: Host, who: dict[str, str]
) -> None:
    path = f"/who-{next(iter(who))}"
    first = ask(cached, path, **who)
    kept = ask(cached, path)
    assert len({first, kept, ask(cached, path, **who), ask(cached, path, **who)}) == 4
    assert ask(cached, path) == kept


@pytest.mark.parametrize(
    "header",
    [
        "Set-Cookie:session=x",
        "Cache-Control:private",
        "Cache-Control:no-store",
        "Cache-Control:no-cache",
        "Cache-Control:max-age=0",
        "Cache-Control:max-age=600, private",
        "Cache-Control:s-maxage=0",
        "Expires:Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires:0",
        "Vary:*",
    ],
)
def test_what_the_application_keeps_to_itself_is_not_kept(cached: Host, header: str) -> None:
    for path in (f"/own?header={header}", f"/own?header=X-Other:1&header={header}"):
        assert len({ask(cached, path) for _ in range(2)}) == 2, path


def test_of_two_lines_the_stricter_one_counts(cached: Host) -> None:
    for lines in (
        "header=Cache-Control:public&header=Cache-Control:private",
        "header=Cache-Control:max-age=600&header=Cache-Control:no-store",
        "header=Cache-Control:private&header=Cache-Control:max-age=600",
        "header=Expires:Fri, 01 Jan 2100 00:00:00 GMT&header=Cache-Control:private",
    ):
        assert len({ask(cached, f"/two?{lines}") for _ in range(2)}) == 2, lines


def test_what_varies_is_kept_for_each(cached: Host) -> None:
    path = "/vary?header=Vary:Accept-Language"
    said = {language: ask(cached, path, Accept_Language=language) for language in ("de", "zh")}
    assert " de " in said["de"]
    assert " zh " in said["zh"]
    assert {language: ask(cached, path, Accept_Language=language) for language in said} == said


def test_http_and_https_do_not_answer_for_each_other(cached: Host) -> None:
    """Also where https ends at a proxy: the application is told, and may write other addresses."""
    assert ask(cached, "/scheme") != ask(cached, "/scheme", X_Forwarded_Proto="https")


def test_names_are_told_apart(cached: Host) -> None:
    paths = ("/a?b", "/a/?b", "/a%3Fb", "/a?b=", "//a?b", "/A?b")
    assert len({ask(cached, path) for path in paths}) == len(paths)


def test_a_check_gets_the_applications_own_answer(cached: Host) -> None:
    """What says `Cache-Control: no-cache`, as the smoke test does; for the others it refreshes what is kept."""
    kept = ask(cached, "/check")
    fresh = ask(cached, "/check", Cache_Control="no-cache")
    assert kept != fresh
    assert ask(cached, "/check") == fresh


def test_a_failing_release_is_seen_behind_a_stale_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small(socket="unix", micro_cache_seconds=1, processes=1, threads=1)
    with rig.host(settings) as host, rig.nginx(host):
        with rig.uwsgi(host, GOOD, release="r1"):
            assert get(host, "/").text == "well"
            lines = logged(host, 1)
            assert counted(lines, "r1") == (1, 0)
        with rig.uwsgi(host, FAILING, release="r2"):
            time.sleep(1.1)  # what was kept is stale then
            for _ in range(3):
                assert get(host, "/").text == "well", "visitors get the answer of before"
            lines = logged(host, 4)[1:]
            assert [line["status"] for line in map(json.loads, lines)] == [200] * 3
            assert counted(lines, "r2") == (3, 3), "the watch of the release does not"
            # From the operator's machine.
            monkeypatch.setattr("health.HTTP_PORT", host.public)
            check = HealthCheck("/", 200, "", attempts=1, interval=0.1, timeout=1, settle=0)
            assert smoke("127.0.0.1", "127.0.0.1", check) == "http://127.0.0.1/ answers 500, not 200"
            # On the server, and that with the header of who answers.
            answer = get(host, "/", port=host.loopback)
            assert (answer.status_code, answer.headers["x-flask-release"]) == (500, "r2")


def test_under_load_the_failing_release_is_seen_as_well() -> None:
    settings = small(socket="unix", micro_cache_seconds=1, processes=1, threads=2)
    with rig.host(settings) as host, rig.nginx(host):
        with rig.uwsgi(host, GOOD, release="r1"):
            assert get(host, "/").text == "well"
        with rig.uwsgi(host, FAILING, release="r2"), httpx.Client() as client:
            time.sleep(1.1)

            def visit(_number: int) -> int:
                return client.get(f"http://127.0.0.1:{host.public}/", timeout=20).status_code

            with ThreadPoolExecutor(8) as visitors:
                assert Counter(visitors.map(visit, range(200))) == {200: 200}
            answers, errors = counted(logged(host, 201)[1:], "r2")
            assert errors == answers > 10


def test_an_application_that_is_gone_is_seen_behind_a_stale_answer() -> None:
    settings = small(socket="unix", micro_cache_seconds=1, processes=1, threads=1)
    with rig.host(settings) as host, rig.nginx(host):
        with rig.uwsgi(host, GOOD):
            assert get(host, "/").text == "well"
        time.sleep(1.1)
        assert get(host, "/").text == "well"
        assert counted(logged(host, 2)[1:], "r2") == (1, 1)


def test_a_visitor_who_asks_for_less_does_not_spoil_the_answer(cached: Host) -> None:
    """A range, a condition, a short read: the next one gets all of it."""
    for number, header in enumerate(
        ("Range: bytes=0-1", "If-None-Match: *", "If-Modified-Since: x", "Accept: x")
    ):
        asked = (
            f"GET /part{number} HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n{header}\r\n\r\n"
        )
        raw(cached, asked.encode())
        assert ask(cached, f"/part{number}").endswith("GET - ")


def logged(host: Host, count: int) -> list[bytes]:
    """The lines of the access log, once there are so many."""
    read: Callable[[], list[bytes]] = lambda: host.access_log.read_bytes().splitlines()  # noqa: E731
    rig.until(lambda: len(read()) >= count, lambda: f"{len(read())} lines, not {count}")
    return read()


def counted(lines: list[bytes], release: str) -> tuple[int, int]:
    """Answers and errors, as the watch of a release counts them."""
    found = module("watch").count(lines, release)
    return found.answers, found.errors
