"""Deploying from scripts: `open_stack` gives a stack, whichever engine runs it. `./ops` is its command line."""

from automation.stacks import open_stack

__all__ = ["open_stack"]
