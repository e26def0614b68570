"""Names of tools that every model provider takes."""

from __future__ import annotations

import hashlib
import re

from langchain_sutro.errors import SutroConfigurationError

__all__ = ["check_tool_name", "marked_name", "tool_name"]

# The strictest of the model providers' rules for a tool's name.
_VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_MARK = 8


def tool_name(function: str) -> str:
    """A name for a Function's tool that every model provider takes.

    Args:
        function: The Function's name.

    Returns:
        The name with other characters than letters, digits, `_` and `-` replaced; a name made from
        a hash where nothing readable remains or it would exceed 64 characters.
    """
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", function).strip("_")
    if name[:1].isdigit() or name.startswith("-"):
        name = f"_{name}"
    if name and _VALID.fullmatch(name):
        return name
    return f"sutro_{_digest(function)[:16]}"


def check_tool_name(name: str) -> str:
    """The name, if every model provider takes it.

    Raises:
        SutroConfigurationError: Some do not.
    """
    if not _VALID.fullmatch(name):
        raise SutroConfigurationError(
            f"{name!r} is no name for a tool: model providers take up to 64 letters, digits, "
            "'_' and '-', beginning with a letter or '_'."
        )
    return name


def marked_name(name: str, function: str, longest: int) -> str:
    """A name with an addition that no other Function's has.

    Args:
        name: Its beginning, of which as much is kept as fits.
        function: Whose name it is.
        longest: Characters of the whole.
    """
    return f"{name[: longest - _MARK - 1]}_{_digest(function)[:_MARK]}"


def _digest(function: str) -> str:
    return hashlib.sha256(function.encode()).hexdigest()
