"""The input schemas of Functions in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_sutro._rows import InputSchema
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from langchain_sutro._config_files.files import Place, Problem

__all__ = ["schema_problems"]

_JSON_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")


def schema_problems(
    schema: Any, function: str, path: Place, known: set[Place]
) -> Iterator[Problem]:
    """What is wrong with an `args_schema`.

    Args:
        schema: Its content.
        function: The Function's name.
        path: Where it is.
        known: The fields that are known to be wrong already.
    """
    if not isinstance(schema, Mapping):
        return
    wrong = [each for each in _wrong_schema(schema, path) if each[0] not in known]
    yield from wrong
    if not wrong and all(place[: len(path)] != path for place in known):
        try:
            InputSchema(schema, function)
        except SutroConfigurationError as error:
            yield path, str(error)


def _wrong_schema(schema: Mapping[str, Any], path: Place) -> Iterator[Problem]:
    """Common mistakes in a JSON schema."""
    properties = schema.get("properties")
    if schema.get("type", "object") != "object":
        yield (*path, "type"), 'must be "object"'
    if not isinstance(properties, Mapping):
        yield (*path, "properties"), "must be an object with the input fields"
        return
    for name, part in properties.items():
        yield from _wrong_field(part, (*path, "properties", name))
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield (*path, "required"), "must be a list of field names"
        return
    for index, name in enumerate(required):
        if name not in properties:
            yield (*path, "required", index), f"{name!r} is not among the properties"


def _wrong_field(part: Any, path: Place) -> Iterator[Problem]:
    if not isinstance(part, Mapping):
        yield path, 'must be a JSON schema, such as {"type": "string"}'
        return
    kinds = part.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _JSON_TYPES:
            yield (*path, "type"), f"must be one of {', '.join(_JSON_TYPES)}"
    if "enum" in part and not (isinstance(part["enum"], list) and part["enum"]):
        yield (*path, "enum"), "must be a list of values"
