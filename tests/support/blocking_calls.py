"""A guard against calls that block an event loop."""

from blockbuster import blockbuster_ctx


def guard():
    """Turns blocking calls of this package on an event loop into errors."""
    return blockbuster_ctx("langchain_sutro", excluded_modules=["langchain_sutro.local"])
