"""A Function's input schema, as the caller declares it: the service does not publish one.

A schema is a pydantic model or the JSON schema of an object. Either way rows are checked before
they are sent, and fields may have any name: `self`, `config`, names with spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, NotRequired, Required, Union, cast

from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from langchain_sutro.errors import SutroConfigurationError, SutroInputError

__all__ = ["InputSchema", "model_of"]

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": NoneType,
    "array": list,
    "object": dict,
}


class InputSchema:
    """Checks rows against a pydantic model or a JSON schema.

    Args:
        schema: The model, or the schema of an object with `properties`.
        function: The Function's name, for messages.

    Raises:
        SutroConfigurationError: It does not describe an object with named fields.
    """

    def __init__(self, schema: type[BaseModel] | Mapping[str, Any], function: str) -> None:
        self._function = function
        self.model = schema if isinstance(schema, type) else None
        self.json_schema: dict[str, Any]
        if isinstance(schema, type):
            if not issubclass(schema, BaseModel):
                raise SutroConfigurationError(
                    f"args_schema of {function!r} must be a pydantic model or a JSON schema."
                )
            self.json_schema = schema.model_json_schema()
            self._adapter: TypeAdapter[Any] = TypeAdapter(schema)
        else:
            self.json_schema = dict(schema)
            self._adapter = TypeAdapter(_typed_dict(self.json_schema, function))
        self.fields: tuple[str, ...] = tuple(self.json_schema.get("properties", {}))

    def check(self, row: Any, *, row_index: int | None = None) -> Any:
        """Check a row and return what is sent.

        Args:
            row: A mapping, a pydantic model, or a string for a Function with one field.
            row_index: Index of the row, for messages.

        Raises:
            SutroInputError: The message names every missing, unknown or invalid field.
        """
        if isinstance(row, str) and len(self.fields) == 1:
            return row
        if isinstance(row, BaseModel):
            row = row.model_dump(mode="json", by_alias=True)
        if not isinstance(row, Mapping):
            raise SutroInputError(
                f"{self._where(row_index)} takes fields by name, not {type(row).__name__}. "
                f"{self._expected()}",
                row_index=row_index,
            )
        problems = [] if self._open() else self._unknown(row)
        try:
            value = self._adapter.validate_python(dict(row))
        except ValidationError as error:
            problems += [_problem(item) for item in error.errors(include_input=False)]
        if problems:
            first = problems[0][0]
            said = "; ".join(f"{name!r}: {what}" for name, what in problems)
            raise SutroInputError(
                f"{self._where(row_index)}: {said}. {self._expected()}",
                row_index=row_index,
                column=first,
            )
        # A model may add defaults; a JSON schema only checks.
        return value.model_dump(mode="json", by_alias=True) if self.model else row

    def _open(self) -> bool:
        return self.json_schema.get("additionalProperties", False) is not False

    def _unknown(self, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
        known = set(self.fields)
        if self.model is not None:
            known |= set(self.model.model_fields)
        return [(str(name), "unknown field") for name in row if name not in known]

    def _where(self, row_index: int | None) -> str:
        row = "" if row_index is None else f"row {row_index} for "
        return f"{row}Function {self._function!r}"

    def _expected(self) -> str:
        properties = self.json_schema.get("properties", {})
        kinds = ", ".join(f"{name} ({_kind(part)})" for name, part in properties.items())
        return f"Its fields are: {kinds}."


def _kind(part: Any) -> str:
    if not isinstance(part, Mapping):
        return "any"
    if "enum" in part:
        return "one of " + ", ".join(repr(value) for value in part["enum"])
    kind = part.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _problem(item: Any) -> tuple[str, str]:
    place = ".".join(str(part) for part in item["loc"]) or "input"
    return place, item["msg"].lower() if item["type"] == "missing" else item["msg"]


def _typed_dict(schema: Mapping[str, Any], function: str) -> Any:
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, Mapping):
        raise SutroConfigurationError(
            f'args_schema of {function!r} must be the JSON schema of an object with "properties".'
        )
    definitions = schema.get("$defs", schema.get("definitions", {}))
    required = set(schema.get("required", ()))
    fields = {
        name: (Required if name in required else NotRequired)[_type(part, definitions)]
        for name, part in properties.items()
    }
    # A typed dict, unlike a model, allows any name for a field.
    make: Any = TypedDict
    typed = make("Input", fields)
    typed.__pydantic_config__ = ConfigDict(extra="ignore")
    return typed


def _type(  # noqa: PLR0911 - one line for each keyword
    part: Any, definitions: Mapping[str, Any], depth: int = 0
) -> Any:
    """The Python type for a JSON schema; a wider one where the schema is elaborate."""
    if not isinstance(part, Mapping) or depth > 8:
        return Any
    if "$ref" in part:
        name = str(part["$ref"]).rpartition("/")[2]
        return _type(definitions.get(name), definitions, depth + 1)
    if "const" in part:
        return Literal[part["const"]]
    if part.get("enum"):
        return Literal[tuple(part["enum"])]
    choices = part.get("anyOf") or part.get("oneOf")
    if choices:
        return Union[tuple(_type(choice, definitions, depth + 1) for choice in choices)]  # noqa: UP007 - made at run time
    kind = part.get("type")
    if isinstance(kind, list):
        return Union[tuple(_TYPES.get(one, Any) for one in kind)] if kind else Any  # noqa: UP007 - made at run time
    if kind == "array":
        return list[_type(part.get("items"), definitions, depth + 1)]  # type: ignore[misc]
    return _TYPES.get(kind, Any) if isinstance(kind, str) else Any


def model_of(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """A model that accepts any mapping and reports the given JSON schema as its own.

    Args:
        name: The model's name.
        schema: The JSON schema.
    """

    def replace(generated: dict[str, Any]) -> None:
        generated.clear()
        generated.update(schema)

    namespace = {
        "__module__": __name__,
        "model_config": ConfigDict(json_schema_extra=replace),
    }
    return cast("type[BaseModel]", type(name, (RootModel[dict[str, Any]],), namespace))
