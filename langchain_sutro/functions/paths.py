"""Steps of dotted paths into values of users: mappings, lists and message objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

__all__ = ["ABSENT", "holds", "inside"]

ABSENT = object()

# How many keys an error lists.
_NAMED = 20


def inside(value: Any, step: str) -> Any:
    """The value at a key or an index; `ABSENT` if there is none.

    Args:
        value: A mapping, a sequence or a pydantic model, such as a message.
        step: A key, or an index, which counts from the end if negative.
    """
    if isinstance(value, Mapping):
        return value.get(step, ABSENT)
    if isinstance(value, BaseModel):
        # Messages are objects until LangSmith has stored them.
        return getattr(value, step) if step in _fields(value) else ABSENT
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        try:
            return value[int(step)]
        except (ValueError, IndexError):
            return ABSENT
    return ABSENT


def holds(value: Any) -> str:
    """The contents of a value without the values themselves, for messages."""
    if value is None:
        return "is empty"
    if isinstance(value, Mapping | BaseModel):
        names = [str(name) for name in (value if isinstance(value, Mapping) else _fields(value))]
        rest = ["…"] if len(names) > _NAMED else []
        return f"has {', '.join(names[:_NAMED] + rest)}" if names else "is empty"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"has {len(value)} items"
    return f"is of type {type(value).__name__}"


def _fields(value: BaseModel) -> Mapping[str, Any]:
    return type(value).model_fields
