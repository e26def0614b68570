"""Which rows of a job the service refuses, read from its explanation."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from langchain_sutro._core.redaction import shown

__all__ = ["refused_rows"]

_MOST_ROWS = 1_000
_REASON_LENGTH = 200
# "Row 3: …", "rows 3, 4 and 7", "inputs.3.query", "inputs[3]".
_NAMED = re.compile(
    r"\brow\s+#?(\d{1,9})\b|\brows\s+(\d{1,9}(?:\s*(?:,|and)\s*\d{1,9})+)\b|"
    r"\binputs?[.\[](\d{1,9})\b",
    re.IGNORECASE,
)
_PLACES = frozenset({"inputs", "rows"})


def refused_rows(detail: Any, key: str) -> dict[int, str]:
    """The rows that an explanation names, with what it says about each.

    Args:
        detail: A string, or the list of a validation error.
        key: The caller's key, which is masked.

    Returns:
        What is wrong with each row by its index from 0; empty if the explanation names none.
    """
    found: dict[int, str] = {}
    for item in detail[:_MOST_ROWS] if isinstance(detail, list) else [detail]:
        for index, reason in _of_item(item).items():
            said = shown(reason, key=key, most=_REASON_LENGTH)
            found[index] = f"{found[index]}; {said}" if index in found else said
    return found


def _of_item(item: Any) -> dict[int, str]:
    if isinstance(item, dict):
        place = item.get("loc")
        message = item.get("msg") or item.get("message")
        reason = message if isinstance(message, str) else "refused"
        if isinstance(place, list):
            return _of_place(place, reason)
        index: Any = item.get("row", item.get("row_index", item.get("index")))
        return {index: reason} if _is_index(index) else _of_text(reason)
    return _of_text(item) if isinstance(item, str) else {}


def _of_place(place: list[Any], reason: str) -> dict[int, str]:
    """The row of a place such as `["body", "inputs", 3, "query"]`."""
    for before, part in pairwise(place):
        if isinstance(before, str) and before in _PLACES and _is_index(part):
            rest = place[place.index(part) + 1 :]
            field = ".".join(str(one)[:_REASON_LENGTH] for one in rest)
            return {part: f"{field}: {reason}" if field else reason}
    return {}


def _of_text(text: str) -> dict[int, str]:
    """Each row of a text, with the part of the text from its name to that of the next row."""
    text = text[: _MOST_ROWS * _REASON_LENGTH]
    named = list(_NAMED.finditer(text))
    starts = [one.start() for one in named]
    found: dict[int, str] = {}
    for one, end in zip(named, [*starts[1:], len(text)], strict=False):
        reason = text[one.end() : end].strip(" \n\t.,;:]") or "refused"
        numbers = re.findall(r"\d+", one[1] or one[2] or one[3])
        found |= dict.fromkeys(map(int, numbers[:_MOST_ROWS]), reason)
    return found


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
