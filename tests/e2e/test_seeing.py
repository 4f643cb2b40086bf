"""What an operator sees of a server: status, doctor, logs, metrics; and a server that is hard to get into."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import httpx

from tests.e2e.deployment import STACK, Deployment
from tests.e2e.test_up import reachable


def diagnosis(deployment: Deployment) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit status of `./ops doctor`, and its findings by name (the last of a name)."""
    run = deployment.ops("doctor", STACK, "--json")
    return run.status, {finding["name"]: finding for finding in json.loads(run.text)["findings"]}


def test_a_server_that_is_well(deployed: Deployment) -> None:
    status, found = diagnosis(deployed)
    assert status == 0
    assert {name: finding for name, finding in found.items() if finding["state"] != "ok"} == {}
    assert "nginx.service" in found["port 80"]["found"]
    assert deployed.output("release") in found["release"]["found"]
    assert {"port 81", "port 9117", "flask-metrics.service", "ssh", "disk"} <= set(found)
    text = deployed.ops("doctor", STACK).text
    assert re.search(r"^ok +port 80 +0\.0\.0\.0:80", text, re.MULTILINE)
    assert "\x1b" not in text, "colours are for terminals"


def test_web_server_and_application_wait_for_their_turn(deployed: Deployment) -> None:
    """The kernel runs them as the units have it (bench/http.py), also after reloads of nginx."""
    said = deployed.on_server("for pid in $(pgrep -x 'nginx|uwsgi'); do chrt -p $pid; done")
    policies = re.findall(r"policy: (\w+)", said)
    assert set(policies) == {"SCHED_BATCH"}
    # A master and a worker each, at least.
    assert len(policies) >= 4


def test_the_posts_trouble_a_port_in_use(deployed: Deployment) -> None:
    deployed.on_server(
        "systemctl stop nginx; systemd-run -q --unit squatter python3 -m http.server 80;"
        " until ss -ltn | grep -q ':80 '; do sleep 0.1; done"
    )
    status, found = diagnosis(deployed)
    assert status == 1
    assert "squatter.service" in found["port 80"]["found"]
    assert "nginx needs it" in found["port 80"]["found"]
    assert found["nginx.service"]["state"] == "bad"
    said = deployed.ops("status", STACK)
    assert said.status == 1
    assert "./ops doctor" in said.text
    # As it says itself.
    deployed.on_server(" && ".join(re.findall(r"`(systemctl [^`]+)`", found["port 80"]["do"])))
    assert diagnosis(deployed)[0] == 0


def test_a_server_without_its_tool_is_examined_with_this_checkouts(deployed: Deployment) -> None:
    deployed.on_server("mv /opt/flask/lib /opt/flask/lost")
    status, found = diagnosis(deployed)
    deployed.on_server("mv /opt/flask/lost /opt/flask/lib")
    assert status == 0
    assert deployed.output("release") in found["release"]["found"]


def test_status_counts_requests_and_workers(deployed: Deployment) -> None:
    # Some a second, for as long as status looks.
    deployed.on_server(
        "systemd-run -q --unit caller sh -c"
        " 'while :; do curl -s -o /dev/null http://127.0.0.1:81/healthz; sleep 0.1; done'"
    )
    load = json.loads(deployed.ops("status", STACK, "--json").text)["server"]["load"]
    text = deployed.ops("status", STACK).text
    deployed.on_server("systemctl stop caller")
    assert load["requests_per_second"] > 1
    assert load["workers"] >= 1
    assert load["threads"] >= load["workers"]
    assert load["memory"] > 10 << 20
    assert re.search(r"^load +[\d.]+ requests a second; .*threads busy", text, re.MULTILINE)
    assert re.search(r"^serves +for \d+ ", text, re.MULTILINE)


def test_metrics_are_for_the_server_itself(deployed: Deployment) -> None:
    def metrics() -> dict[str, float]:
        text = deployed.on_server("curl -sf http://127.0.0.1:9117/metrics")
        return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.MULTILINE)}

    before = metrics()
    for _ in range(3):
        deployed.get("/")
    after = metrics()
    assert after["nginx_http_requests_total"] >= before["nginx_http_requests_total"] + 3
    assert after["nginx_up"] == after['uwsgi_up{slot="a"}'] == 1
    assert after['uwsgi_worker_rss_bytes{slot="a",worker_id="1"}'] > 1 << 20
    assert not reachable(deployed.output("address"), 9117)


def test_logs_of_each_kind(deployed: Deployment) -> None:
    deployed.get("/?seen=in-the-log")
    wait(lambda: "seen=in-the-log" in deployed.ops("logs", STACK, "web", "--lines", "20").text)
    assert "uWSGI worker 1" in deployed.ops("logs", STACK).text
    assert deployed.output("release") in deployed.ops("logs", STACK, "release").text
    assert "ready: " in deployed.ops("logs", STACK, "boot").text
    wrong = deployed.ops("logs", STACK, "nonsense")
    assert wrong.status == 2
    assert "release" in wrong.text


def test_lines_whose_unit_the_journal_has_lost(deployed: Deployment) -> None:
    """As on CentOS 7, whose journald knows no unit of a process that has ended: the identifier is all that is left."""
    slot = deployed.on_server("basename $(readlink /srv/flask/live)")
    deployed.on_server(
        f"logger --tag flask-app-{slot} 'RuntimeError: died at once'; logger --tag flask-worker-mail 'no queue'"
    )
    shown = deployed.ops("logs", STACK, "app").text
    assert "RuntimeError: died at once" in shown
    assert "no queue" in shown
    found = diagnosis(deployed)[1]["application's errors"]
    assert "RuntimeError: died at once" in found["found"]
    # By the command that it names, too.
    (command,) = re.findall(r"`(journalctl [^`]+)`", found["do"])
    assert "RuntimeError: died at once" in deployed.on_server(command)


def test_what_a_visitor_or_the_application_writes_does_nothing_to_the_terminal(deployed: Deployment) -> None:
    slot = deployed.on_server("basename $(readlink /srv/flask/live)")
    deployed.on_server(
        f"printf '\\033[31mERROR: in red\\033[0m \\302\\2332J\\n' | logger --tag flask-app-{slot}"
    )
    agent = "seen \x9b2J \u202egpj.exe"
    httpx.get(deployed.output("url"), headers={b"User-Agent": agent.encode()}, timeout=10)
    wait(lambda: "gpj.exe" in deployed.ops("logs", STACK, "web", "--lines", "20").text)
    for command in (("logs", STACK), ("logs", STACK, "web", "--lines", "20"), ("doctor", STACK)):
        shown = deployed.ops(*command).text
        assert r"\x1b[31mERROR: in red\x1b[0m \x9b2J" in shown or r"seen \x9b2J \u202egpj.exe" in shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_following_shows_what_comes_and_leaves_nothing_behind(deployed: Deployment) -> None:
    for end in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            ["./ops", "logs", STACK, "web", "--follow", "--lines", "0"],
            cwd=deployed.folder,
            env=deployed.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A test run that was started in the background ignores Ctrl-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        assert process.stdout
        wait(lambda: following(deployed))
        seen = threading.Event()
        # What was asked before the log is followed does not show: asked again and again, within bounds.
        asking = threading.Thread(target=ask, args=(deployed.output("url"), end.name, seen))
        asking.start()
        hanging = threading.Timer(60, process.kill)
        hanging.start()
        for line in process.stdout:
            if f"followed={end.name}" in line:
                seen.set()
                break
        hanging.cancel()
        asking.join()
        assert seen.is_set()
        # Ctrl-C reaches ssh as well; a kill only the one that it is for.
        if end is signal.SIGINT:
            os.killpg(process.pid, end)
        else:
            process.kill()
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == (0 if end is signal.SIGINT else -end)
        assert "Traceback" not in rest
        assert "Aborted" not in rest
        wait(lambda: not following(deployed))


def ask(url: str, name: str, seen: threading.Event) -> None:
    for _ in range(100):
        if seen.wait(0.5):
            return
        httpx.get(url, params={"followed": name}, timeout=10)


def following(deployed: Deployment) -> bool:
    return "tail" in deployed.on_server("ps -eo comm | grep -x tail; true")


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.2)


def test_only_keys_get_in(deployed: Deployment) -> None:
    """As sshd itself says, after all files that it reads."""
    says = set(deployed.on_server("sshd -T").lower().splitlines())
    assert {
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin without-password",
        "maxauthtries 6",
        "logingracetime 30",
        "x11forwarding no",
    } <= says
    tried = subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            f"root@{deployed.output('address')}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 255
    assert "Permission denied (publickey)." in tried.stderr


def test_the_site_is_what_it_was(deployed: Deployment) -> None:
    assert httpx.get(deployed.output("url") + "/healthz").status_code == 200
    assert "no changes" in deployed.up().text
