"""JSON schemas of input fields: what is wrong with one, its types in Python, and its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, NotRequired, Required, TypeAlias, Union

from pydantic import ConfigDict
from typing_extensions import TypedDict

__all__ = ["kind_in_words", "python_type", "schema_problems", "typed_dict"]

Problem: TypeAlias = tuple[tuple[str | int, ...], str]
"""The path of a fault in a schema, and what is wrong there."""

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": NoneType,
    "array": list,
    "object": dict,
}
_CHOICES = ("anyOf", "oneOf", "allOf")
# Deeper schemas, which may refer to themselves, are not checked any further.
_DEEPEST = 8


def schema_problems(schema: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the JSON schema of an object.

    Args:
        schema: The schema.

    Yields:
        The path and the fault, without values of the schema other than names.
    """
    properties = schema.get("properties")
    if schema.get("type", "object") != "object":
        yield ("type",), 'must be "object"'
    if not isinstance(properties, Mapping):
        yield ("properties",), "must be an object with the input fields"
        return
    for name, part in properties.items():
        yield from _part_problems(part, ("properties", name), schema)
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield ("required",), "must be a list of field names"
        return
    for index, name in enumerate(required):
        if name not in properties:
            yield ("required", index), f"{name!r} is not among the properties"


def _part_problems(
    part: Any, path: tuple[str | int, ...], schema: Mapping[str, Any]
) -> Iterator[Problem]:
    if isinstance(part, bool):
        return
    if not isinstance(part, Mapping):
        yield path, 'must be a JSON schema, such as {"type": "string"}'
        return
    kinds = _kinds(part)
    if any(kind not in _TYPES for kind in kinds):
        yield (*path, "type"), f"must be one of {', '.join(_TYPES)}"
        return
    if "$ref" in part and _referred(part, schema) is None:
        yield (*path, "$ref"), "refers to nothing in this schema"
    if not isinstance(part.get("nullable", False), bool):
        yield (*path, "nullable"), "must be true or false"
    yield from _value_problems(part, kinds, path)
    if isinstance(part.get("items"), Mapping):
        yield from _part_problems(part["items"], (*path, "items"), schema)
    for keyword in _CHOICES:
        choices = part.get(keyword, [])
        if not isinstance(choices, list):
            yield (*path, keyword), "must be a list of schemas"
            continue
        for index, choice in enumerate(choices):
            yield from _part_problems(choice, (*path, keyword, index), schema)


def _value_problems(
    part: Mapping[str, Any], kinds: list[Any], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    """Values that the declared type does not admit, as YAML makes them of `NO` or `12:30`."""
    if "enum" in part and not (isinstance(part["enum"], list) and part["enum"]):
        yield (*path, "enum"), "must be a list of values"
        return
    values = [((*path, "enum", index), one) for index, one in enumerate(part.get("enum", []))]
    values += [((*path, name), part[name]) for name in ("const", "default") if name in part]
    for place, value in values:
        null = value is None and (part.get("nullable") or place[-1] == "default")
        if kinds and not null and not any(_is_of(value, kind) for kind in kinds):
            quoted = ": put it in quotes" if kinds == ["string"] else ""
            yield place, f"is not of the declared type {' or '.join(kinds)}{quoted}"


def _kinds(part: Mapping[str, Any]) -> list[Any]:
    kind = part.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    wanted = (int, float) if kind == "number" else _TYPES[kind]
    return isinstance(value, wanted)


def _referred(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """The schema that a `$ref` within the same document points to; None if there is none."""
    first, *steps = str(part["$ref"]).split("/")
    found: Any = schema if first == "#" else None
    for step in steps:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def typed_dict(schema: Mapping[str, Any]) -> Any:
    """A type for pydantic that checks the fields of a schema and lets others be.

    Args:
        schema: The JSON schema of an object, without problems.
    """
    required = set(schema.get("required", ()))
    fields = {
        name: (Required if name in required else NotRequired)[python_type(part, schema)]
        for name, part in schema["properties"].items()
    }
    # A typed dict, unlike a model, allows any name for a field.
    make: Any = TypedDict
    typed = make("Input", fields)
    typed.__pydantic_config__ = ConfigDict(extra="ignore")
    return typed


def python_type(part: Any, schema: Mapping[str, Any], depth: int = 0) -> Any:
    """The Python type for a part of a JSON schema; a wider one where the part is elaborate.

    Args:
        part: The part.
        schema: The whole schema, for references.
        depth: How many parts it is inside of.
    """
    if not isinstance(part, Mapping) or depth > _DEEPEST:
        return Any
    found = _own_type(part, schema, depth + 1)
    return Union[found, None] if part.get("nullable") else found  # noqa: UP007 - made at run time


def _own_type(  # noqa: PLR0911 - one for each keyword
    part: Mapping[str, Any], schema: Mapping[str, Any], depth: int
) -> Any:
    if "$ref" in part:
        return python_type(_referred(part, schema), schema, depth)
    if "const" in part:
        return Literal[part["const"]]
    if part.get("enum"):
        return Literal[tuple(part["enum"])]
    choices = _choices(part)
    if choices:
        return Union[tuple(python_type(one, schema, depth) for one in choices)]  # noqa: UP007 - as above
    kinds = _kinds(part)
    if not kinds:
        return Any
    items = part.get("items")
    if "array" in kinds and isinstance(items, Mapping):
        types = [_TYPES[kind] for kind in kinds if kind != "array"]
        return Union[(*types, list[python_type(items, schema, depth)])]  # type: ignore[misc]
    return Union[tuple(_TYPES[kind] for kind in kinds)]  # noqa: UP007 - as above


def _choices(part: Mapping[str, Any]) -> list[Any]:
    """The alternatives of a part; all of several schemas at once are no alternatives."""
    all_of = part.get("allOf", [])
    choices: list[Any] = part.get("anyOf") or part.get("oneOf") or []
    return choices or (all_of if len(all_of) == 1 else [])


def kind_in_words(part: Any, schema: Mapping[str, Any], depth: int = 0) -> str:
    """What a field takes, for a message.

    Args:
        part: The field's schema.
        schema: The whole schema, for references.
        depth: How many parts it is inside of.
    """
    if not isinstance(part, Mapping) or depth > _DEEPEST:
        return "any"
    kinds = dict.fromkeys(_own_kinds(part, schema, depth + 1))
    if part.get("nullable"):
        kinds["null"] = None
    return " or ".join(kinds)


def _own_kinds(part: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> list[str]:
    if "$ref" in part:
        return [kind_in_words(_referred(part, schema), schema, depth)]
    if "const" in part:
        return [repr(part["const"])]
    if part.get("enum"):
        return ["one of " + ", ".join(repr(value) for value in part["enum"])]
    choices = _choices(part)
    if choices:
        return [kind_in_words(one, schema, depth) for one in choices]
    items = part.get("items")
    of_items = f" of {kind_in_words(items, schema, depth)}" if isinstance(items, Mapping) else ""
    return [f"{kind}{of_items if kind == 'array' else ''}" for kind in _kinds(part)] or ["any"]
