"""The input of a Function: which fields it has, and what it makes of the values that come.

The service knows strings only: null is the empty string, objects and lists are JSON text, and
everything else has its text form (deployment API, run endpoint). A field whose schema names another
type gets that type here, so that a local Python function can have typed parameters.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from langchain_sutro.local.functions.assets import AssetKind, asset_kind, check_asset
from langchain_sutro.local.refusals import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Fields", "as_text"]

_PYTHON_TYPES: dict[str, type] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": float,
    "array": list,
    "object": dict,
    "null": type(None),
}


def as_text(value: Any) -> str:
    """The text that the service makes of a JSON value."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else orjson.dumps(value, default=str).decode()
    except TypeError as error:
        raise InvalidInputError(f"A value has no text form: {error}.") from None


class Fields:
    """The input fields of a Function.

    Args:
        schema: JSON schema of an object. With `"additionalProperties": true` it takes any field,
            as no published Function does, but a stand-in in a test may. A property with a
            `contentMediaType` of an image or of `application/pdf` takes assets.
        model: Rows are given to the Function as this model, if there is one.
    """

    def __init__(self, schema: Mapping[str, Any], model: type[BaseModel] | None = None) -> None:
        properties = schema.get("properties")
        self._properties: dict[str, Any] = dict(properties) if properties else {}
        self._types = {name: _types(property_) for name, property_ in self._properties.items()}
        self._model = model
        self._assets: dict[str, AssetKind] = {
            name: kind
            for name, property_ in self._properties.items()
            if (kind := asset_kind(property_)) is not None
        }
        self._open = schema.get("additionalProperties") is True
        self.names = tuple(self._properties)
        self.required = tuple(schema.get("required", ()))

    def strict(self, value: Any) -> Any:
        """Read the input of a real-time call: every field is required, and no other allowed.

        Raises:
            InvalidInputError: It names the fields.
        """
        row = self._object(value)
        wrong = []
        if missing := [name for name in self.names if name not in row]:
            wrong.append(f"missing {_quoted(missing)}")
        unknown = [name for name in row if name not in self._properties]
        if unknown and not self._open:
            wrong.append(f"unknown {_quoted(unknown)}")
        if wrong:
            raise InvalidInputError(
                f"The input does not match the Function: {'; '.join(wrong)}. "
                f"Its fields are {_quoted(self.names)}."
            )
        return self._read(row, assets=True)

    def lax(self, value: Any) -> Any:
        """Read a row of a job or a call of the hosted generation: what is not known is ignored.

        Raises:
            InvalidInputError: A required field is missing, or a value cannot be read.
        """
        self.check(value)
        row = self._object(value)
        known = {n: v for n, v in row.items() if self._open or n in self._properties}
        return self._read(known, assets=False)

    def check(self, value: Any) -> None:
        """Look whether a row has what is required, without reading its values.

        Raises:
            InvalidInputError: It does not.
        """
        row = self._object(value)
        if missing := [name for name in self.required if name not in row]:
            raise InvalidInputError(f"missing {_quoted(missing)}.")

    def _object(self, value: Any) -> dict[str, Any]:
        # The service renders a Function's prompt from its fields, and takes a prompt that was
        # rendered already in jobs. Here there is no prompt: a string is the only text field.
        if isinstance(value, dict):
            return value
        if isinstance(value, str) and len(self.names) == 1 and not self._assets:
            return {self.names[0]: value}
        if isinstance(value, str):
            raise InvalidInputError(
                "A string is allowed as the input of a Function with one text field only; "
                f"this one has {_quoted(self.names)}."
            )
        raise InvalidInputError(f"The input is an object or a string, not {_json_type(value)}.")

    def _read(self, row: dict[str, Any], *, assets: bool) -> Any:
        values = {}
        for name, value in row.items():
            kind = self._assets.get(name)
            if kind is None:
                values[name] = _cell(name, value, self._types.get(name))
            elif assets:
                values[name] = check_asset(name, value, kind)
            else:
                raise InvalidInputError(f'Field "{name}" takes assets, and this call text only.')
        if self._model is None:
            return values
        try:
            return self._model.model_validate(values)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise InvalidInputError(f"The input does not fit: {'; '.join(wrong)}.") from None


def _cell(name: str, value: Any, types: list[str] | None) -> Any:
    if types is None:
        # An enum or a nested model, which is the pydantic model's business.
        return value
    if "string" in types:
        return None if value is None and "null" in types else as_text(value)
    if isinstance(value, str):
        with suppress(ValueError):
            value = orjson.loads(value)
    if _json_type(value) in types or (isinstance(value, int) and "number" in types):
        return value
    raise InvalidInputError(f'Field "{name}" is {_json_type(value)}, not {" or ".join(types)}.')


def _types(schema: dict[str, Any]) -> list[str] | None:
    """The JSON types that a field may have; text if nothing is said, None if it is not plain."""
    if "$ref" in schema:
        return None
    alternatives = schema.get("anyOf", schema.get("oneOf"))
    if alternatives is None:
        types = schema.get("type", "string")
        return types if isinstance(types, list) else [types]
    found: list[str] = []
    for alternative in alternatives:
        types = _types(alternative)
        if types is None:
            return None
        found += types
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _json_type(value: Any) -> str:
    for name, type_ in _PYTHON_TYPES.items():
        if isinstance(value, type_) and (name == "boolean") == isinstance(value, bool):
            return name
    return type(value).__name__
