"""A Function's input schema, as the caller declares it: the service does not publish one.

A schema is a pydantic model or the JSON schema of an object. Either way rows are checked before
they are sent, and fields may have any name: `self`, `config`, names with spaces.

One rule holds for calls, batches, tables and tools. A row comes in as the schema reads it: under
the names of a model's validation (its aliases and their choices), with its defaults and validators.
What is sent is what was validated, as the model writes it: under the names of its serialization,
with computed fields and without excluded ones. A JSON schema checks a row and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Literal, TypeAlias, cast

import orjson
from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from langchain_sutro._core.rows.dumped_models import dumped
from langchain_sutro._core.rows.json_cells import is_missing
from langchain_sutro._core.rows.json_rows import encode_row
from langchain_sutro._core.rows.json_schema import (
    kind_in_words,
    python_type,
    schema_problems,
    typed_dict,
)
from langchain_sutro._core.rows.model_names import ModelNames
from langchain_sutro.errors import SutroConfigurationError, SutroInputError

__all__ = ["ExtraFields", "InputSchema", "model_of"]

ExtraFields: TypeAlias = Literal["forbid", "ignore"]
"""What becomes of fields that a schema does not name: they are an error, or are not sent."""

_Problems: TypeAlias = list[tuple[str, str]]
"""The name of each wrong field, and what is wrong with it."""


class InputSchema:
    """Checks rows against a pydantic model or a JSON schema.

    Args:
        schema: The model, or the schema of an object with `properties`.
        function: The Function's name, for messages.
        extra: What becomes of fields that the schema does not name, unless it admits them. A model
            that says `extra="ignore"` itself ignores them anyway.

    Raises:
        SutroConfigurationError: It does not describe an object with named fields.

    Attributes:
        model: The model; None for a JSON schema.
        json_schema: The JSON schema of a row as it comes in.
        fields: Names of the fields, as the JSON schema has them.
        accepted: All names that a field of a row may have when it comes in.
        optional: Those of them that a row may lack.
        open: Whether the schema admits any other field, which is then sent too.
    """

    def __init__(
        self,
        schema: type[BaseModel] | Mapping[str, Any],
        function: str,
        extra: ExtraFields = "forbid",
    ) -> None:
        self._function = function
        self.model: type[BaseModel] | None = None
        self._names: ModelNames | None = None
        self.json_schema: dict[str, Any]
        self._adapter: TypeAdapter[Any]
        if isinstance(schema, type):
            self._use_model(schema)
        else:
            self._use_json_schema(dict(schema))
        self.fields: tuple[str, ...] = tuple(self.json_schema.get("properties", {}))
        own = None if self.model is None else self.model.model_config.get("extra")
        self._ignores = extra == "ignore" or own == "ignore"
        rest = self.json_schema.get("additionalProperties", False)
        self.open = rest is not False
        self._rest: TypeAdapter[Any] | None = None
        if self.model is None and isinstance(rest, Mapping):
            self._rest = TypeAdapter(python_type(rest, self.json_schema))

    def _use_model(self, model: type) -> None:
        if not issubclass(model, BaseModel):
            raise SutroConfigurationError(
                f"args_schema of {self._function!r} must be a pydantic model or a JSON schema."
            )
        self.model = model
        by_alias = bool(model.model_config.get("validate_by_alias", True))
        try:
            self.json_schema = model.model_json_schema(by_alias=by_alias)
            self._adapter = TypeAdapter(model)
        except PydanticUserError as error:
            raise SutroConfigurationError(
                f"args_schema of {self._function!r} has no JSON schema: {error.message}"
            ) from error
        if issubclass(model, RootModel):
            self._use_properties()
            return
        self._names = ModelNames.of(model)
        self.accepted, self.optional = self._names.accepted, self._names.optional

    def _use_json_schema(self, schema: dict[str, Any]) -> None:
        for path, what in schema_problems(schema):
            raise SutroConfigurationError(
                f"args_schema of {self._function!r} must be the JSON schema of an object with "
                f'"properties", but {".".join(map(str, path))} {what}.'
            )
        self.json_schema = schema
        self._adapter = TypeAdapter(typed_dict(schema))
        self._use_properties()

    def _use_properties(self) -> None:
        self.accepted = frozenset(self.json_schema.get("properties", ()))
        self.optional = self.accepted.difference(self.json_schema.get("required", ()))

    def for_tables(self) -> InputSchema:
        """The same schema, but fields that it does not name are left out instead of refused.

        A table is seldom made for one Function alone, so its other columns are not a mistake.
        """
        lenient = copy(self)
        lenient._ignores = True  # noqa: SLF001 - ours
        return lenient

    def check(self, row: Any, *, row_index: int | None = None, from_json: bool = False) -> Any:
        """Check a row and return what is sent.

        Args:
            row: A mapping, a pydantic model, or a string for a Function with one field. An instance
                of the schema's own model was validated when it was made, and is not again.
            row_index: Index of the row, for messages.
            from_json: Whether an agent's model wrote the row as JSON: a strict model then takes a
                string as a date, as pydantic does in JSON.

        Returns:
            The names and values that are sent. Values may still be dates, secrets and so on, which
            `encode_row` turns into JSON.

        Raises:
            SutroInputError: The message names every missing, unknown or invalid field.
        """
        if self.model is not None and isinstance(row, self.model):
            value, problems = self._validated(row, row_index)
            if problems:
                raise self._error(problems, row_index)
            return self._sent(value, row_index)
        given = self._named(row, row_index)
        surplus = [] if self.open else [name for name in given if name not in self.accepted]
        if self._ignores and surplus:
            given = {name: part for name, part in given.items() if name in self.accepted}
            surplus = []
        value, problems = self._checked(given, row_index, from_json=from_json)
        if surplus or problems:
            unknown = [(str(name), "unknown field") for name in surplus]
            hint = bool(surplus) and not from_json
            raise self._error([*unknown, *problems], row_index, hint=hint)
        return given if self.model is None else self._sent(value, row_index)

    def _named(self, row: Any, row_index: int | None) -> dict[Any, Any]:
        """The fields of a row by name."""
        if isinstance(row, str) and len(self.fields) == 1:
            row = {self.fields[0]: row}
        elif self.model is not None and isinstance(row, BaseModel):
            row = self._of_user(lambda: row.model_dump(by_alias=True, warnings="none"), row_index)
        if not isinstance(row, Mapping | BaseModel):
            raise SutroInputError(
                f"{self._where(row_index)} takes fields by name, not {type(row).__name__}. "
                f"{self._expected()}",
                row_index=row_index,
            )
        if self.model is None:
            # A JSON schema describes JSON.
            return cast("dict[Any, Any]", encode_row(row, row_index=row_index))
        cells = {name: None if is_missing(part) else part for name, part in dict(row).items()}
        return cells if self._names is None else self._names.placed(cells)

    def _checked(
        self, given: dict[Any, Any], row_index: int | None, *, from_json: bool
    ) -> tuple[Any, _Problems]:
        """What was validated, and what is wrong."""
        value, problems = self._validated(given, row_index, from_json=from_json)
        # An optional field may be null even if it does not take null: a column of a table cannot
        # leave it out, nor can a model that has to name every field.
        wrong = {name for name, _ in problems}
        empty = {one for one in wrong & self.optional if one in given and given[one] is None}
        if empty:
            filled = {name: part for name, part in given.items() if name not in empty}
            value, problems = self._validated(filled, row_index, from_json=from_json)
        for name in given.keys() - self.accepted if self._rest is not None else ():
            _, found = self._validated(given[name], row_index, adapter=self._rest)
            problems += [(str(name), what) for _, what in found]
        return value, problems

    def _validated(
        self,
        value: Any,
        row_index: int | None,
        *,
        from_json: bool = False,
        adapter: TypeAdapter[Any] | None = None,
    ) -> tuple[Any, _Problems]:
        used = adapter or self._adapter
        encoded = _json(value) if from_json and self.model is not None else None
        try:
            if encoded is not None:
                return self._of_user(lambda: used.validate_json(encoded), row_index), []
            return self._of_user(lambda: used.validate_python(value), row_index), []
        except ValidationError as error:
            return None, [_problem(item) for item in error.errors(include_input=False)]

    def _sent(self, value: Any, row_index: int | None) -> Any:
        return self._of_user(
            lambda: dumped(lambda **how: self._adapter.dump_python(value, **how)), row_index
        )

    def _of_user(self, work: Callable[[], Any], row_index: int | None) -> Any:
        """Run code of the user's model, whose errors are those of the row."""
        try:
            return work()
        except ValidationError:
            raise
        except Exception as error:
            raise SutroInputError(
                f"{self._where(row_index)}: the code of its args_schema raised "
                f"{type(error).__name__}.",
                row_index=row_index,
            ) from error

    def _error(
        self, problems: _Problems, row_index: int | None, *, hint: bool = False
    ) -> SutroInputError:
        said = "; ".join(f"{name!r}: {what}" for name, what in problems)
        advice = ' extra_fields="ignore" leaves unknown fields out.' if hint else ""
        return SutroInputError(
            f"{self._where(row_index)}: {said}. {self._expected()}{advice}",
            row_index=row_index,
            column=problems[0][0],
        )

    def _where(self, row_index: int | None) -> str:
        row = "" if row_index is None else f"row {row_index} for "
        return f"{row}Function {self._function!r}"

    def _expected(self) -> str:
        properties = self.json_schema.get("properties", {})
        kinds = ", ".join(
            f"{name} ({kind_in_words(part, self.json_schema)})" for name, part in properties.items()
        )
        return f"Its fields are: {kinds}."


def _json(value: Any) -> bytes | None:
    """The value as JSON, or None if it has values that JSON lacks."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def _problem(item: Any) -> tuple[str, str]:
    place = ".".join(str(part) for part in item["loc"]) or "input"
    return place, item["msg"].lower() if item["type"] == "missing" else item["msg"]


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
