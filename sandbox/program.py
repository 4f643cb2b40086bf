"""Running the Pulumi program, unmodified, against an engine of this process."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import runpy
import sys
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from progress import DeploymentError
from sandbox.configuration import Configuration
from sandbox.errors import SandboxError


def run(
    project: Path, name: str, stack: str, configuration: Configuration, monitor: MockMonitor, *, preview: bool
) -> None:
    """Run `__main__.py` of the folder `project`; its resources are registered with `monitor`.

    Raises:
        DeploymentError: the program refuses its configuration (`pulumi.RunError`), or the sandbox what it asks for.
    """
    # The SDK keeps its settings in context variables: in a context of its own, one run knows nothing of the last.
    contextvars.copy_context().run(
        asyncio.run, _run(project, name, stack, configuration, monitor, preview=preview)
    )


async def _run(
    project: Path, name: str, stack: str, configuration: Configuration, monitor: MockMonitor, *, preview: bool
) -> None:
    logger = logging.getLogger("pulumi.program")
    configure(
        MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=set(),
            engine=MockEngine(logger),
            project=name,
            stack=stack,
            dry_run=preview,
            organization="organization",
            root_directory=str(project),
            callbacks=None,
        )
    )
    runtime_config.set_all_config(configuration.values, list(configuration.secret_keys))
    # A failed registration is reported by the engine; asyncio would tell of its task once more.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    before = Path.cwd()
    os.chdir(project)
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    try:
        await run_in_stack(lambda: _module(project))
    except (pulumi.RunError, SandboxError) as error:
        raise DeploymentError(str(error)) from error
    finally:
        os.chdir(before)


def _module(project: Path) -> None:
    runpy.run_path(str(project / "__main__.py"), run_name="__main__")
