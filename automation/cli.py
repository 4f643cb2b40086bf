"""`./ops`: the commands. They parse and print; what they do stands in the modules they call."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.console import Console

import ssh as ssh_client
from automation import doctor as diagnosing
from automation import drift as drifting
from automation import logs as log_reader
from automation import server
from automation.display import Display, show_outcome
from automation.logs import LogKind
from automation.server import FLASK_RELEASE
from automation.stacks import open_stack
from printable import printable
from progress import DeploymentError, Interrupted, Outcome, Report

app = typer.Typer(
    help="Deploy a Flask application, and look after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
StackName = Annotated[str, typer.Argument(metavar="STACK", help="Name of the stack: Pulumi.<STACK>.yaml.")]
Refresh = Annotated[
    bool,
    typer.Option("--refresh", help="First look at what is really there: deleted, stopped, changed by hand."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(
    stack: StackName,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also release what was marked bad by a rollback.")
    ] = False,
    refresh: Refresh = False,
) -> None:
    """Create or update the stack, and print its outputs."""
    target = open_stack(stack, say=_say)
    if force:
        server.run(target, FLASK_RELEASE + " forgive")
    _deploy(lambda report: target.up(report, refresh=refresh))


@app.command()
def preview(stack: StackName, *, refresh: Refresh = False) -> None:
    """Show what `up` would do."""
    target = open_stack(stack, say=_say)
    _deploy(lambda report: target.preview(report, refresh=refresh), planned=True)


@app.command()
def drift(stack: StackName) -> None:
    """Say what is otherwise in the cloud than the stack made it; exit status 1 when something is."""
    target = open_stack(stack, say=_say)
    resources = target.resources()
    group = drifting.group_of(resources)
    if group is None:
        raise DeploymentError(f"stack {stack} is not deployed; ./ops up {stack} does that.")
    outcome = _run(lambda report: target.preview(report, refresh=True), planned=True)
    rules = drifting.foreign(resources, target.rules(group))
    for rule in rules:
        _print(
            f"a rule that is not the stack's: {rule}. Take it out in the console, or say it in adminCidrs or webCidrs."
        )
    if outcome.changes or rules:
        raise typer.Exit(1)


@app.command()
def destroy(stack: StackName, *, yes: Yes = False) -> None:
    """Remove everything the stack has."""
    target = open_stack(stack, say=_say)
    if not yes:
        if not sys.stdin.isatty():
            raise DeploymentError(
                f"this removes the server and its data; say so: ./ops destroy {stack} --yes"
            )
        typer.confirm(f"Remove everything of stack {stack}, the server's data too?", abort=True)
    _deploy(target.destroy)


@app.command()
def status(stack: StackName, *, as_json: AsJson = False) -> None:
    """Show the stack's outputs and what its server says of itself."""
    target = open_stack(stack)
    answer = server.ask(server.connection(target), FLASK_RELEASE + " status" + (" --json" if as_json else ""))
    if not answer.stdout:
        raise DeploymentError(f"{answer.stderr}\nWhat is wrong with the server: ./ops doctor {stack}")
    outputs = target.public_outputs()
    if as_json:
        _print(json.dumps({"outputs": outputs, "server": json.loads(answer.stdout)}, indent=2))
    else:
        for name, value in outputs.items():
            _print(f"{name}: {value}")
        _print(answer.stdout.rstrip())
    if answer.status:
        if not as_json:
            _print(f"What is wrong: ./ops doctor {stack}", err=True)
        raise typer.Exit(1)


@app.command()
def doctor(stack: StackName, *, as_json: AsJson = False) -> None:
    """Say what is wrong with the stack's server, and what to do; exit status 1 when something is."""
    diagnosis = diagnosing.examine(open_stack(stack))
    if as_json:
        _print(json.dumps(diagnosis, indent=2))
    else:
        diagnosing.show(Console(highlight=False), diagnosis)
    if diagnosis["state"] == "bad":
        raise typer.Exit(1)


@app.command()
def logs(
    stack: StackName,
    kind: Annotated[
        LogKind,
        typer.Argument(
            help="app: what the application says; web: nginx; release: what was released; boot: the first boot."
        ),
    ] = LogKind.APP,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of each log.")] = 50,
) -> None:
    """Show the logs of the stack's server."""
    _exit(log_reader.show(open_stack(stack), kind, lines, follow=follow))


@app.command()
def output(
    stack: StackName,
    name: Annotated[str | None, typer.Argument(help="One output; prints its value alone.")] = None,
    *,
    as_json: AsJson = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secret values too.")] = False,
) -> None:
    """Print the stack's outputs."""
    target = open_stack(stack)
    outputs = target.outputs() if show_secrets or name else target.public_outputs()
    if name is not None:
        if name not in outputs:
            raise DeploymentError(f"there is no output {name!r}; there are {', '.join(sorted(outputs))}")
        _print(json.dumps(outputs[name]) if as_json else str(outputs[name]))
    elif as_json:
        _print(json.dumps(outputs, indent=2))
    else:
        for key, value in sorted(outputs.items()):
            _print(f"{key}: {value}")


@app.command()
def smoke(stack: StackName) -> None:
    """Ask the stack's site from here whether it is healthy."""
    # It reads the settings as the program does: what that takes to load, the other commands need not wait for.
    from automation import smoke as site  # noqa: PLC0415

    _print(f"healthy: {site.check(open_stack(stack), stack)}")


@app.command()
def releases(stack: StackName, *, as_json: AsJson = False) -> None:
    """List the releases on the stack's server."""
    listed = server.run(open_stack(stack), FLASK_RELEASE + " releases" + (" --json" if as_json else ""))
    _print(json.dumps(json.loads(listed)) if as_json else listed)


@app.command()
def rollback(
    stack: StackName,
    release: Annotated[
        str | None, typer.Argument(help="Id of a release, or its start. Not given: the last good one.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also to a release that was marked bad.")] = False,
) -> None:
    """Serve an earlier release again; the one that is left is marked bad."""
    command = [FLASK_RELEASE, "rollback", *(["--force"] if force else []), *([release] if release else [])]
    answer = json.loads(server.run(open_stack(stack), shlex.join(command), say=_say))
    _print(f"release {answer['release']} serves")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def ssh(
    stack: StackName,
    command: Annotated[list[str] | None, typer.Argument(help="Command to run there.")] = None,
) -> None:
    """Open a shell on the stack's server, or run one command there."""
    connection = server.connection(open_stack(stack))
    with ssh_client.arguments(connection) as arguments:
        terminal = ["-t"] if not command and sys.stdin.isatty() else []
        _exit(subprocess.run([*arguments, *terminal, *_words(command)], check=False).returncode)


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    stack: StackName,
    command: Annotated[list[str], typer.Argument(help="Command, such as `flask init-db`.")],
) -> None:
    """Run a command inside the live release, as the application would: its account, environment and variables."""
    connection = server.connection(open_stack(stack))
    with ssh_client.arguments(connection) as arguments:
        terminal = ["-t"] if sys.stdin.isatty() else []
        line = shlex.join([FLASK_RELEASE, "run", *_words(command)])
        _exit(subprocess.run([*arguments, *terminal, "--", line], check=False).returncode)


@app.command()
def secret(
    stack: StackName,
    name: Annotated[str, typer.Argument(help="Name of the environment variable.")],
    key: Annotated[
        bool, typer.Option("--key", help="NAME is a key of the stack, such as certificateKey.")
    ] = False,
) -> None:
    """Keep a secret environment variable of the application; its value is read from standard input."""
    if sys.stdin.isatty():
        value = typer.prompt(f"Value of {name}", hide_input=True)
    else:
        value = sys.stdin.read().removesuffix("\n")
    open_stack(stack).set_secret((name,) if key else ("secrets", name), value)
    _print(f"{name} is set; ./ops up {stack} gives it to the {'server' if key else 'application'}.")


def main() -> None:
    """Run the command line. An error is one message on stderr and exit status 1."""
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        # As it is called, whatever it is run by.
        app(prog_name="./ops")
    except DeploymentError as error:
        Console(stderr=True).print(
            printable(f"error: {error}"), style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
    except Interrupted:
        Console(stderr=True).print("interrupted; the same command goes on from here", style="red")
        sys.exit(128 + signal.SIGINT)


def _deploy(run: Callable[[Report], Outcome], *, planned: bool = False) -> None:
    if _run(run, planned=planned).failures:
        raise typer.Exit(1)


def _run(run: Callable[[Report], Outcome], *, planned: bool) -> Outcome:
    console = Console()
    # Not as KeyboardInterrupt: typer would end the program over it without a word.
    before = signal.signal(signal.SIGINT, _interrupted)
    display = Display(console)
    try:
        with display.running() as report:
            outcome = run(report)
    finally:
        signal.signal(signal.SIGINT, before)
    show_outcome(console, outcome, planned=planned, told=display.told)
    return outcome


def _words(command: list[str] | None) -> list[str]:
    """The command without the `--` that parts it from the options of `./ops`."""
    words = command or []
    return words[1:] if words[:1] == ["--"] else words


def _exit(status: int) -> NoReturn:
    """End as OpenSSH's client did; it says itself why it did not get through, and this says what to do."""
    if advice := server.hint(status):
        _print(advice, err=True)
    raise typer.Exit(status)


def _interrupted(_number: int, _frame: object) -> None:
    raise Interrupted


def _say(line: str) -> None:
    _print(line, err=True)


def _print(text: str, *, err: bool = False) -> None:
    """Print what a server, an application or the cloud said, or words of our own around it."""
    typer.echo(printable(text), err=err)
