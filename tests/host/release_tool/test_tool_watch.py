"""After the switch: errors bring the old release back; leaving a slot waits for its requests."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .fake_host import FakeHost, module, until

# Good at its health path, which is all that a gate sees.
FAILING = """
def app(environ, start_response):
    good = environ["PATH_INFO"] == "/healthz"
    start_response("200 OK" if good else "500 Failed", [])
    return [b"hello from %s"]
"""
# Ends with its 8th request, which comes after the gate.
ENDING = """
import os
count = 0
def app(environ, start_response):
    global count
    count += 1
    if count > 8:
        os._exit(1)
    start_response("200 OK", [])
    return [b"hello from %s"]
"""
SLOW = """
import time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(3)
    start_response("200 OK", [])
    return [b"hello from %s"]
"""


def test_errors_after_the_switch_bring_the_old_release_back(host: FakeHost) -> None:
    host.configure(health_path="/healthz")
    good = host.release(host.archive("good"))
    host.configure(watch_seconds=10)
    stop = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            host.visit("/page")

    with ThreadPoolExecutor(2) as visitors:
        for _ in range(2):
            visitors.submit(visit)
        ran = host.release(host.archive("bad", FAILING))
        stop.set()
    assert ran.code == 1
    assert "requests were answered with 5xx" in ran.err
    assert host.live() == ("a", good.result["release"])
    assert host.visit("/page") == (200, "hello from good")
    assert host.running() == {"a"}


def test_slot_that_ends_during_the_watch_brings_the_old_one_back(host: FakeHost) -> None:
    host.release(host.archive("good"))
    host.configure(watch_seconds=10)
    ran = host.release(host.archive("bad", ENDING))
    assert ran.code == 1
    assert "stopped answering as expected" in ran.err
    assert host.visit() == (200, "hello from good")
    assert host.running() == {"a"}


def test_requests_of_the_old_slot_are_finished(host: FakeHost) -> None:
    host.release(host.archive("one", SLOW))
    with ThreadPoolExecutor(4) as visitors:
        slow = [visitors.submit(host.visit, "/slow") for _ in range(4)]
        time.sleep(0.2)
        ran = host.release(host.archive("two", SLOW))
        assert ran.code == 0, ran.err
        assert {answer.result() for answer in slow} == {(200, "hello from one")}
    assert host.running() == {"b"}


def test_no_request_is_lost_over_releases(host: FakeHost) -> None:
    host.release(host.archive("zero"))
    stop = threading.Event()
    seen: list[tuple[int, str]] = []

    def visit() -> None:
        while not stop.is_set():
            seen.append(host.visit())

    with ThreadPoolExecutor(4) as visitors:
        for _ in range(4):
            visitors.submit(visit)
        for name in ("one", "two", "three"):
            assert host.release(host.archive(name)).code == 0
        host.run("rollback")
        stop.set()
    assert {status for status, _ in seen} == {200}
    assert {text for _, text in seen} == {f"hello from {name}" for name in ("zero", "one", "two", "three")}


@pytest.mark.parametrize(
    ("lines", "answers", "errors"),
    [
        ([{"status": 200}, {"status": 500}], 2, 1),
        ([{"status": "502", "release": ""}, {"status": 503, "release": "-"}], 2, 2),
        ([{"status": 500, "release": "other"}, {"status": 404, "release": "mine"}], 1, 0),
        (["not json", [], {"status": "-"}, {}], 0, 0),
        # A kept answer in the place of a failure; whose it was, the line does not say.
        ([{"status": 200, "upstream_status": "500", "release": "other"}], 1, 1),
        ([{"status": 304, "upstream_status": "502, 503", "release": "mine"}], 1, 1),
        # A kept answer for which nobody was asked; a failure that another server made good; no failure.
        ([{"status": 200, "upstream_status": "", "release": "other"}], 0, 0),
        ([{"status": 200, "upstream_status": "502, 200", "release": "mine"}], 1, 0),
        ([{"status": 304, "upstream_status": "200", "release": "mine"}], 1, 0),
        ([{"status": 200, "upstream_status": "-"}, {"status": 200, "upstream_status": []}], 2, 0),
    ],
)
def test_counting_the_access_log(lines: list[object], answers: int, errors: int) -> None:
    found = module("watch").count([json.dumps(line).encode() for line in lines], "mine")
    assert (found.answers, found.errors) == (answers, errors)


@pytest.mark.parametrize(
    ("stats", "busy"),
    [
        ({}, 0),
        ({"workers": [{"cores": [{"in_request": 1}, {"in_request": 0}]}, {"cores": [{"in_request": 1}]}]}, 2),
        ({"listen_queue": 3, "sockets": [{"queue": 1}]}, 3),
        ({"listen_queue": 0, "sockets": [{"queue": 2}, {"queue": 2}]}, 4),
    ],
)
def test_requests_by_the_statistics(stats: dict[str, object], busy: int) -> None:
    assert module("uwsgi_stats").parse(json.dumps(stats).encode()).busy == busy


def test_slot_that_stays_busy_is_left_after_the_time(host: FakeHost) -> None:
    host.configure(drain_seconds=0.3)
    host.release(host.archive("one", SLOW))
    with ThreadPoolExecutor(1) as visitors:
        slow = visitors.submit(host.visit, "/slow")
        time.sleep(0.2)
        ran = host.release(host.archive("two"))
        assert "slot a still has requests after 0.3 s" in ran.err
        assert slow.result() == (200, "hello from one")
    until(lambda: host.running() == {"b"})
