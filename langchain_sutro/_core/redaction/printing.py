"""A text of somebody else's as errors and logs may show it."""

from __future__ import annotations

import re

from langchain_sutro._core.redaction.secrets import mask_secrets

__all__ = ["printable", "shown"]

# What is looked at, so that masking takes no time worth mentioning however long a text is. More
# than what is shown, so that a secret at its end is recognised as a whole.
_LOOKED_AT = 2000
_SHOWN = 500
_SPACES = re.compile(r"[^\S\x00-\x1f\x7f-\x9f\u2028\u2029]")


def shown(text: object, *, key: str = "", most: int = _SHOWN) -> str:
    """A text of the service's: cut, without secrets, and on one line.

    Args:
        text: The text, or a value that is shown as its `str`.
        key: The caller's own key, which is masked in any spelling.
        most: The length in characters from which the text is cut, at most 1000.
    """
    said = text if isinstance(text, str) else str(text)
    masked = mask_secrets(said[:_LOOKED_AT], key)
    escaped = printable(masked[: most + 1])
    if len(masked) <= most and len(said) <= _LOOKED_AT and len(escaped) <= most:
        return escaped
    return escaped[:most] + "…"


def printable(text: str) -> str:
    """The text with control characters, line breaks and invisible characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in _SPACES.sub(" ", text)
    )
