"""A published Function: any callable or LangChain Runnable with an input and an output schema."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio.to_thread
import orjson
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langchain_sutro._core.exports import exported_from
from langchain_sutro.local.functions.fields import Fields, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Answer", "LocalFunction", "Schema"]

Schema: TypeAlias = Mapping[str, Any] | type[BaseModel]

RATIONALES = ("rationale", "reasoning")

# Rows of a job that an async callable or a Runnable works on at once, and between two looks at
# whether the job was cancelled.
_AT_ONCE = 16
_SLICE = 64


@exported_from("langchain_sutro.local")
@dataclass(frozen=True, slots=True)
class Answer:
    """What a Function answers, with what belongs to it.

    Attributes:
        output: A bare value or an object of the output schema.
        confidence: 0 to 1, or None.
        predictions: `{"label", "confidence"}` of every label, surest first. Only the hosted
            generation's real-time call shows them.
        rationale: Why. It also becomes the output's `rationale` or `reasoning` field if the schema
            has one and the output does not.
    """

    output: Any
    confidence: float | None = None
    predictions: Sequence[Mapping[str, Any]] | None = None
    rationale: str | None = None


@exported_from("langchain_sutro.local")
class LocalFunction:
    """A Function that a local deployment publishes.

    Args:
        name: What clients call it by.
        call: Takes a row (a dict, or the `input_schema` if that is a pydantic model) and returns
            a bare value, a dict, a pydantic model, or an `Answer` with a confidence. Sync, async or
            a LangChain Runnable. None publishes a Function without anything runnable, which
            answers 409.
        input_schema: JSON schema of an object, or a pydantic model.
        output_schema: JSON schema or pydantic model. If it has one field besides `rationale` or
            `reasoning`, a bare value becomes that field.
        description: What it does, for people and agents; by default the docstring of `call`.
        prompt: Shown as `usage.system_prompt` by the hosted generation; made up if None.
        batch: The same as `call` for a list of rows, if that is quicker; jobs use it.
        model: What `function.model` says.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[Any], Any] | Runnable[Any, Any] | None,
        *,
        input_schema: Schema,
        output_schema: Schema,
        description: str | None = None,
        prompt: str | None = None,
        batch: Callable[[list[Any]], Sequence[Any]] | None = None,
        model: str = "local",
    ) -> None:
        if not name:
            raise ValueError("A Function needs a name.")
        if description is None:
            description = (inspect.getdoc(call) or "") if inspect.isroutine(call) else ""
        self.name = name
        self.description = description
        self.prompt = prompt or f'You are the Function "{name}". {description}'.strip()
        self.model = model
        self.call = call
        self.batch = batch
        self.input_schema, input_model = _schema(input_schema)
        self.output_schema, self._output_model = _schema(output_schema)
        self.fields = Fields(self.input_schema, input_model)
        properties = self.output_schema.get("properties", {})
        self._rationale = next((name for name in RATIONALES if name in properties), None)
        self._primary = [name for name in properties if name not in RATIONALES]

    def __repr__(self) -> str:
        return f"LocalFunction({self.name!r})"

    def renamed(self, name: str) -> LocalFunction:
        """The same Function under another name."""
        other = object.__new__(LocalFunction)
        other.__dict__ = {**self.__dict__, "name": name}
        return other

    def public(self) -> dict[str, Any]:
        """Name, description and schemas, as the local deployment lists them."""
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
        }

    @property
    def runnable(self) -> bool:
        """Whether there is something to run."""
        return self.call is not None or self.batch is not None

    def text(self, answer: Answer) -> str:
        """An answer as a row of a job's results: text, or JSON text if there is a schema for it."""
        output = answer.output
        return output if isinstance(output, str) else orjson.dumps(output).decode()

    def parts(self, answer: Answer) -> tuple[bool, Any, str]:
        """An answer as the hosted generation splits it.

        Returns:
            Whether there is one primary output; it, or the object of several; the rationale.
        """
        output, rationale = answer.output, as_text(answer.rationale)
        if not isinstance(output, dict):
            return True, output, rationale
        fields = dict(output)
        for name in RATIONALES:
            rationale = as_text(fields.pop(name, None)) or rationale
        if len(fields) == 1:
            return True, next(iter(fields.values())), rationale
        return False, fields, rationale

    async def answer(self, row: Any) -> Answer:
        """Answer one row that `fields` has read.

        Raises:
            Exception: Whatever the user's code raises; ValueError for an answer that makes no
                sense.
        """
        call = self.call
        if isinstance(call, Runnable):
            raw = await call.ainvoke(row)
        elif call is not None and _is_async(call):
            raw = await call(row)
        else:
            # The deadline cannot stop a thread, only stop waiting for it.
            raw = await anyio.to_thread.run_sync(self._blocking, row, abandon_on_cancel=True)
        return self._settled(raw)

    def answers(self, rows: list[Any], runner: asyncio.Runner) -> Iterator[Answer | Exception]:
        """Answer the rows of a job, in order; what fails for a row is in its place.

        Args:
            rows: As `fields` has read them.
            runner: The event loop of the job, for what is async.
        """
        if self.batch is not None:
            yield from self._batched(rows)
        elif isinstance(self.call, Runnable) or _is_async(self.call):
            for start in range(0, len(rows), _SLICE):
                raw = runner.run(self._gathered(rows[start : start + _SLICE]))
                yield from (self._checked(value) for value in raw)
        else:
            for row in rows:
                yield self._attempt(row)

    def _batched(self, rows: list[Any]) -> Iterator[Answer | Exception]:
        batch = self.batch
        if batch is None:
            return
        try:
            raw = list(batch(rows))
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            raw = [error] * len(rows)
        if len(raw) != len(rows):
            raw = [ValueError(f"{len(raw)} answers for {len(rows)} rows.")] * len(rows)
        for row, value in zip(rows, raw, strict=True):
            # One bad row must not take the others with it.
            failed = isinstance(value, Exception) and self.call is not None
            yield self._attempt(row) if failed else self._checked(value)

    async def _gathered(self, rows: list[Any]) -> list[Any]:
        call = self.call
        if isinstance(call, Runnable):
            return await call.abatch(rows, {"max_concurrency": _AT_ONCE}, return_exceptions=True)
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(row: Any) -> Any:
            async with places:
                return await call(row)  # type: ignore[misc]  # async, or this is not called

        return await asyncio.gather(*map(one, rows), return_exceptions=True)

    def _blocking(self, row: Any) -> Any:
        if self.call is not None and not isinstance(self.call, Runnable):
            return self.call(row)
        if self.batch is not None:
            return self.batch([row])[0]
        raise RuntimeError("There is nothing to run.")

    def _attempt(self, row: Any) -> Answer | Exception:
        try:
            return self._settled(self._blocking(row))
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            return error

    def _checked(self, raw: Any) -> Answer | Exception:
        if isinstance(raw, BaseException):
            return raw if isinstance(raw, Exception) else RuntimeError(repr(raw))
        try:
            return self._settled(raw)
        except Exception as error:  # noqa: BLE001 - a value that is no answer is that row's failure
            return error

    def _settled(self, raw: Any) -> Answer:
        """Bring what the user's code returned into the shape of the output schema."""
        answer = raw if isinstance(raw, Answer) else Answer(raw)
        output = _plain(answer.output)
        if output is None:
            raise ValueError("The Function returned nothing.")
        if not isinstance(output, dict) and len(self._primary) == 1:
            output = {self._primary[0]: output}
        if isinstance(output, dict) and self._rationale and answer.rationale is not None:
            output = {**output}
            output.setdefault(self._rationale, answer.rationale)
        if self._output_model is not None:
            output = self._output_model.model_validate(output).model_dump(mode="json")
        return Answer(
            _json(output),
            _probability(answer.confidence),
            None if answer.predictions is None else _predictions(answer.predictions),
            answer.rationale,
        )


def _schema(schema: Schema) -> tuple[dict[str, Any], type[BaseModel] | None]:
    if isinstance(schema, type):
        return schema.model_json_schema(), schema
    return dict(schema), None


def _is_async(call: Any) -> bool:
    # An object may be callable by an async __call__.
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(call, "__call__", None)  # noqa: B004 - asked for its kind, not whether it exists
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel) and not isinstance(value, BaseMessage):
        return value.model_dump(mode="json")
    # A chat model at the end of a chain answers with a message.
    return str(value.text) if isinstance(value, BaseMessage) else value


def _json(value: Any) -> Any:
    # What has no JSON form must fail here, not when it is sent.
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def _predictions(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    plain = _json([dict(one) for one in given])
    return [
        {**one, "label": one["label"], "confidence": _probability(one["confidence"])}
        for one in plain
    ]


def _probability(value: float | None) -> float | None:
    if value is None or math.isnan(value):
        return None
    if not 0 <= value <= 1:
        raise ValueError(f"A confidence is between 0 and 1, not {value}.")
    return float(value)
