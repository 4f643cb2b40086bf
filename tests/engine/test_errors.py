"""What a person has forgotten or got wrong is said in one message, whichever command they typed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from automation import cli, smoke, stacks
from tests.engine.real import RealStack, another
from tests.engine.running import Running, held

COMMANDS = {
    "up": ["up", "{stack}"],
    "preview": ["preview", "{stack}"],
    "destroy": ["destroy", "{stack}", "--yes"],
    "status": ["status", "{stack}"],
    "output": ["output", "{stack}"],
    "secret": ["secret", "{stack}", "NAME"],
    "doctor": ["doctor", "{stack}"],
    "logs": ["logs", "{stack}"],
    "ssh": ["ssh", "{stack}", "true"],
    "run": ["run", "{stack}", "flask", "routes"],
    "releases": ["releases", "{stack}"],
    "rollback": ["rollback", "{stack}"],
    "smoke": ["smoke", "{stack}"],
}
# These make the stack where it is not there.
MAKERS = ("up", "preview", "secret")
# A command for each way of asking the CLI (automation/pulumi_stack.py): with a run that makes the stack, with one that
# does not, for the configuration, the state, and the outputs that are not secret. The CLI takes a second to start: the
# others are asked with a stand-in of it, which ends as it does.
WAYS = ("up", "destroy", "secret", "status", "output")
# These want nothing but outputs that are not secret.
OPEN = ("output", "smoke")
SAID = {
    "is not deployed; ./ops up": "error: no stack named 'real' found",
    "set PULUMI_CONFIG_PASSPHRASE": (
        "error: getting stack configuration: get stack secrets manager: passphrase must be set with"
        " PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
    ),
    "is not that of stack real": "error: getting stack configuration: get stack secrets manager: incorrect passphrase",
    "another run holds stack real": "error: the stack is currently locked by 1 lock(s)",
    "no such host": "error: could not reach the state: no such host",
}
# Nothing of it is for a person: a traceback, or the wrapping of the CLI and its SDK.
NOISE = re.compile(r"Traceback|code: \d+|stdout:|stderr:|an unhandled error|error: error|exit code|File \"")


@pytest.fixture(scope="module")
def deployed(networks: RealStack) -> RealStack:
    """One network is enough to be deployed; the other stack is the true program, and was never run."""
    networks.up()
    return networks


@pytest.fixture(scope="module")
def program(new_stack: Callable[[], RealStack]) -> RealStack:
    """The project's own program, which is never deployed."""
    return new_stack()


@pytest.fixture
def ops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `./ops` in this process, which spares its start; the command has to end with status 1."""

    def failing(stack: RealStack, command: str, environment: dict[str, str | None]) -> str:
        monkeypatch.setattr(cli, "open_stack", partial(stacks.open_stack, project=stack.folder))
        monkeypatch.setattr(smoke, "PROJECT", stack.folder)
        for name, value in (stack.environment | environment).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        words = [word.format(stack=stack.stack) for word in COMMANDS[command]]
        monkeypatch.setattr(sys, "argv", ["./ops", *words])
        monkeypatch.setattr(sys, "stdin", (stack.folder / "app/requirements.in").open())
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        text = printed.out + printed.err
        assert ended.value.code == 1, text
        assert not NOISE.search(text), text
        return text

    return failing


@pytest.fixture(scope="module")
def old_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    (folder / "pulumi").write_text("#!/bin/sh\necho v3.100.0\n")
    (folder / "pulumi").chmod(0o755)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_cli_is_missing_too_old_or_broken(
    deployed: RealStack, ops: Callable[..., str], old_cli: Path, tmp_path: Path, command: str
) -> None:
    text = ops(deployed, command, {"PATH": "/usr/bin:/bin"})
    assert text.count("the Pulumi CLI is not installed") == 1
    assert "pulumi.com/docs/install" in text
    text = ops(deployed, command, {"PATH": f"{old_cli}:/usr/bin:/bin"})
    assert text.count("the Pulumi CLI is version 3.100.0, and this project needs") == 1
    (tmp_path / "pulumi").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "pulumi").chmod(0o755)
    text = ops(deployed, command, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert text.count("the Pulumi CLI cannot be run") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_the_cli_ends_with_is_one_message(
    deployed: RealStack, ops: Callable[..., str], tmp_path: Path, command: str
) -> None:
    """The CLI's words are those of the next tests, where it says them itself."""
    stand_in = tmp_path / "pulumi"
    for told, said in SAID.items():
        stand_in.write_text(
            f'#!/bin/sh\n[ "$1" = version ] && echo v3.276.0 && exit\ncat >&2 <<"END"\n{said}\nEND\nexit 1\n'
        )
        stand_in.chmod(0o755)
        text = ops(deployed, command, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert error(text).count(told) == 1


def test_a_secret_is_on_no_command_line(deployed: RealStack, tmp_path: Path) -> None:
    stand_in = tmp_path / "pulumi"
    stand_in.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo v3.276.0 && exit\n'
        f'echo "$*" >>{tmp_path}/words\ncat >>{tmp_path}/given\n'
    )
    stand_in.chmod(0o755)
    other = RealStack(
        deployed.folder, deployed.stack, {**deployed.environment, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    run = other.ops("secret", other.stack, "NAME", stdin="-hidden word\n")
    assert run.status == 0, run.text
    assert "config --stack real set" in (tmp_path / "words").read_text()
    assert "hidden" not in (tmp_path / "words").read_text()
    assert (tmp_path / "given").read_text() == "-hidden word\n"


def test_a_secret_is_kept_as_it_was_given(deployed: RealStack) -> None:
    value = "-one line\nanother: with 'signs' \" and $words"
    assert deployed.ops("secret", deployed.stack, "NAME", stdin=value + "\n").status == 0
    kept = json.loads(deployed.pulumi("config", "--show-secrets", "--json").text)
    assert "another: with 'signs' \\\" and $words" in kept["flask-on-ecs:secrets"]["value"]


@pytest.mark.parametrize("command", WAYS)
def test_no_state_no_passphrase_or_a_wrong_one(
    deployed: RealStack, ops: Callable[..., str], command: str, tmp_path: Path
) -> None:
    if command not in OPEN:
        text = ops(deployed, command, {"PULUMI_CONFIG_PASSPHRASE": None})
        assert text.count("set PULUMI_CONFIG_PASSPHRASE") == 1
        text = ops(deployed, command, {"PULUMI_CONFIG_PASSPHRASE": "another one"})
        assert text.count("is not that of stack real") == 1
    nowhere = {"PULUMI_BACKEND_URL": None, "PULUMI_HOME": str(tmp_path)}
    text = ops(deployed, command, nowhere | {"PULUMI_CONFIG_PASSPHRASE": ""})
    assert text.count("pulumi login --local") == 1


def test_outputs_that_are_not_secret_need_no_passphrase(deployed: RealStack) -> None:
    without = RealStack(deployed.folder, deployed.stack, {**deployed.environment})
    del without.environment["PULUMI_CONFIG_PASSPHRASE"]
    run = without.ops("output", without.stack)
    assert run.text == f"last: {deployed.ids()['net-0']}\nword: [secret]\n"
    opened = deployed.ops("output", deployed.stack, "word")
    assert opened.text == "a secret word\n"


@pytest.mark.parametrize("command", [name for name in WAYS if name not in MAKERS])
def test_a_stack_that_is_not_deployed(deployed: RealStack, ops: Callable[..., str], command: str) -> None:
    text = ops(another(deployed, "never"), command, {})
    assert text == "error: stack never is not deployed; ./ops up never does that.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_no_yaml(deployed: RealStack, ops: Callable[..., str], command: str) -> None:
    own = deployed.folder / "Pulumi.real.yaml"
    for file in (own, deployed.folder / "Pulumi.yaml"):
        before = file.read_text()
        file.write_text("config: [\n")
        try:
            assert f"{file.name} is not valid YAML" in ops(deployed, command, {})
        finally:
            file.write_text(before)


def test_a_stack_that_another_run_holds(deployed: RealStack, ops: Callable[..., str]) -> None:
    deployed.configure(networks=2)
    with held(deployed):
        run = Running(deployed, "up")
        run.wait_for("Network +net-1 ")
        for command in ("up", "destroy"):
            assert re.fullmatch(
                r"error: another run holds stack real \(\S+, process \d+, since \S+\); wait for it to end. If it"
                r" died, `pulumi cancel --stack real` gives the stack back.\n",
                ops(deployed, command, {}),
            )
    assert run.end().status == 0


@pytest.mark.parametrize(
    ("command", "environment", "says"),
    [
        ("up", {"ALICLOUD_ACCESS_KEY": None}, "set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY"),
        ("destroy", {"ALICLOUD_ACCESS_KEY": "nobody's"}, "does not know the key in ALICLOUD_ACCESS_KEY"),
    ],
    ids=["none", "wrong"],
)
def test_credentials_are_missed_by_a_resource(
    deployed: RealStack, ops: Callable[..., str], environment: dict[str, str | None], says: str, command: str
) -> None:
    deployed.configure(networks=3)
    assert error(ops(deployed, command, environment)).count(says) == 1


@pytest.mark.parametrize(
    ("environment", "configured", "says"),
    [
        (
            {"ALICLOUD_ACCESS_KEY": None},
            {},
            "Alibaba Cloud wants credentials, and there are none: set ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY.",
        ),
        (
            {"ALICLOUD_ACCESS_KEY": "nobody's"},
            {},
            "Alibaba Cloud does not know the key in ALICLOUD_ACCESS_KEY: it is wrong, disabled or deleted.",
        ),
        (
            {},
            {"alicloud:region": "cn-nowhere"},
            "alicloud:region is 'cn-nowhere' that Alibaba Cloud does not have",
        ),
        ({}, {"flask-on-ecs:zoom": "cn-hangzhou-h"}, "unknown configuration key zoom; allowed: acmeCa,"),
    ],
    ids=["no credentials", "wrong credentials", "unknown region", "unknown key"],
)
def test_what_the_program_says_is_the_sentence_alone(
    program: RealStack,
    ops: Callable[..., str],
    environment: dict[str, str | None],
    configured: dict[str, object],
    says: str,
) -> None:
    file = program.folder / f"Pulumi.{program.stack}.yaml"
    before = file.read_text()
    document = yaml.safe_load(before)
    document["config"] |= configured
    file.write_text(yaml.safe_dump(document))
    try:
        text = error(ops(program, "preview", environment))
    finally:
        file.write_text(before)
    assert says in text
    assert "\n" not in text


def test_a_plugin_that_is_missing(program: RealStack, ops: Callable[..., str], tmp_path: Path) -> None:
    text = error(ops(program, "preview", {"PULUMI_HOME": str(tmp_path)}))
    assert "`pulumi install` in the project's folder brings it" in text


def error(text: str) -> str:
    """The one message in what was printed, where nothing but what was under way stands before it."""
    before, *messages = re.split(r"^error: ", text, flags=re.MULTILINE)
    assert len(messages) == 1, text
    assert not before.strip() or re.match(r"[ +~±-] ", before), text
    return messages[0].rstrip("\n")
