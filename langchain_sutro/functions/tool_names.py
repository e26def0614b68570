"""Names of tools that every model provider accepts."""

from __future__ import annotations

import hashlib
import re

from langchain_sutro.errors import SutroConfigurationError

__all__ = ["check_tool_name", "marked_name", "tool_name"]

# The strictest of the model providers' rules for a tool's name.
_VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_MARK = 8


def tool_name(function: str) -> str:
    """Make a name for a Function's tool that every model provider accepts.

    Args:
        function: The Function's name.

    Returns:
        The Function's name, in which characters other than letters, digits, `_` and `-` are
        replaced; or a name made of a hash if nothing readable remains, or it is too long.
    """
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", function).strip("_")
    if name[:1].isdigit() or name.startswith("-"):
        name = f"_{name}"
    if name and _VALID.fullmatch(name):
        return name
    return f"sutro_{_digest(function)[:16]}"


def check_tool_name(name: str) -> str:
    """Return the name if every model provider accepts it.

    Raises:
        SutroConfigurationError: Some do not.
    """
    if not _VALID.fullmatch(name):
        raise SutroConfigurationError(
            f"{name!r} is not a valid tool name: model providers accept up to 64 letters, digits, "
            "'_' and '-', starting with a letter or '_'."
        )
    return name


def marked_name(name: str, function: str, longest: int) -> str:
    """Add a hash suffix to a name, so that it differs from those of other Functions.

    Args:
        name: The name, which is shortened if necessary.
        function: The Function that is hashed.
        longest: Maximum number of characters.
    """
    return f"{name[: longest - _MARK - 1]}_{_digest(function)[:_MARK]}"


def _digest(function: str) -> str:
    return hashlib.sha256(function.encode()).hexdigest()
