"""Running the Pulumi program, unmodified, against an engine of this process."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from progress import DeploymentError
from sandbox.configuration import Configuration
from sandbox.errors import SandboxError


def run(
    project: Path,
    name: str,
    stack: str,
    configuration: Configuration,
    monitor: MockMonitor,
    *,
    preview: bool,
    warn: Callable[[str], None],
) -> None:
    """Run `__main__.py` of the folder `project`; its resources are registered with `monitor`.

    `warn` gets what the program warns of.

    Raises:
        DeploymentError: the program refuses its configuration (`pulumi.RunError`), or the sandbox what it asks for.
    """
    # The SDK keeps its settings in context variables: in a context of its own, one run knows nothing of the last.
    contextvars.copy_context().run(
        asyncio.run, _run(project, name, stack, configuration, monitor, preview=preview, logger=_logger(warn))
    )


async def _run(
    project: Path,
    name: str,
    stack: str,
    configuration: Configuration,
    monitor: MockMonitor,
    *,
    preview: bool,
    logger: logging.Logger,
) -> None:
    configure(
        MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features={resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS},
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


def _logger(warn: Callable[[str], None]) -> logging.Logger:
    # Not one of logging's own tree: what the SDK says here is for this run's report alone.
    logger = logging.Logger("program", logging.WARNING)
    handler = logging.Handler()
    handler.emit = lambda record: warn(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    return logger
