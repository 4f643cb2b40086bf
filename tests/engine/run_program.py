"""Runs a Pulumi program for the language host, as pulumi-language-python-exec of the released CLI does.

An error that the program raised as `pulumi.RunError` is told as it is; any other with its traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import runpy
import sys
import traceback

import pulumi
import pulumi.runtime

SHOWN = 32


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in (
        "monitor",
        "engine",
        "project",
        "stack",
        "organization",
        "root_directory",
        "parallel",
        "dry_run",
    ):
        parser.add_argument(f"--{name}")
    parser.add_argument("program")
    given = parser.parse_args()
    pulumi.runtime.set_all_config(
        pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
    )
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=given.monitor,
            engine=given.engine,
            project=given.project,
            stack=given.stack,
            parallel=int(given.parallel),
            dry_run=given.dry_run == "true",
            organization=given.organization,
            root_directory=given.root_directory,
        )
    )
    sys.argv = [given.program]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(given.program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:
        pulumi.log.error("Program failed with an unhandled exception:\n" + traceback.format_exc())
        return SHOWN
    return 0


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.exit(status)
