"""What goes wrong on a server goes wrong for real here, and a reader sees good answers all the while.

All by `flask-release` on one server, whose stack releases nothing meanwhile.
"""

import json
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import broken_apps
from tests.e2e.broken_apps import good
from tests.e2e.deployment import Deployment
from tests.e2e.direct import (
    NO_VARIABLES,
    TOOL,
    Server,
    ask,
    connected,
    finish,
    until_answered,
    visiting,
)
from tests.host.release_tool.fake_host import Ran

# From here on the traffic has moved, so that a release that was killed may have been seen.
MOVED = ("watch", "record", "drain", "processes")
# An index on a port where nobody listens.
NOBODY = "http://127.0.0.1:9/simple"


@pytest.fixture(scope="module")
def site(deployed: Deployment) -> Iterator[Server]:
    """A server on which the release "old" serves."""
    with connected(deployed) as server:
        released = server.release(good("old"))
        assert released.code == 0, released.err
        yield server


def well(site: Server, serves: str) -> None:
    """The site serves this; the tool says that all is well, and nothing unfinished is on disk."""
    assert ask(site.address) == serves
    status = site.run(f"{TOOL} status")
    assert status.code == 0, status.out
    parts = "find /srv/flask /etc/flask /run/flask /var/lib/flask /root/waiting -name '.part-*' -o -name '.gone-*'"
    unfinished = "for venv in /srv/flask/venvs/*; do test -e $venv/.complete || echo $venv; done"
    assert site.must(f"{parts}; {unfinished}") == ""


def refused(site: Server, serves: str, seen: list[str], ran: Ran, *words: str) -> None:
    """The release failed with these words, and nothing but what served before was seen then and is there now."""
    assert ran.code == 1, ran.out + ran.err
    for word in words:
        assert word in ran.err
    assert set(seen) == {serves}
    well(site, serves)
    states = [row["state"] for row in json.loads(site.must(f"{TOOL} releases --json"))]
    assert "never served" not in states


# Applications


def test_application_that_answers_500(site: Server) -> None:
    old = ask(site.address)
    with visiting(site.address) as seen:
        ran = site.release(broken_apps.failing("500"))
    refused(site, old, seen, ran, "with status 500 instead of 200", "RuntimeError: the database is gone")


@pytest.mark.parametrize(
    ("application", "words"),
    [
        (broken_apps.hanging_at_import, "import did not end within 3 s"),
        (broken_apps.hanging_at_start, "no good answer within 3 s"),
        (broken_apps.hanging_at_health, "no good answer within 3 s"),
    ],
)
def test_application_that_hangs(site: Server, application: Callable[[str], str], words: str) -> None:
    old = ask(site.address)
    with visiting(site.address) as seen, site.settings(check={"timeout": 3}):
        ran = site.release(application("hanging"))
    refused(site, old, seen, ran, words)


def test_application_that_eats_memory_is_the_one_that_ends(site: Server) -> None:
    old = ask(site.address)
    with visiting(site.address) as seen, site.memory(320), site.settings(check={"timeout": 3}):
        ran = site.release(broken_apps.eating_memory("hungry"))
    refused(site, old, seen, ran, "did not pass the check at /healthz")
    # A worker of its own, as its master says, or the master as well, as systemd does.
    assert re.search("killed by signal 9|code=killed", ran.err)
    # What serves is not the kernel's first choice.
    assert set(site.must("cat $(pgrep -x uwsgi | sed 's,.*,/proc/&/oom_score_adj,')").split()) == {"0"}


# Requirements


@pytest.mark.parametrize(
    ("change", "environment", "words"),
    [
        (lambda _: "flask==99.0\n", "", "does not exist in this version"),
        (
            lambda lock: re.sub("sha256:([0-9a-f]+)", lambda found: "sha256:" + found[1][::-1], lock),
            "",
            "is not the one whose hash is in the requirements",
        ),
        (
            lambda lock: lock + "# another lock\n",
            f"PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL={NOBODY} PIP_RETRIES=1",
            "the package index cannot be reached from this host",
        ),
    ],
    ids=["not-there", "wrong-hash", "index-down"],
)
def test_requirements(site: Server, change: Callable[[str], str], environment: str, words: str) -> None:
    old = ask(site.address)
    with visiting(site.address) as seen:
        ran = site.release(good("not installed"), change(site.requirements), environment)
    refused(site, old, seen, ran, words)


# The disk


@pytest.mark.parametrize(
    ("measure", "option", "words"),
    [
        # Too small for what the tool knows that it needs, and at its end before that: it has too few inodes.
        ("du -sm {} | cut -f1", "size={}m", "MiB free and the release needs"),
        ("find {} | wc -l", "nr_inodes={}", "The disk became full while"),
    ],
    ids=["too-small", "becomes-full"],
)
def test_full_disk(site: Server, measure: str, option: str, words: str) -> None:
    old = ask(site.address)
    spare = int(site.must(measure.format("/srv/flask"))) + 4
    with visiting(site.address) as seen:
        with site.small_disk("/srv/flask", option.format(spare)):
            ran = site.release(good("does not fit"))
            assert "does not fit" not in site.must("grep -rl 'does not fit' /srv/flask || true")
        refused(site, old, seen, ran, words, "nothing was changed")
        # With room again it is a release like any other.
        ran = site.release(good(f"fits after {option}"))
        assert ran.code == 0, ran.err
    assert set(seen) == {old, f"fits after {option}"}
    well(site, f"fits after {option}")


# Two at once


def test_two_releases_at_once(site: Server) -> None:
    old = ask(site.address)
    first, second = site.archive(good("first")), site.archive(good("second"))
    with visiting(site.address) as seen:
        at_work = site.start_struck(first, signal.SIGSTOP, at="compile")
        assert at_work.stdout
        assert at_work.stdout.readline() == b"compile\n"
        with site.settings(lock_seconds=0):
            ran = site.run(f"{TOOL} release {second}", NO_VARIABLES)
            refused_by_lock = ran.code, ran.err
        waiting = site.start(f"{TOOL} release {second}", NO_VARIABLES)
        assert waiting.stderr
        assert b"waiting for process" in waiting.stderr.readline()
        site.must("pkill -CONT -f /root/struck.py")
        done = finish(at_work), finish(waiting)
    assert refused_by_lock[0] == 1
    assert re.search(
        r"held by process \d+ \(root from .*\), release .* at: compile; nothing", refused_by_lock[1]
    )
    assert [ran.code for ran in done] == [0, 0], done
    assert done[1].result["previous"] == done[0].result["release"]
    assert set(seen) <= {old, "first", "second"}
    well(site, "second")


# Kills


def test_killed_at_every_step(site: Server) -> None:
    old = ask(site.address)
    lock = site.requirements + "# a new one, so that there is an environment to build\n"
    interrupted = "grep -c interrupted /var/log/flask/releases.jsonl || true"
    before = int(site.must(interrupted))
    passed: list[str] = []
    may_be_seen = {old}
    with visiting(site.address) as seen:
        # Each run repairs what the one before left, and is killed one step later itself.
        while True:
            name = f"number {len(passed)}"
            ran = finish(site.start_struck(site.archive(good(name), lock), signal.SIGKILL, passed=passed))
            if ran.code == 0:
                break
            place = ran.out.splitlines()[-1]
            assert place not in passed, ran.err
            passed.append(place)
            if place in MOVED:
                may_be_seen.add(name)
            noted = json.loads(site.must("cat /var/lib/flask/release.lock"))["step"]
            assert noted == re.sub(r" 2$|\+$", "", place)
    assert {"unpack", "environment", "environment+", "compile", "gate", "switch", *MOVED} <= set(passed)
    assert set(seen) <= {*may_be_seen, name}
    assert int(site.must(interrupted)) == before + len(passed)
    well(site, name)


# The live slot's uWSGI, which is the master of its workers.
MASTER = "$(systemctl show -p MainPID flask-app@$(basename $(readlink /srv/flask/live)) | cut -d= -f2)"


def test_uwsgi_worker_killed(site: Server) -> None:
    old = ask(site.address)
    workers = site.must(f"pgrep -P {MASTER}").split()
    with visiting(site.address) as seen:
        site.must(f"kill -9 {workers[0]}; while kill -0 {workers[0]} 2>&-; do sleep 0.1; done")
        site.must(f"until [ $(pgrep -P {MASTER} | wc -l) = {len(workers)} ]; do sleep 0.1; done")
    # At most the one that it was at.
    assert len([answer for answer in seen if answer != old]) <= 1
    well(site, old)


def test_uwsgi_master_killed(site: Server) -> None:
    old = ask(site.address)
    with visiting(site.address) as seen:
        site.must(f"kill -9 {MASTER}")
        until_answered(site.address, "status 502")
        # Its workers end with it; systemd waits a little, and starts another.
        until_answered(site.address, old)
    assert set(seen) <= {old, "status 502"}
    well(site, old)


def test_nginx_master_killed(site: Server) -> None:
    old = ask(site.address)
    master = site.must("systemctl show -p MainPID --value nginx")
    with visiting(site.address) as seen:
        # It is up again although what it left had the port.
        site.must(f"kill -9 {master}; while kill -0 {master} 2>&-; do sleep 0.1; done")
        site.must("until systemctl is-active --quiet nginx; do sleep 0.1; done")
        until_answered(site.address, old)
    assert all(answer == old or "Error" in answer or "Disconnected" in answer for answer in seen)
    assert site.must("systemctl show -p MainPID --value nginx") != master
    well(site, old)


# Reboots


def test_sleeping_slot_killed(site: Server) -> None:
    """It is not started anew beside what serves, and a rollback to its release starts it all the same."""
    assert site.release(good("newer")).code == 0
    (asleep,) = re.findall(r"([ab])\.asleep", site.must("ls /run/flask"))
    unit = f"flask-app@{asleep}"
    site.must(f"kill -9 $(systemctl show -p MainPID {unit} | cut -d= -f2)")
    site.must(f"while [ $(systemctl is-active {unit}) = activating ]; do sleep 0.1; done")
    assert site.run(f"systemctl is-active {unit}").out.strip() == "inactive"
    well(site, "newer")
    with visiting(site.address) as seen:
        assert site.run(f"{TOOL} rollback").code == 0
    assert "newer" not in ask(site.address)
    assert set(seen) <= {"newer", ask(site.address)}


def test_reboot(site: Server) -> None:
    old = ask(site.address)
    site.reboot()
    until_answered(site.address, old)
    well(site, old)


@pytest.mark.parametrize(
    ("step", "down"), [("gate", Server.reboot), ("watch", Server.cut_the_power)], ids=["reboot", "power-cut"]
)
def test_reboot_in_the_middle_of_a_release(site: Server, step: str, down: Callable[[Server], None]) -> None:
    old = ask(site.address)
    archive = site.archive(good(f"half-way at {step}"))
    at_work = site.start_struck(archive, signal.SIGSTOP, at=step)
    assert at_work.stdout
    assert at_work.stdout.readline() == f"{step}\n".encode()
    assert ask(site.address) == (f"half-way at {step}" if step in MOVED else old)
    down(site)
    finish(at_work)
    until_answered(site.address, old)
    with visiting(site.address) as seen:
        ran = site.run(f"{TOOL} release {archive}", NO_VARIABLES)
        assert ran.code == 0, ran.err
        assert f"killed at: {step}" in site.must(f"cat /var/log/flask/releases.jsonl; echo {ran.err!r}")
    assert set(seen) <= {old, f"half-way at {step}"}
    well(site, f"half-way at {step}")


# nginx


def test_nginx_configuration_that_does_not_parse(site: Server) -> None:
    old = ask(site.address)
    places = "/etc/nginx /etc/flask/uwsgi /etc/systemd/system /opt/flask/lib"
    files = f"find {places} -type f ! -name '*.pyc' | sort | xargs sha256sum"
    before = site.must(files)
    bundle = "rm -rf /root/bundle; cp -a $(ls -td /var/lib/flask/host/*/ | head -n 1) /root/bundle; cd /root/bundle"
    site.must(
        f"{bundle}; echo 'no_such_word on;' >> etc/nginx/flask/gzip.conf; echo '# new' >> etc/flask/uwsgi/slot.ini"
    )
    with visiting(site.address) as seen:
        ran = site.run(f"{TOOL} configure /root/bundle")
        # What was not taken up does not come back with a reload or a release, either.
        site.must("nginx -t -q && systemctl reload nginx")
        released = site.release(good("after the refusal"))
    assert ran.code == 1, ran.err
    assert 'unknown directive "no_such_word"' in ran.err
    assert "The host's files are as they were before." in ran.err
    assert site.must(files) == before
    assert released.code == 0, released.err
    assert set(seen) == {old, "after the refusal"}
    well(site, "after the refusal")
