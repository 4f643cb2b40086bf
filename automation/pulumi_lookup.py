"""Asking the cloud something beside a stack: a data source, called by a program of its own that makes nothing."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping

from pulumi import automation

from automation.pulumi_cli import Cli


def look_up(question: Callable[[], None], config: Mapping[str, automation.ConfigValue]) -> None:
    """Call `question` as a Pulumi program under the providers' configuration; what it finds it keeps itself.

    Raises:
        automation.CommandError: it could not be asked.
    """
    with tempfile.TemporaryDirectory(prefix="lookup-") as folder:
        stack = automation.create_stack(
            stack_name="lookup",
            project_name="lookup",
            program=question,
            opts=automation.LocalWorkspaceOptions(
                work_dir=folder,
                pulumi_command=Cli(),
                # A state that is nobody's, and gone with the folder.
                env_vars={
                    "PULUMI_BACKEND_URL": f"file://{folder}",
                    "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
                },
            ),
        )
        if config:
            stack.set_all_config(dict(config))
        stack.preview()
