"""Whether columns of several files are one column, and which fields its objects have.

Two types are of one kind if their values have one form in JSON, so that nothing is lost when they
stand in one column: numbers of any width, times of any precision, strings of any encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DifferError", "Kind", "fill", "kind_of_type", "other_spelling", "unite"]


class DifferError(ValueError):
    """Two kinds cannot be one; the message says which."""


@dataclass(frozen=True)
class Kind:
    """What the values of a column are.

    Attributes:
        name: What to call it in an error.
        inner: The kind of the items of a list, or of the values of a map.
        fields: The fields of an object, by name.
    """

    name: str
    inner: Kind | None = None
    fields: tuple[tuple[str, Kind], ...] = ()


_NULL = Kind("null")
_SIMPLE = (
    ("is_null", "null"),
    ("is_boolean", "boolean"),
    ("is_integer", "number"),
    ("is_floating", "number"),
    ("is_decimal", "decimal"),
    ("is_string", "string"),
    ("is_large_string", "string"),
    ("is_string_view", "string"),
    ("is_binary", "binary"),
    ("is_large_binary", "binary"),
    ("is_binary_view", "binary"),
    ("is_fixed_size_binary", "binary"),
    ("is_date", "date"),
    ("is_time", "time of day"),
    ("is_duration", "duration"),
)
_LISTS = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")


def kind_of_type(kind: Any) -> Kind:
    """The kind of an Arrow type."""
    from pyarrow import types  # noqa: PLC0415

    if types.is_dictionary(kind):
        return kind_of_type(kind.value_type)
    if types.is_map(kind):
        return Kind("map", kind_of_type(kind.item_type))
    if types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        return Kind("struct", fields=tuple((one.name, kind_of_type(one.type)) for one in fields))
    if any(getattr(types, check)(kind) for check in _LISTS):
        return Kind("list", kind_of_type(kind.value_type))
    return Kind(_simple_name(kind))


def _simple_name(kind: Any) -> str:
    from pyarrow import types  # noqa: PLC0415

    if types.is_timestamp(kind):
        return "time without a zone" if kind.tz is None else "time with a zone"
    names = (name for check, name in _SIMPLE if getattr(types, check)(kind))
    return next(names, str(kind))


def unite(one: Kind, other: Kind) -> Kind:
    """The kind that both are.

    Raises:
        DifferError: Something would be lost.
    """
    if other in (one, _NULL):
        return one
    if one == _NULL:
        return other
    if one.name != other.name:
        raise DifferError(f"{one.name} and {other.name}")
    if one.inner is not None and other.inner is not None:
        return Kind(one.name, unite(one.inner, other.inner))
    fields = dict(one.fields)
    for name, kind in other.fields:
        spelt = other_spelling(name, fields, [known for known, _ in other.fields])
        if spelt is not None:
            raise DifferError(f"struct with {spelt!r} and struct with {name!r}")
        fields[name] = unite(fields[name], kind) if name in fields else kind
    return Kind(one.name, fields=tuple(fields.items()))


def other_spelling(name: str, known: Any, beside: Any) -> str | None:
    """A name that is known and differs only in case, unless it also stands beside the name."""
    if name in known:
        return None
    alike = (one for one in known if one.casefold() == name.casefold() and one not in beside)
    return next(alike, None)


def fill(value: Any, kind: Kind) -> Any:
    """A value with null for the fields that its own file does not have."""
    if value is None or not (kind.fields or kind.inner):
        return value
    if kind.inner is None:
        return {name: fill(value.get(name), part) for name, part in kind.fields}
    if isinstance(value, dict):
        return {key: fill(item, kind.inner) for key, item in value.items()}
    return [fill(item, kind.inner) for item in value]
