"""Requests through the real nginx to the real uWSGI, both on rendered files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx

from tests.host.files import rig
from tests.host.files.application import APPLICATION
from tests.host.files.client import get, raw
from tests.host.files.rig import Host
from tests.host.files.variants import small


def log_line(host: Host, request_id: str) -> dict[str, object]:
    """The line of a request; nginx holds lines back for a second."""
    rig.until(lambda: request_id in host.access_log.read_text(), lambda: f"no line of {request_id}")
    lines: list[dict[str, object]] = [json.loads(line) for line in host.access_log.read_text().splitlines()]
    return next(line for line in lines if line["request_id"] == request_id)


def test_a_request_reaches_the_application_and_its_answer_comes_back(served: Host) -> None:
    answer = get(served, "/some/path?q=1")
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["REMOTE_ADDR"]) == (
        "/some/path",
        "q=1",
        "127.0.0.1",
    )
    assert not [name for name in seen if name.startswith("UWSGI_")], "uWSGI would load what a request names"


def test_the_request_id_is_nginx_own_for_client_application_and_log(served: Host) -> None:
    answer = get(served, "/", {"X-Request-Id": "made up by a client"})
    ids = answer.headers.get_list("x-request-id")
    assert len(ids) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", ids[0])
    assert answer.json()["HTTP_X_REQUEST_ID"] == ids[0]
    assert log_line(served, ids[0])["status"] == 200


def test_a_log_line_is_json_whatever_the_client_sends(served: Host) -> None:
    agent = 'a "quoted" \\ agent\twith a tab'
    answer = get(served, "/path?x='\"", {"User-Agent": agent, "Referer": 'https://x.example/"'})
    entry = log_line(served, answer.headers["x-request-id"])
    assert entry["user_agent"] == agent
    assert entry["referer"] == 'https://x.example/"'
    assert entry["release"] == "r1"
    assert entry["upstream_status"] == "200"
    assert isinstance(entry["request_time"], float)


def test_headers_that_claim_a_proxy_are_not_believed(served: Host) -> None:
    claims = {
        "Proxy": "http://evil.example",
        "X-Forwarded-For": "198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=198.51.100.1;proto=https",
    }
    seen = get(served, "/", claims).json()
    assert {name: value for name, value in seen.items() if "FORWARD" in name or "PROXY" in name} == {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_PROTO": "http",
    }


def test_the_release_is_told_to_the_host_itself_and_to_nobody_else(served: Host) -> None:
    assert "x-flask-release" not in get(served, "/").headers
    answer = get(served, "/", port=served.loopback)
    assert answer.headers["x-flask-release"] == "r1"
    assert answer.json()["HTTP_HOST"] == "203.0.113.7", "the application sees the site's own name"
    assert "Active connections" in get(served, "/nginx_status", port=served.loopback).text
    assert "PATH_INFO" in get(served, "/nginx_status").json(), (
        "on the public port this is the application's path"
    )


def test_neither_nginx_nor_its_error_pages_tell_a_version(served: Host) -> None:
    assert get(served, "/").headers["server"] == "nginx"
    refused = get(served, "/.git/config")
    assert refused.headers["server"] == "nginx"
    assert "<center>nginx</center>" in refused.text


def test_security_headers_of_a_page(served: Host) -> None:
    headers = get(served, "/page").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"


def test_data_is_not_framed_so_it_has_no_frame_header(served: Host) -> None:
    headers = get(served, "/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-frame-options" not in headers


def test_the_application_has_the_last_word_on_its_headers(served: Host) -> None:
    headers = get(served, "/own").headers
    assert headers.get_list("x-frame-options") == ["DENY"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]


def test_compression_where_it_pays(served: Host) -> None:
    large = get(served, "/large", {"Accept-Encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip"
    assert large.headers["vary"] == "Accept-Encoding"
    assert large.text == "x" * 20000
    assert "content-encoding" not in get(served, "/page", {"Accept-Encoding": "gzip"}).headers


def test_hidden_files_do_not_reach_the_application(served: Host) -> None:
    for path in ("/.git/config", "/.env", "/a/.htpasswd", "/.well-knownish/x"):
        assert get(served, path).status_code == 404, path
    assert get(served, "/.well-known/security.txt").status_code == 200


def test_a_body_above_the_limit_is_refused_and_one_at_it_arrives(served: Host) -> None:
    address = f"http://127.0.0.1:{served.public}/length"
    assert httpx.post(address, content=b"x" * (1024 * 1024 + 1), timeout=20).status_code == 413
    answer = httpx.post(address, content=b"x" * 1024 * 1024, timeout=20)
    assert answer.json()["length"] == str(1024 * 1024)


def test_a_body_that_the_application_ignores_is_no_error(served: Host) -> None:
    for _ in range(20):
        assert (
            httpx.post(f"http://127.0.0.1:{served.public}/", content=b"x" * 900_000, timeout=20).status_code
            == 200
        )


def test_headers_as_large_as_nginx_takes_are_not_too_large_for_uwsgi(served: Host) -> None:
    # One header fills one buffer of 8 KiB with its line break; the request line fills the first.
    path = "/" + "p" * 7500
    headers = "".join(f"X-Large-{number}: {'h' * 8000}\r\n" for number in range(3))
    small = "".join(f"A{number}: {'s' * 20}\r\n" for number in range(20))
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{small}{headers}\r\n"
    assert raw(served, request.encode()).startswith(b"HTTP/1.1 200 ")


def test_larger_headers_get_an_answer_from_nginx_that_says_so(served: Host) -> None:
    long_header = f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {'c' * 9000}\r\n\r\n"
    assert raw(served, long_header.encode()).startswith(b"HTTP/1.1 400 ")
    long_line = f"GET /{'p' * 9000} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    assert raw(served, long_line.encode()).startswith(b"HTTP/1.1 414 ")


def test_an_error_of_the_application_is_passed_on_as_it_is(served: Host) -> None:
    answer = get(served, "/failing")
    assert (answer.status_code, answer.text) == (503, "closed for today")
    assert "retry-after" not in answer.headers


def test_a_file_like_object_without_a_descriptor_is_sent(served: Host) -> None:
    # Flask's send_file(BytesIO(…)) ends here.
    answer = get(served, "/file")
    assert (answer.status_code, answer.text) == (200, "a,b\n")


def test_an_application_that_is_not_there_gives_a_page_and_a_time(broken: Host) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"http://127.0.0.1:{broken.public}/any", timeout=20)
        assert answer.status_code == 502
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "Back in a moment" in answer.text


def test_the_error_page_has_no_address_of_its_own(broken: Host) -> None:
    assert httpx.get(f"http://127.0.0.1:{broken.public}/.flask-unavailable", timeout=20).status_code == 404


def test_unknown_hosts_are_not_answered_when_the_site_has_a_name(named: Host) -> None:
    for name in ("evil.example", "127.0.0.1", "localhost"):
        request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        assert raw(named, request.encode()) == b"", name
    known = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
    assert raw(named, known).startswith(b"HTTP/1.1 502 ")


# What a site without a name is called by: its address, the one that the request came to (a private one, a tunnel's).
ITS_ADDRESSES = ("203.0.113.7", "203.0.113.7:8080", "127.0.0.1", "localhost", "localhost:5000")
OTHER_NAMES = (
    "evil.example", "203.0.113.8", "203.0.113.77", "203.0.113.7.evil.example", "evil.example.203.0.113.7",
    "203x0x113x7", "203.0.113.7 evil.example", "evil.example 203.0.113.7", "127.0.0.1 127.0.0.1", "1 127.0.0.1",
    "127.0.0.2", "127.0.0.1x", "localhost.evil.example", "203.0.113.7|", "[::1]", "__SERVER_ADDRESS__", "_", "loopback",
)  # fmt: skip


def test_a_site_without_a_name_answers_to_its_addresses(served: Host) -> None:
    for name in ITS_ADDRESSES:
        request = f"GET /named HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        assert raw(served, request.encode()).startswith(b"HTTP/1.1 200 "), name
    assert raw(served, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 "), "a balancer's check"
    assert get(served, "/", {"Host": "any.example"}, port=served.loopback).status_code == 200


def test_a_site_without_a_name_answers_to_no_other(served: Host) -> None:
    for name in OTHER_NAMES:
        for request in (
            f"GET /strange HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n",
            f"GET http://{name}/strange HTTP/1.1\r\nHost: 203.0.113.7\r\nConnection: close\r\n\r\n",
        ):
            assert raw(served, request.encode())[:12] in (b"", b"HTTP/1.1 400"), request
    entry = log_line(served, get(served, "/").headers["x-request-id"])
    assert entry["uri"] == "/"
    refused = [line for line in served.access_log.read_text().splitlines() if "strange" in line]
    assert [line for line in refused if json.loads(line)["status"] != 400] == [], "scanners fill no log"


def test_what_a_trusted_proxys_visitors_call_the_site_is_its_affair() -> None:
    for trusted, answered in ((("127.0.0.0/8",), True), (("198.51.100.0/24",), False)):
        settings = small(socket="unix", processes=1, trusted_proxies=trusted)
        with rig.host(settings) as host, rig.uwsgi(host, APPLICATION), rig.nginx(host):
            request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
            assert (b'"HTTP_HOST": "www.example.com"' in raw(host, request)) is answered


def test_nothing_alarming_in_the_error_log(served: Host) -> None:
    get(served, "/")
    text = served.error_log.read_text() if served.error_log.exists() else ""
    alarming = [line for line in text.splitlines() if re.search(r"\[(alert|emerg|crit|warn)\]", line)]
    assert alarming == []


def test_configuration_as_rendered_has_no_path_left_of_the_real_host(served: Host) -> None:
    """Guards the rig: a file that is not moved would be the real one."""
    text = "\n".join(file.read_text() for file in Path(served.root / "etc/nginx").rglob("*.conf"))
    for place in rig.OWN_PLACES:
        assert not re.search(rf"(?<!{re.escape(str(served.root))}){re.escape(place)}", text), place
