"""What the rest of the package needs of a `SutroFunction`, besides what its users see.

It stands below the class, so that the parts which the class makes, such as its tool, need not
import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from langchain_sutro.functions.answers import AnswerForm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from pydantic import BaseModel, SecretStr

    from langchain_sutro._core.jobs import SutroClient
    from langchain_sutro._core.rows import ExtraFields, InputSchema

__all__ = [
    "PublishedFunction",
    "answer_form",
    "check_row",
    "input_schema",
    "payload_function",
    "table_schema",
]

_F = TypeVar("_F", bound="PublishedFunction")


@runtime_checkable
class PublishedFunction(Protocol):
    """A `SutroFunction`, as far as a tool of it needs one."""

    function: str
    description: str | None
    args_schema: type[BaseModel] | dict[str, Any] | None
    extra_fields: ExtraFields
    output: Literal["full", "answer"]
    output_model: type[BaseModel] | None
    min_confidence: float | None
    sutro_api_key: SecretStr | None

    @property
    def client(self) -> SutroClient:
        """The service without LangChain."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with other values of some fields."""

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Make one real-time run."""

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Asynchronous form of `invoke`."""

    def batch(self, inputs: list[Any], config: Any = None, **kwargs: Any) -> list[Any]:
        """Run all rows as one job."""

    async def abatch(self, inputs: list[Any], config: Any = None, **kwargs: Any) -> list[Any]:
        """Asynchronous form of `batch`."""


def input_schema(function: PublishedFunction) -> InputSchema | None:
    """The schema that a Function checks its rows with; None without an `args_schema`."""
    # A private attribute of a pydantic model, which the check of a protocol would not find.
    private: Any = function
    schema: InputSchema | None = private._schema  # noqa: SLF001 - ours, but not for users
    return schema


def table_schema(function: PublishedFunction) -> InputSchema | None:
    """The schema for the rows of tables, of which other fields are not sent."""
    schema = input_schema(function)
    return None if schema is None else schema.for_tables()


def check_row(function: PublishedFunction, row: Any, row_index: int | None = None) -> Any:
    """A row as it may be sent.

    Args:
        function: What the row is for.
        row: As for `SutroFunction.invoke`.
        row_index: Index of the row in its table, for the error.

    Raises:
        SutroInputError: It does not fit `args_schema`.
    """
    schema = input_schema(function)
    return row if schema is None else schema.check(row, row_index=row_index)


def answer_form(function: PublishedFunction) -> AnswerForm:
    """The form of a Function's answers."""
    return AnswerForm(
        function.function, function.output, function.output_model, function.min_confidence
    )


def payload_function(function: _F, **update: Any) -> _F:
    """The Function with whole payloads as its results, for those who judge by them.

    Args:
        function: In whatever form its user wants its answers.
        **update: Other fields that are to change.
    """
    return function.model_copy(update={"output": "full", "output_model": None, **update})
