"""An application that is an intruder's: it harms itself, and neither the server, its operator nor the next release.

The intruder has the application's account, through a hole in a release that serves. Each test is one of his ideas; the
numbers are those of docs/adr/0015.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from http.client import HTTPConnection
from textwrap import dedent

import pytest

from tests.e2e import broken_apps
from tests.e2e.broken_apps import good, with_a_hole
from tests.e2e.deployment import STACK, Deployment
from tests.e2e.direct import TOOL, Server, ask, connected, until_answered, visiting
from tests.host.release_tool.fake_host import Ran

# What root owns, and nobody else may change.
_TREASURE = "/etc/treasure"
_DATA = "/srv/flask/shared/instance"


@pytest.fixture(scope="module")
def site(deployed: Deployment) -> Iterator[Server]:
    """A server on which a release with a hole serves."""
    with connected(deployed) as server:
        server.must(f"echo untouched > {_TREASURE}; chmod 600 {_TREASURE}")
        # How long a slot that lies about its requests is waited for.
        with server.settings(drain_seconds=2):
            yield server


@pytest.fixture
def holed(site: Server) -> str:
    """A release with a hole serves; returns its slot."""
    return opened(site, "holed")


def opened(site: Server, name: str) -> str:
    """Have a release with a hole serve, if it does not; return its slot."""
    if ask(site.address) != name:
        ran = site.release(with_a_hole(name))
        assert ran.code == 0, ran.err
    slot: str = json.loads(site.must(f"{TOOL} status --json"))["live"]["slot"]
    return slot


def intrude(site: Server, line: str, status: int | None = 0) -> str:
    """Run a line as the intruder; `status` is how it has to end, None: in any way."""
    connection = HTTPConnection(site.address, timeout=60)
    try:
        connection.request("POST", "/hole", body=line.encode())
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        ended = int(answer.headers.get("X-Status", 999))
    finally:
        connection.close()
    assert status is None or ended == status, text
    return text.strip()


def background(program: str, *arguments: str) -> str:
    """A line that leaves a Python program running, by itself."""
    packed = base64.b64encode(dedent(program).encode()).decode()
    words = " ".join(arguments)
    return (
        f"setsid -f python3 -c \"import base64; exec(base64.b64decode('{packed}'))\" {words} >/dev/null 2>&1 &&"
        " sleep 0.5"
    )


def in_order(ran: Ran) -> None:
    """The operator's command ended in a way that was meant: no traceback, no fault of the tool's own."""
    for text in (ran.out, ran.err):
        assert "Traceback" not in text
        assert "a fault of flask-release" not in text


def safe(site: Server) -> None:
    """What is root's is as it was."""
    assert site.must(f"cat {_TREASURE}") == "untouched"
    assert site.must(f"stat -c '%a %U' {_TREASURE}") == "600 root"


def corrected(site: Server, name: str) -> None:
    """A release without the hole serves at the first try, and nothing of the intruder's goes on."""
    with visiting(site.address) as seen:
        ran = site.release(good(name))
    in_order(ran)
    assert ran.code == 0, ran.err
    assert not [answer for answer in seen if answer.startswith("status 5")], seen
    until_answered(site.address, name)
    status = site.run(f"{TOOL} status --json")
    assert status.code == 0, status.out
    safe(site)


# Answers whoever asks with what is in a file.
LIAR = """
    import os, socket, sys
    path, file = sys.argv[1:]
    os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        connection, _ = listener.accept()
        try:
            connection.sendall(open(file, "rb").read())
        except OSError:
            pass
        connection.close()
"""
LIES = (
    # Of a path for a process: root wrote to it.
    json.dumps({"pid": f"..{_DATA}/x", "workers": [{"pid": f"..{_DATA}/x"}]}),
    # systemd's own.
    json.dumps({"pid": 1, "workers": [{"id": 1, "pid": 1, "last_spawn": 1}]}),
    json.dumps({"workers": [1], "sockets": "x"}),
    json.dumps({"listen_queue": "many", "workers": [{"cores": [{"in_request": "x"}]}]}),
    "[" * 20000,
    '{"listen_queue": 1e999, "workers": [{"id": ' + "9" * 5000 + "}]}",
    "\x1b[2J" * 100,
)


def test_statistics_that_lie(site: Server) -> None:
    """K1, K4: root wrote to a path made of the answer, and the operator's commands ended in tracebacks."""
    slot = opened(site, "lies")
    intrude(site, f"mkdir -p {_DATA}/x && ln -sfn {_TREASURE} {_DATA}/x/oom_score_adj && : > {_DATA}/lie")
    intrude(site, background(LIAR, f"/run/flask/{slot}/stats.sock", f"{_DATA}/lie"))
    commands = "; ".join(
        f"{TOOL} {command}" for command in ("status --json", "doctor --json", "metrics", "prune")
    )
    for lie in LIES:
        site.must(f"cat > {_DATA}/lie", lie)
        in_order(site.run(commands))
    assert site.must("cat /proc/1/oom_score_adj") == "0"
    corrected(site, "after the lies")
    ran = site.run(f"{TOOL} rollback")
    in_order(ran)
    assert ran.code == 0, ran.err
    safe(site)


@pytest.mark.parametrize("name", ["fifo", "stats.sock", "app.sock"])
def test_things_in_the_place_of_others(site: Server, name: str) -> None:
    """K2: root opened what lay at the pipe's path, and wrote into it."""
    serves = f"with its {name}"
    slot = opened(site, serves)
    for line in ("mkdir -p $X/$X", "mkfifo $X", "touch $X", "true", f"ln -s {_TREASURE} $X"):
        script = f"cd /run/flask/{slot} && rm -rf {name} && X={name} && {line}"
        site.must(f"runuser -u flask -- sh -c '{script}'")
        in_order(site.run(f"{TOOL} status --json; {TOOL} doctor --json"))
    ran = site.release(good(f"after {name}"))
    in_order(ran)
    assert ran.code == 0, ran.err
    until_answered(site.address, f"after {name}")
    # It is good again once it is started anew, sleeping or not.
    ran = site.run(f"{TOOL} rollback")
    in_order(ran)
    assert ran.code == 0, ran.err
    until_answered(site.address, serves)
    safe(site)


def test_name_of_a_process_that_is_too_long(site: Server) -> None:
    """K3: the release switched, and nothing worked from then on."""
    assert site.release(good("before the long name")).code == 0
    ran = site.release(good("long name"), files={"Procfile": f"{'x' * 246}: sleep 60\n"})
    in_order(ran)
    assert ran.code == 1
    assert "longer than 64 characters" in ran.err
    assert ask(site.address) == "before the long name"
    assert site.run(f"{TOOL} prune").code == 0


def test_the_old_release_does_not_go_on_beside_the_new(site: Server) -> None:
    """K5: a process in the slot that sleeps sent the traffic back to it, and smoke said healthy."""
    slot = opened(site, "stays")
    intrude(site, background("import time; time.sleep(600)  # left-in-the-slot"))
    program = """
        import os, time
        while True:
            for link in ("/run/flask/current.sock", "/srv/flask/live"):
                try:
                    os.symlink("%s/app.sock", link + ".new")
                    os.rename(link + ".new", link)
                except OSError:
                    pass
            time.sleep(0.05)
    """
    intrude(site, background(program % slot))
    ran = site.release(good("not held back"))
    assert ran.code == 0, ran.err
    assert (
        f"slot {slot} is stopped, not kept ready for a rollback: processes that it started go on" in ran.err
    )
    until_answered(site.address, "not held back")
    unit = f"flask-app@{slot}.service"
    site.must(f"until [ $(systemctl is-active {unit}) != deactivating ]; do sleep 0.2; done")
    assert ask(site.address) == "not held back"
    only_slots_have_processes(site)


def test_one_that_kills_the_next_release_is_stopped_first(site: Server) -> None:
    """What docs/adr/0015 leaves: both slots have one account."""
    slot = opened(site, "kills")
    other = "b" if slot == "a" else "a"
    program = """
        import os, signal, time
        while True:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if "flask-app@%s" in open("/proc/" + pid + "/cgroup").read():
                        os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.01)
    """
    intrude(site, background(program % other))
    ran = site.release(good("killed"))
    in_order(ran)
    assert ran.code == 1
    assert f"systemctl stop flask-app@{slot}.service" in ran.err
    assert ask(site.address) == "kills"
    site.must(f"systemctl stop flask-app@{slot}")
    ran = site.release(good("not killed"))
    assert ran.code == 0, ran.err
    until_answered(site.address, "not killed")


def only_slots_have_processes(site: Server) -> None:
    """The account runs nothing else; the watch over memory is not the application's."""
    groups = site.must(
        "for pid in $(pgrep -U flask); do sed -n 's,.*/,,;/service\\|scope/p' /proc/$pid/cgroup | head -n 1; done"
        " | grep -v flask-metrics | sort -u"
    ).split()
    assert groups
    assert all(group.startswith("flask-app@") for group in groups), groups


@pytest.mark.parametrize("place", ["import", "release command", "run"])
def test_what_the_tool_runs_leaves_nothing_behind(site: Server, place: str) -> None:
    daemon = (
        "import subprocess; subprocess.Popen(['setsid', '-f', 'sleep', '4711'], close_fds=True,"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    )
    if place == "import":
        # Not in uWSGI: what is started there is the slot's.
        ran = site.release(with_a_hole("leaves", at_import=f"\nif not SERVES:\n    {daemon}"))
    elif place == "release command":
        ran = site.release(good("leaves"), files={"Procfile": "release: setsid -f sleep 4711\n"})
    else:
        assert site.release(good("leaves")).code == 0
        site.must(f"{TOOL} run setsid -f sleep 4711 >/dev/null 2>&1; pgrep -f 'sleep 4711'")
        ran = site.release(good("leaves nothing"))
    assert ran.code == 0, ran.err
    assert site.must("pgrep -fx 'sleep 4711' || echo none") == "none"


def test_only_what_it_needs_is_open_to_each_account(site: Server, holed: str) -> None:
    """K9: nginx was in the group that reads the application's secrets."""
    release = json.loads(site.must(f"{TOOL} status --json"))["live"]["release"]
    for account in ("www-data", "flask-build"):
        for file in (f"/etc/flask/env/{release}.env", f"{_DATA}/x"):
            ran = site.run(f"runuser -u {account} -- cat {file}")
            assert "Permission denied" in ran.err, (account, file)
    assert "Permission denied" in site.run(f"runuser -u flask-build -- ls /srv/flask/releases/{release}").err
    # The application, from inside.
    for place in (
        "/run/flask/x", "/run/flask/current.sock", "/srv/flask/x", f"/srv/flask/releases/{release}/x",
        "/srv/flask/venvs/x", "/etc/flask/x", "/var/log/flask/x", "/var/lib/flask/x", "/opt/flask/x",
        f"/run/flask/{'b' if holed == 'a' else 'a'}/x",
    ):  # fmt: skip
        said = intrude(site, f"ln -sfn nowhere {place}", status=None)
        assert "Permission denied" in said or "Read-only" in said, (place, said)
    # nginx would not start again beside it.
    bind = "python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 81))'"
    assert "Permission denied" in intrude(site, bind, status=1)
    assert intrude(site, "find /srv/flask/venvs -writable ! -type l 2>/dev/null") == ""


BACKEND = """
import os, subprocess, zipfile


def build_wheel(folder, config_settings=None, metadata_directory=None):
    seen = ["uid=%d" % os.getuid()]
    for place in PLACES:
        try:
            seen.append(place + " " + str(os.listdir(place) if os.path.isdir(place) else open(place).read()))
        except OSError as error:
            seen.append(place + " closed")
    for place in ("/srv/flask/releases/x", "/etc/x", "/opt/flask/x", "/srv/flask/shared/instance/x"):
        try:
            open(place, "w")
            seen.append("wrote " + place)
        except OSError:
            pass
    open("/tmp/seen", "w").write("\\n".join(seen))
    subprocess.Popen(["setsid", "-f", "sleep", "4712"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    name = "hostile_by_test-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("hostile.py", "")
        wheel.writestr(
            "hostile.pth",
            "import os; os.getuid() == 0 and open('/tmp/as-root', 'w').write('root ran what a package brought')",
        )
        wheel.writestr(
            "hostile_by_test-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\\nName: hostile-by-test\\nVersion: 1.0\\n",
        )
        wheel.writestr(
            "hostile_by_test-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        )
        wheel.writestr("hostile_by_test-1.0.dist-info/RECORD", "")
    return name
"""


def package(backend: str) -> bytes:
    """A source distribution that builds itself, so that nothing else is needed."""
    texts = {
        "hostile_by_test-1.0/pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
        "hostile_by_test-1.0/backend.py": backend,
        "hostile_by_test-1.0/PKG-INFO": "Metadata-Version: 2.1\nName: hostile-by-test\nVersion: 1.0\n",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def test_package_that_builds_itself(site: Server) -> None:
    """K7: its build ran as root."""
    release = json.loads(site.must(f"{TOOL} status --json"))["live"]["release"]
    places = [
        "/etc/flask/env",
        f"/etc/flask/env/{release}.env",
        _DATA,
        f"/srv/flask/releases/{release}",
        "/etc/shadow",
    ]
    site.must("rm -rf /tmp/seen /tmp/as-root; mkdir -p /srv/packages")
    site.must(
        "cat > /srv/packages/hostile_by_test-1.0.tar.gz", package(BACKEND.replace("PLACES", repr(places)))
    )
    # Without hashes, as the source distribution has another one each time.
    names = "\n".join(line.split()[0] for line in site.requirements.splitlines() if "==" in line)
    ran = site.release(
        good("with the package"), f"{names}\nhostile-by-test==1.0\n", "PIP_FIND_LINKS=/srv/packages"
    )
    assert ran.code == 0, ran.err
    seen = site.must("cat /tmp/seen").splitlines()
    assert seen[0] == "uid=" + site.must("id -u flask-build")
    assert seen[1:] == [f"{place} closed" for place in places]
    assert site.must("pgrep -U flask-build || echo none") == "none"
    assert site.must("find /srv/flask/venvs ! -user root -o -perm /022 ! -type l") == ""
    # What it left runs where the application runs: another release, a rollback and a doctor, all by root.
    assert site.release(good("after the package"), f"{names}\nhostile-by-test==1.0\n").code == 0
    assert site.run(f"{TOOL} rollback").code == 0
    site.run(f"{TOOL} doctor")
    assert site.must("cat /tmp/as-root 2>/dev/null || echo never") == "never"


def test_full_disk_keeps_neither_boot_nor_rollback(site: Server) -> None:
    """K8: the boot could not write, and started no slot."""
    assert site.release(good("before the disk was full")).code == 0
    slot = opened(site, "fills the disk")
    size = int(site.must("du -sm /srv/flask | cut -f1")) + 4
    with site.small_disk("/srv/flask", f"size={size}m"), site.small_disk("/var/lib/flask", "size=64m"):
        site.must("cat /dev/zero > /var/lib/flask/full 2>/dev/null || true")
        site.must(f"systemctl restart flask-app@{slot}")
        until_answered(site.address, "fills the disk")
        intrude(site, f"cat /dev/zero > {_DATA}/full", status=None)
        assert site.must("df --output=avail /srv/flask | tail -n 1").strip() == "0"
        # As after a boot: nothing runs, /run is empty.
        site.must(f"systemctl stop flask-app@{slot}; rm -f /run/flask/current.sock")
        in_order(site.run(f"{TOOL} boot"))
        until_answered(site.address, "fills the disk")
        ran = site.run(f"{TOOL} rollback")
        in_order(ran)
        assert ran.code == 0, ran.err
        assert ask(site.address) == "before the disk was full"
        ran = site.release(good("no room"))
        in_order(ran)
        assert ran.code == 1
        assert "Make room" in ran.err
    # The mounts took the record of the rollback with them.
    in_order(site.run(f"{TOOL} boot"))
    until_answered(site.address, "fills the disk")
    corrected(site, "with room again")


def test_run_is_not_filled(site: Server, holed: str) -> None:
    intrude(site, f"cd /run/flask/{holed}; head -c 200M /dev/zero > x; mkdir -p $(seq -s / 200)", status=None)
    assert int(site.must("df --output=used -k /run | tail -n 1")) < 20_000
    corrected(site, "beside a full folder")


def test_memory(site: Server) -> None:
    """What takes it is ended; the rest of the application answers on."""
    opened(site, "hungry")
    eater = (
        f"python3 -c \"x = [bytearray(b'x' * (1 << 20)) for _ in range({broken_apps.MOST_MEMORY >> 20})]\""
    )
    with site.memory(400):
        intrude(site, eater, status=None)
        until_answered(site.address, "hungry")
        assert site.run(f"{TOOL} status").out
    corrected(site, "after the hunger")


def test_index_that_goes_away_in_the_middle(site: Server) -> None:
    old = ask(site.address)
    index = """
        import http.server
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                if self.path.endswith(".whl"):
                    self.send_header("Content-Length", "1000000")
                    self.end_headers()
                    self.wfile.write(b"PK" * 1000)
                    return
                body = b'<a href="/gone-1.0-py3-none-any.whl">gone-1.0-py3-none-any.whl</a>'
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *_):
                pass
        http.server.HTTPServer(("127.0.0.1", 8123), Handler).serve_forever()
    """
    program = base64.b64encode(dedent(index).encode()).decode()
    site.must(
        "systemd-run --quiet --unit index python3 -c"
        f" \"import base64; exec(base64.b64decode('{program}'))\"; sleep 0.5"
    )
    with visiting(site.address) as seen:
        ran = site.release(
            good("half an index"),
            "gone==1.0\n",
            "PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL=http://127.0.0.1:8123/ PIP_RETRIES=0 PIP_NO_CACHE_DIR=1",
        )
    site.must("systemctl stop index")
    in_order(ran)
    assert ran.code == 1
    assert "the package index" in ran.err
    assert set(seen) == {old}
    assert site.must("ls /var/lib/flask/build 2>/dev/null || echo gone") == "gone"


def test_smoke_compares_the_release(deployed: Deployment, site: Server) -> None:
    """K5: what answers is what is live."""
    ran = deployed.ops("smoke", STACK)
    live = json.loads(site.must(f"{TOOL} status --json"))["live"]
    assert ran.status == 0, ran.text
    assert live["release"] in ran.text
    other = "b" if live["slot"] == "a" else "a"
    site.must(f"systemctl stop flask-app@{other}; rm -f /run/flask/{other}.asleep")
    # The traffic goes to another release, which is well.
    previous = site.release(good("another"))
    assert previous.code == 0, previous.err
    site.must(f"ln -sfn {live['slot']}/app.sock /run/flask/current.sock")
    site.must(f"systemctl start flask-app@{live['slot']}; sleep 1")
    assert ask(site.address) != "another"
    ran = deployed.ops("smoke", STACK)
    assert ran.status == 1
    assert f"an answer of release {live['release']}" in ran.text
    assert deployed.ops("status", STACK).status == 1
    assert site.run(f"{TOOL} boot").code == 0
    until_answered(site.address, "another")
