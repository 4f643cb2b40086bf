"""The smoke test: a stack's site asked from here, as its visitors would."""

from __future__ import annotations

import contextvars
import json

import pulumi
from pulumi.runtime import config as runtime_config

import settings
from automation.stacks import PROJECT, Stack
from health import smoke
from progress import DeploymentError
from sandbox import configuration


def check(stack: Stack, name: str) -> str:
    """Ask the stack's site until it is healthy; return what was asked.

    Raises:
        DeploymentError: it is not; says what it answers.
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
    return f"{site.scheme}://{host}{site.health.path}"


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
