"""The smoke test: a stack's site asked from here, as its visitors would."""

from __future__ import annotations

import contextvars
import json

import pulumi
from pulumi.runtime import config as runtime_config

import settings
from automation import server
from automation.stacks import PROJECT, Stack
from health import smoke
from progress import DeploymentError
from sandbox import configuration


def check(stack: Stack, name: str) -> str:
    """Ask the stack's site until it is healthy, and its server which release it is that answers; return both.

    Raises:
        DeploymentError: it is not healthy, or another release answers than the one that is live; says what it answers.
    """
    site = contextvars.copy_context().run(_site, name)
    address = stack.public_outputs().get("address")
    if not address:
        raise DeploymentError(f"the stack has no server; deploy it with ./ops up {name}.")
    address = str(address)
    host = site.domain or address
    problem = smoke(address, host, site.health, site.scheme)
    if problem:
        raise DeploymentError(f"{problem}. What its server says: ./ops status {name}")
    return f"{site.scheme}://{host}{site.health.path}, {_release(stack, name)}"


def _release(stack: Stack, name: str) -> str:
    """Which release answers, as the server says: visitors are not told."""
    answer = server.ask(server.connection(stack), f"{server.FLASK_RELEASE} status --json")
    try:
        state = json.loads(answer.stdout)
        live, said = state["live"], state["site"]
    except (ValueError, KeyError, TypeError):
        raise DeploymentError(
            f"the site answers, but its server does not tell which release it is: {answer.stderr or answer.stdout}."
            f" What is wrong: ./ops doctor {name}"
        ) from None
    if live is None:
        raise DeploymentError(f"the site answers, but no release is live; deploy one with ./ops up {name}.")
    if said != "good":
        raise DeploymentError(
            f"the site answers, but not with the live release {live['release']}: {said}. What is wrong:"
            f" ./ops doctor {name}"
        )
    deployed = stack.public_outputs().get("release")
    if deployed and live["release"] != deployed:
        return f"release {live['release']} (deployed was {deployed}; ./ops preview {name} says what follows)"
    return f"release {live['release']}"


def _site(name: str) -> settings.Site:
    config = configuration.read_document(PROJECT, name).get("config") or {}
    # Secrets stay as they are, encrypted: nothing of them is needed here.
    runtime_config.set_all_config(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    )
    pulumi.runtime.settings.configure(
        pulumi.runtime.settings.Settings(project=configuration.project_name(PROJECT), stack=name)
    )
    try:
        return settings.load_site()
    except pulumi.RunError as error:
        raise DeploymentError(str(error)) from error
