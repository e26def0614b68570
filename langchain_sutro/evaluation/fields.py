"""Which values of an evaluated run become the input fields of a Function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from langchain_sutro.errors import SutroConfigurationError, SutroInputError
from langchain_sutro.functions import ABSENT, holds, inside, named_arguments

if TYPE_CHECKING:
    from langchain_sutro._core.rows import InputSchema

__all__ = ["FieldMapping", "FieldSpec"]

FieldSpec: TypeAlias = Mapping[str, str | Callable[..., Any]] | Callable[..., Any] | None

_PARTS = ("inputs", "outputs", "reference_outputs")
# Where a field is looked up by its name: what is judged comes first.
_SEARCHED = ("outputs", "inputs", "reference_outputs")
_ROOTS = (*_PARTS, "metadata")
_OFFERED = (*_ROOTS, "run", "example")
# Where LangSmith's runs have them; reference outputs are the examples'.
_OF_RUN = {"inputs": "inputs", "outputs": "outputs", "metadata": "extra"}
_WHOLE_RUN = frozenset({"inputs", "outputs", "extra", "error", "end_time", "tags", "status"})


class FieldMapping:
    """Makes a Function's input from an example and the outputs of its run.

    ```python
    fields = {"question": "inputs.question", "answer": "outputs.messages.-1.content"}
    messages = [{"role": "ai", "content": "Because."}]
    FieldMapping.of(fields).row({"question": "Why?"}, {"messages": messages}, None)
    ```
    """

    def __init__(self, picks: Mapping[str, _Path | _Call | _Named] | _Call, *, open_: bool) -> None:
        self._picks = picks
        self._open = open_

    @classmethod
    def of(cls, spec: FieldSpec = None, schema: InputSchema | None = None) -> FieldMapping:
        """Read a user's `fields`.

        Args:
            spec: A dict maps each field to a dotted path or a callable. A path starts with
                `inputs`, `outputs`, `reference_outputs` or `metadata`, followed by keys, or by list
                indices, which count from the end if negative. A callable, for one field or for the
                whole row, takes any of these four, `run` and `example`, by name. None looks up each
                field of `schema` by its name: a field called `inputs`, `outputs` or
                `reference_outputs` is that whole part; any other is looked up in the outputs, then
                the inputs, then the reference outputs, and left out if it is optional and in none
                of them. None without a schema gives the fields `inputs`, `outputs` and
                `reference_outputs`, as far as they exist.
            schema: The Function's input fields, if they are known.

        Raises:
            SutroConfigurationError: A path or a callable is not valid.
        """
        if spec is None and schema is None:
            return cls({name: _Named(name, name == "outputs") for name in _PARTS}, open_=True)
        if spec is None and schema is not None:
            needed = schema.json_schema.get("required", ())
            return cls({name: _Named(name, name in needed) for name in schema.fields}, open_=False)
        if isinstance(spec, Mapping):
            return cls({field: _pick(field, one) for field, one in spec.items()}, open_=False)
        if callable(spec):
            return cls(_Call("fields", spec), open_=False)
        raise SutroConfigurationError(
            f"fields must be a dict of paths and callables, or a callable, not {_kind(spec)}."
        )

    @property
    def parts(self) -> frozenset[str]:
        """The fields of LangSmith's runs that a row is made of."""
        picks = [self._picks] if isinstance(self._picks, _Call) else self._picks.values()
        roots = frozenset[str]().union(*(pick.roots for pick in picks))
        if roots & {"run", "example"}:
            return _WHOLE_RUN
        return frozenset(_OF_RUN[root] for root in roots if root in _OF_RUN)

    def row(
        self,
        inputs: Any,
        outputs: Any,
        reference_outputs: Any,
        *,
        run: Any = None,
        example: Any = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The Function's input.

        Args:
            inputs: The example's inputs, usually a dict.
            outputs: The run's outputs; None if there are none.
            reference_outputs: The example's reference outputs; None if there are none.
            run: LangSmith's run, for its metadata and for callables.
            example: LangSmith's example, likewise; its metadata overrides the run's.
            extra: Other values by field name, for fields that neither a path nor a callable makes.

        Raises:
            SutroInputError: A field is missing. The error names the field, its path and the keys
                that are there, never their values.
        """
        given = {
            "inputs": inputs,
            "outputs": outputs,
            "reference_outputs": reference_outputs,
            "metadata": _metadata(run, example),
            "run": run,
            "example": example,
        }
        if isinstance(self._picks, _Call):
            return _as_row(self._picks(given, {}))
        more = extra or {}
        found = {field: pick(given, more) for field, pick in self._picks.items()}
        row = {field: value for field, value in found.items() if value is not ABSENT}
        return {**row, **more} if self._open else row


class _Path:
    """A field at a known path."""

    def __init__(self, field: str, path: str) -> None:
        self._field, self._path = field, path
        self._root, *self._steps = path.split(".")
        self.roots = frozenset({self._root})
        if self._root not in _ROOTS or "" in self._steps:
            raise SutroConfigurationError(
                f"Field {field!r}: the path {path!r} does not start with one of "
                f"{', '.join(_ROOTS)}, followed by dots and keys or indices."
            )

    def __call__(self, given: Mapping[str, Any], _extra: Mapping[str, Any]) -> Any:
        value, place = given[self._root], self._root
        if value is None:
            raise self._missing(place, value)
        for step in self._steps:
            inner = inside(value, step)
            if inner is ABSENT:
                raise self._missing(place, value)
            value, place = inner, f"{place}.{step}"
        return value

    def _missing(self, place: str, value: Any) -> SutroInputError:
        return SutroInputError(
            f"Field {self._field!r} comes from {self._path!r}, which is missing: "
            f"{place} {holds(value)}.",
            column=self._field,
        )


class _Named:
    """A field of which only the name is known, looked up by it."""

    def __init__(self, field: str, required: bool) -> None:
        self._field, self._required = field, required
        self.roots = frozenset(_SEARCHED)

    def __call__(self, given: Mapping[str, Any], extra: Mapping[str, Any]) -> Any:
        field = self._field
        if field in extra:
            return extra[field]
        if field in _PARTS and given[field] is not None:
            return given[field]
        for part in _SEARCHED:
            value = inside(given[part], field)
            if value is not ABSENT:
                return value
        if not self._required:
            return ABSENT
        there = "; ".join(f"{part} {holds(given[part])}" for part in _SEARCHED)
        raise SutroInputError(
            f"Field {field!r} was not found: {there}. Pass fields= to say where it is.",
            column=field,
        )


class _Call:
    """A field, or a whole row, made by a callable from the values that it names."""

    def __init__(self, field: str, call: Callable[..., Any]) -> None:
        self._call = call
        self._names = named_arguments(call, _OFFERED)
        self.roots = frozenset(self._names)
        if not self._names:
            raise SutroConfigurationError(
                f"The callable for {field!r} must take any of {', '.join(_OFFERED)}, by name."
            )

    def __call__(self, given: Mapping[str, Any], _extra: Mapping[str, Any]) -> Any:
        return self._call(**{name: given[name] for name in self._names})


def _pick(field: str, spec: Any) -> _Path | _Call:
    if isinstance(spec, str):
        return _Path(field, spec)
    if callable(spec):
        return _Call(field, spec)
    raise SutroConfigurationError(f"Field {field!r} needs a path or a callable, not {_kind(spec)}.")


def _metadata(run: Any, example: Any) -> dict[str, Any]:
    of_run = (getattr(run, "extra", None) or {}).get("metadata")
    return {**(of_run or {}), **(getattr(example, "metadata", None) or {})}


def _as_row(made: Any) -> dict[str, Any]:
    if isinstance(made, BaseModel):
        return made.model_dump(mode="json", by_alias=True)
    if isinstance(made, Mapping):
        return dict(made)
    raise SutroInputError(f"The callable for fields= must return a dict, not {_kind(made)}.")


def _kind(value: Any) -> str:
    return type(value).__name__
