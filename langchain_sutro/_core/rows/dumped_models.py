"""What a pydantic model sends.

Pydantic decides which fields a model sends, under which names and in which form: aliases,
exclusions, computed fields, serializers. Where a value has pydantic's default form, the value
itself is returned, so that a date or a duration is encoded in one way wherever it comes from, and a
secret is sent rather than its mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

__all__ = ["MASK", "SECRETS", "dumped", "model_values"]

SECRETS = (SecretStr, SecretBytes, Secret)
# As pydantic itself shows them.
MASK = "**********"
_JSON = (str, int, float, type(None))


def model_values(model: BaseModel) -> Any:
    """The fields that a model sends, under the names of its serialization.

    Raises:
        Exception: Whatever its serializers raise; a `ValueError` if it has no JSON form.
    """
    return dumped(model.model_dump)


def dumped(dump: Callable[..., Any]) -> Any:
    """What a model or a type adapter writes.

    Args:
        dump: Its `model_dump`, or `dump_python` of a value.

    Raises:
        Exception: As for `model_values`.
    """
    options: dict[str, Any] = {"by_alias": True, "warnings": "none"}
    return _values(dump(mode="json", **options), dump(mode="python", **options))


def _values(plain: Any, live: Any) -> Any:  # noqa: PLR0911 - one for each kind
    """The live values where the plain ones are their default form."""
    if isinstance(live, float) and plain is None:
        # Where a field may be anything, pydantic writes an infinity as null.
        return live
    if type(live) in _JSON:
        return plain
    if isinstance(live, SECRETS):
        return live
    if isinstance(live, Mapping):
        if not isinstance(plain, dict) or len(plain) != len(live):
            return plain
        return {
            name: _values(part, whole)
            for (name, part), whole in zip(plain.items(), live.values(), strict=True)
        }
    if isinstance(live, list | tuple):
        if not isinstance(plain, list) or len(plain) != len(live):
            return plain
        return [_values(part, whole) for part, whole in zip(plain, live, strict=True)]
    return live if _has_default_form(plain, live) else plain


def _has_default_form(plain: Any, live: Any) -> bool:
    try:
        default = to_jsonable_python(live)
    except ValueError:
        return False
    if isinstance(live, AbstractSet) and isinstance(plain, list):
        # The dump of a set is another set, which may have another order.
        return sorted(map(repr, plain)) == sorted(map(repr, default))
    return bool(plain == default)
