"""Releases that must not serve: each leaves what served before, and says what to do."""

from __future__ import annotations

import errno
import socket
import tarfile

import pytest

from .fake_host import APPLICATION, FakeHost, Ran, module, pack


@pytest.fixture
def serving(host: FakeHost) -> FakeHost:
    """A host that serves release "good"."""
    assert host.release(host.archive("good")).code == 0
    return host


def refused(host: FakeHost, ran: Ran, *words: str) -> None:
    """The run failed, told these words in one last paragraph, and changed nothing."""
    assert ran.code == 1, ran.out
    paragraph = ran.err.strip().splitlines()[-1]
    assert paragraph.startswith("error: ")
    for word in words:
        assert word in ran.err
    assert ran.out == ""
    assert host.visit() == (200, "hello from good")
    assert host.running() == {"a"}
    assert host.traffic() == "a"
    live = host.live()
    assert live
    releases = {path.name for path in (host.root / "srv/flask/releases").iterdir()}
    assert releases == {live[1]}


def answering(status: str, body: str = "no") -> str:
    return f"def app(environ, start):\n    start('{status}', [])\n    return [b'{body}']\n"


def test_application_that_does_not_import(serving: FakeHost) -> None:
    ran = serving.release(serving.archive("bad", "import nothing_of_that_name\n"))
    refused(
        serving, ran, "Traceback", "No module named 'nothing_of_that_name'", "site_app:app cannot be imported"
    )
    assert ran.err.count("Traceback") == 1


def test_import_that_is_killed(serving: FakeHost) -> None:
    ran = serving.release(serving.archive("bad", "import os\nos.kill(os.getpid(), 9)\n"))
    refused(serving, ran, "import of site_app:app was ended by signal 9 (most likely for want of memory)")


def test_callable_that_is_not_there(serving: FakeHost) -> None:
    refused(serving, serving.release(serving.archive("bad", callable="application")), "has no application")


def test_import_that_hangs(serving: FakeHost) -> None:
    serving.configure(check={"timeout": 0.5})
    ran = serving.release(
        serving.archive("bad", "import time\nprint('working on it', flush=True)\ntime.sleep(60)\n")
    )
    refused(serving, ran, "working on it", "did not end within 0.5 s")


def test_answers_500(serving: FakeHost) -> None:
    ran = serving.release(
        serving.archive("bad", "print('said by the application', flush=True)\n" + answering("500 E", "oops"))
    )
    refused(serving, ran, "status 500 instead of 200: oops", "said by the application", "10 times in a row")


def test_redirect_tells_where_to(serving: FakeHost) -> None:
    application = (
        "def app(e, start):\n    start('302 Found', [('Location', 'https://example/')])\n    return []\n"
    )
    refused(
        serving,
        serving.release(serving.archive("bad", application)),
        "status 302 instead of 200 to https://example/",
    )


def test_body_without_the_expected_text(serving: FakeHost) -> None:
    serving.configure(check={"body": "hello from", "interval": 0.01})
    refused(
        serving, serving.release(serving.archive("bad", answering("200 OK"))), "no 'hello from' in the body"
    )
    assert serving.release(serving.archive("better")).code == 0


def test_request_that_hangs(serving: FakeHost) -> None:
    serving.configure(check={"timeout": 1})
    application = "import time\ndef app(e, start):\n    time.sleep(1.5)\n"
    refused(
        serving,
        serving.release(serving.archive("bad", application)),
        "no good answer within 1 s",
        "no answer came in time",
    )


def test_slot_that_dies_at_its_start(serving: FakeHost) -> None:
    application = "import os, sys\nif 'uwsgi' in sys.argv[0]:\n    os._exit(22)\n" + APPLICATION
    refused(serving, serving.release(serving.archive("bad", application)), "it ended by itself")


def test_application_may_warm_up(host: FakeHost) -> None:
    application = (
        "count = 0\ndef app(e, start):\n    global count\n    count += 1\n"
        "    start('200 OK' if count > 15 else '503 Warming', [])\n    return [b'warm']\n"
    )
    assert host.release(host.archive("slow", application)).code == 0
    assert host.visit() == (200, "warm")


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("ERROR: No matching distribution found for flaask==9", "does not exist in this version"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "is not the one whose hash",
        ),
        (
            "WARNING: Retrying: NewConnectionError('refused')\nERROR: No matching distribution found for flask",
            "the package index cannot be reached from this host",
        ),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("something else altogether", "pip ended with 1"),
    ],
)
def test_requirements_that_cannot_be_installed(serving: FakeHost, printed: str, words: str) -> None:
    serving.fail("pip", printed)
    ran = serving.release(serving.archive("bad", requirements="flaask==9\n"))
    refused(serving, ran, printed, words)
    assert len(list((serving.root / "srv/flask/venvs").iterdir())) == 1
    serving.mend("pip")
    assert serving.release(serving.archive("bad", requirements="flaask==9\n")).code == 0


def test_no_room_on_the_disk(serving: FakeHost) -> None:
    archive = module("archive")
    with pytest.raises(module("problem").Problem, match="MiB free and the release needs"):
        archive.check_space(serving.root, 2**60, "the release")


def test_disk_that_becomes_full_while_unpacking(serving: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = module("archive")
    found = archive.read(serving.archive("bad"))
    monkeypatch.setattr(archive.shutil, "copyfileobj", out_of_space)
    with pytest.raises(module("problem").Problem, match="The disk became full"):
        archive.unpack(found, serving.root / "srv/flask/releases/.part-bad", "instance")


def out_of_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("app/../../outside", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("elsewhere/file", tarfile.REGTYPE),
        ("app/link", tarfile.SYMTYPE),
        ("app/device", tarfile.CHRTYPE),
        ("app/site_app.py", tarfile.REGTYPE),
    ],
)
def test_archive_with_what_a_release_must_not_hold(serving: FakeHost, name: str, kind: bytes) -> None:
    special = tarfile.TarInfo(name)
    special.type, special.linkname = kind, "/etc/shadow"
    archive = serving.archive("bad")
    contents = {
        "release.json": '{"id": "abcdef", "module": "site_app", "callable": "app"}',
        "requirements.txt": "",
        "app/site_app.py": "",
    }
    refused(
        serving, serving.release(pack(archive, contents, special)), repr(name), "which a release must not"
    )


def test_archive_that_is_not_there_or_damaged(serving: FakeHost) -> None:
    refused(serving, serving.run("release", str(serving.root / "none.tar.gz"), stdin="{}"), "is not there")
    archive = serving.archive("bad")
    archive.write_bytes(archive.read_bytes()[:200])
    refused(serving, serving.release(archive), "is no whole tar.gz archive")


@pytest.mark.parametrize(
    "text", ["not json: s3cr3t", '["s3cr3t"]', '{"env": {"A": 7}}', '{"env": {"A B": "s3cr3t"}}']
)
def test_stdin_that_is_no_request(serving: FakeHost, text: str) -> None:
    ran = serving.run("release", str(serving.archive("bad")), stdin=text)
    refused(serving, ran, "error:")
    assert "s3cr3t" not in ran.err


def test_nginx_that_does_not_serve_the_release(serving: FakeHost) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        verify = serving.settings["verify_address"]
        serving.configure(verify_address=address)
        ran = serving.release(serving.archive("bad"))
    serving.configure(verify_address=verify)
    refused(serving, ran, "nginx does not serve release", "Connection refused")


def test_first_release_that_fails_leaves_nothing(host: FakeHost) -> None:
    assert host.release(host.archive("bad", answering("500 E"))).code == 1
    assert (host.live(), host.traffic(), host.running()) == (None, None, set())
    assert list((host.root / "srv/flask/releases").iterdir()) == []
    assert list((host.root / "etc/flask/env").iterdir()) == []


def test_settings_that_are_wrong(serving: FakeHost) -> None:
    serving.configure(keep_releases="five")
    refused(
        serving, serving.release(serving.archive("bad")), "host.json: keep_releases is 'five'", "a number"
    )
