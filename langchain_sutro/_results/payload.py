"""One answer: what `invoke` returns, and what one row of a Batch job becomes.

Both have one shape for each generation of the service, so code written for one reads the other.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from langchain_sutro._exports import exported_from
from langchain_sutro.errors import SutroAPIError, SutroError, SutroRowError

__all__ = [
    "FunctionResult",
    "loads",
    "parse_output",
    "parse_output_model",
    "row_result",
    "unwrap",
]

_M = TypeVar("_M", bound=BaseModel)

_RATIONALES = ("rationale", "reasoning")
_ENVELOPE = {"content", "reasoning_content"}
_LARGE = 2.0**63
# What looks like a number but is not written as JSON writers do is a text, such as 1.10 or 1e5.
_SCALAR = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?|true|false|null")


@exported_from("langchain_sutro")
class FunctionResult(dict[str, Any]):
    """A Function's answer: the payload as the service sent it, with its parts as attributes.

    It is an ordinary dict, so it can be picked from, encoded, copied and pickled as one. Its
    `repr` leaves the Function's prompt out; `without_prompt` does so for good.
    """

    @property
    def answer(self) -> Any:
        """What was asked for, by one rule for every shape of payload.

        `response` if there is one; else `output` if it is not an object, or has other than one
        field besides its rationale; else the value of that one field.
        """
        if "response" in self:
            return self["response"]
        output = self.get("output")
        if isinstance(output, dict):
            names = [name for name in output if name not in _RATIONALES]
            if len(names) == 1:
                return output[names[0]]
        return output

    @property
    def output(self) -> Any:
        """`output`, or else `response`."""
        return self["output"] if "output" in self else self.get("response")

    @property
    def confidence(self) -> float | None:
        """How likely the answer is right, 0 to 1; None if it was not scored."""
        value = self.get("confidence")
        return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value

    @property
    def predictions(self) -> list[dict[str, Any]] | None:
        """Each label with its confidence, best first; hosted generation, real-time only."""
        return self.get("predictions")

    @property
    def rationale(self) -> str | None:
        """Why, in the Function's words: at the top level, or else inside an output object."""
        value = self.get("rationale")
        output = self.get("output")
        if value is None and isinstance(output, dict):
            value = next((output[name] for name in _RATIONALES if name in output), None)
        return value

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens and, in the deployment generation, estimated cost in USD."""
        return self.get("usage")

    @property
    def request_id(self) -> str | None:
        """The service's name for this call."""
        value: str | None = self.get("request_id", self.get("run_id"))
        return value

    def without_prompt(self) -> FunctionResult:
        """A copy without `usage.system_prompt`, the Function's own prompt."""
        copy = FunctionResult(self)
        usage = self.get("usage")
        if isinstance(usage, dict) and "system_prompt" in usage:
            copy["usage"] = {name: usage[name] for name in usage if name != "system_prompt"}
        return copy

    def __repr__(self) -> str:
        return f"FunctionResult({dict.__repr__(self.without_prompt())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython's
        """The same in a notebook, over as many lines as it takes."""
        with printer.group(len("FunctionResult("), "FunctionResult(", ")"):
            printer.pretty(dict(self.without_prompt()))


def row_result(
    output: Any,
    confidence: Any = None,
    *,
    generation: Literal["deployment", "hosted"],
    job_id: str | None,
    row_index: int,
) -> FunctionResult | SutroRowError:
    """One row of a job in the shape of a real-time answer of the same generation.

    Args:
        output: The row's output: a text, which is JSON if the Function has a schema; None if the
            row failed. What is parsed already is taken as it is.
        confidence: Its confidence score, if there is one.
        generation: `"deployment"`: `output` and `confidence`. `"hosted"`: `response` if there is
            one field besides the rationale, else `output`; with `confidence` and `rationale`.
            A reasoning model's envelope is opened in both, see `unwrap`.
        job_id: The job, for the error.
        row_index: The row, for the error.

    Returns:
        The answer, or the error that tells why there is none; it is not raised.
    """
    try:
        value = parse_output(output) if isinstance(output, str) else output
        value, reasoning = unwrap(value)
    except ValueError:
        return _row_error("has an output that is not valid JSON", job_id, row_index)
    if value is None:
        return _row_error("has no output", job_id, row_index)
    score = None if isinstance(confidence, float) and math.isnan(confidence) else confidence
    if generation == "deployment":
        result = FunctionResult(output=value, confidence=score)
    else:
        result = _hosted(value, score)
    if reasoning is not None:
        result["reasoning_content"] = reasoning
    return result


def parse_output(text: str) -> Any:
    """The value of an output's text.

    JSON objects, arrays and texts in quotes are parsed, and so are `true`, `false`, `null` and
    numbers that are written as JSON writers write them; integers stay exact. Any other text, such
    as `00123`, is the answer itself.

    Args:
        text: One row's output.

    Returns:
        The JSON value, or the text.

    Raises:
        ValueError: It begins as an object or array, and is not one.
    """
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return loads(text)
    if start == '"' or _SCALAR.fullmatch(text):
        try:
            value = loads(text)
        except ValueError:
            return text
        if isinstance(value, str) or value is None or json.dumps(value) == text:
            return value
    return text


def loads(text: str) -> Any:
    """Parse JSON, with integers of any size.

    Raises:
        ValueError: It is not JSON.
    """
    value = orjson.loads(text)
    return json.loads(text) if _may_be_rounded(value) else value


def _may_be_rounded(value: Any) -> bool:
    """Whether orjson may have made a float of an integer beyond 64 bits."""
    kind = value.__class__
    if kind is float:
        return bool(abs(value) >= _LARGE)
    inner = value.values() if kind is dict else value if kind is list else ()
    return any(map(_may_be_rounded, inner))


def unwrap(value: Any) -> tuple[Any, Any]:
    """Open a reasoning model's envelope.

    Such a model's rows are objects with exactly the keys `content`, the answer, which may be JSON
    text itself, and `reasoning_content` (job results). A Function whose own schema has exactly
    these two fields looks the same; nothing is lost then, both remain in the result.

    Args:
        value: A parsed output.

    Returns:
        The answer, and the reasoning; the value itself and None if it is no envelope.

    Raises:
        ValueError: The content begins as a JSON object or array, and is not one.
    """
    if not isinstance(value, dict) or len(value) != 2 or value.keys() != _ENVELOPE:
        return value, None
    content, reasoning = value["content"], value["reasoning_content"]
    return (parse_output(content) if isinstance(content, str) else content), reasoning


def _row_error(what: str, job_id: str | None, row_index: int) -> SutroRowError:
    of_job = f" of job {job_id}" if job_id else ""
    return SutroRowError(f"Row {row_index}{of_job} {what}.", job_id=job_id, row_index=row_index)


def _hosted(value: Any, confidence: Any) -> FunctionResult:
    if not isinstance(value, dict):
        return FunctionResult(response=value, confidence=confidence)
    fields = {name: value[name] for name in value if name not in _RATIONALES}
    rationale = next((value[name] for name in _RATIONALES if name in value), None)
    if len(fields) != 1:
        # Its real-time answers have a rationale always, which may be empty.
        return FunctionResult(output=fields, confidence=confidence, rationale=rationale or "")
    result = FunctionResult(response=next(iter(fields.values())), confidence=confidence)
    if rationale is not None:
        result["rationale"] = rationale
    return result


def parse_output_model(
    result: FunctionResult,
    model: type[_M],
    *,
    job_id: str | None = None,
    row_index: int | None = None,
) -> _M:
    """Validate an answer's output into a pydantic model.

    Args:
        result: The answer. An output that is no object is taken for the one field of the model
            besides its rationale.
        model: The model.
        job_id: The job that the answer is a row of.
        row_index: Which row it is; None for a real-time answer.

    Returns:
        An instance of the model.

    Raises:
        SutroAPIError: A real-time answer does not fit; model and fields are named, not values.
        SutroRowError: The same for a row.
    """
    output = result.output
    if not isinstance(output, Mapping):
        output = _as_fields(output, result.rationale, model)
    try:
        return model.model_validate(output)
    except ValidationError as error:
        raise _misfit(error, model.__name__, job_id, row_index) from None


def _as_fields(value: Any, rationale: str | None, model: type[BaseModel]) -> Any:
    names = {field.alias or name for name, field in model.model_fields.items()}
    answers = names.difference(_RATIONALES)
    if len(answers) != 1:
        return value
    reasons = dict.fromkeys(names - answers, rationale) if rationale is not None else {}
    return {answers.pop(): value, **reasons}


def _misfit(
    error: ValidationError, model: str, job_id: str | None, row_index: int | None
) -> SutroError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in found
    )
    what = f"does not fit {model}: {places}"
    if row_index is not None:
        return _row_error(what, job_id, row_index)
    return SutroAPIError(f"The output {what}.", status_code=200, detail=what)
