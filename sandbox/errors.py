"""The sandbox's one kind of error."""


class SandboxError(Exception):
    """Says what was tried, what came back, and what to do; fit to be printed without a traceback."""
