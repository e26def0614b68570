"""JSON of the service as values: exact, and as tolerant as a paid answer deserves."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

__all__ = ["dump_json", "parse_json"]

# What is nested more deeply cannot be traced, encoded or shown.
_DEEPEST = 200
_LARGE = 2.0**63
# A pair of surrogates, half of one, or any other escape.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def parse_json(text: str | bytes, *, deepest: int = _DEEPEST) -> Any:
    """Parse JSON.

    Integers stay exact, whatever their size. NaN and infinities, which JSON lacks but some writers
    write, become None. Half a surrogate pair becomes U+FFFD, as UTF-8 has no form for it.

    Args:
        text: The JSON, in UTF-8 if it is bytes.
        deepest: How many levels of lists and objects it may have.

    Raises:
        ValueError: It is not JSON, or nested more deeply.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        value = _tolerant(text)
    return _tolerant(text) if _may_be_rounded(value, deepest) else value


def dump_json(value: Any) -> str:
    """JSON of values that `parse_json` returns, compact; integers of any size stay exact."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tolerant(text: str | bytes) -> Any:
    if isinstance(text, bytes):
        text = text.decode()
    try:
        whole = _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
        return json.loads(whole, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _may_be_rounded(value: Any, deepest: int) -> bool:
    """Whether orjson may have read an integer beyond 64 bits as a float.

    Raises:
        ValueError: The value is nested too deeply.
    """
    rounded = False
    level = [value]
    for _ in range(deepest + 1):
        inner: list[Any] = []
        for one in level:
            kind = one.__class__
            if kind is float:
                rounded = rounded or abs(one) >= _LARGE
            elif kind is dict:
                inner.extend(one.values())
            elif kind is list:
                inner.extend(one)
        if not inner:
            return rounded
        level = inner
    raise ValueError("nested too deeply")
