"""One result: the payload of a call, or of one row of a Batch job.

Within one generation of the service both have the same shape, so code for one works for the other.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, RootModel, ValidationError

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results.model import AnsweringModel
from langchain_sutro._core.rows import incoming_names
from langchain_sutro._core.service import dump_json, parse_json
from langchain_sutro.errors import SutroAPIError, SutroError, SutroRowError

__all__ = [
    "FunctionResult",
    "answer_fields",
    "parse_output",
    "parse_output_model",
    "row_result",
    "unwrap",
]

_M = TypeVar("_M", bound=BaseModel)

_RATIONALES = ("rationale", "reasoning")
_ENVELOPE = {"content", "reasoning_content"}
# A number that no JSON writer would write so, such as 1.10 or 1e5, stays a string.
_SCALAR = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?|true|false|null")


@exported_from("langchain_sutro")
class FunctionResult(dict[str, Any]):
    """A Function's result: the payload as the service sent it, with its parts as attributes.

    It is an ordinary dict, so it can be read, encoded, copied and pickled like one. Its `repr`
    omits the Function's prompt; `without_prompt` returns a copy without it.
    """

    @property
    def answer(self) -> Any:
        """The answer itself, extracted by one rule from every shape of payload.

        It is `response` if present. Otherwise it is `output`, or, if that is an object with exactly
        one field besides its rationale, the value of that field.
        """
        if "response" in self:
            return self["response"]
        output = self.get("output")
        if isinstance(output, dict):
            fields = answer_fields(output)
            if len(fields) == 1:
                return next(iter(fields.values()))
        return output

    @property
    def output(self) -> Any:
        """`output` if present, otherwise `response`."""
        return self["output"] if "output" in self else self.get("response")

    @property
    def confidence(self) -> float | None:
        """How likely the answer is right, from 0 to 1; None if it was not scored."""
        value = self.get("confidence")
        return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value

    @property
    def predictions(self) -> list[dict[str, Any]] | None:
        """Each label with its confidence, best first; hosted generation, real-time only."""
        return self.get("predictions")

    @property
    def rationale(self) -> str | None:
        """The Function's explanation, at the top level or inside an output object."""
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
        """The service's id of this call."""
        value: str | None = self.get("request_id", self.get("run_id"))
        return value

    @property
    def model(self) -> AnsweringModel | None:
        """The model that answered, its source and the Function's revision; None if not known."""
        return AnsweringModel.of(self.get("function"))

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
        """The same in a notebook, over as many lines as needed."""
        with printer.group(len("FunctionResult("), "FunctionResult(", ")"):
            printer.pretty(dict(self.without_prompt()))


def answer_fields(output: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an output besides its rationale."""
    return {name: value for name, value in output.items() if name not in _RATIONALES}


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
        output: The row's output: a string, which is JSON if the Function has a schema; None if the
            row failed. A parsed value is used as it is; bytes are read as UTF-8.
        confidence: Its confidence score, if there is one.
        generation: `"deployment"`: `output` and `confidence`. `"hosted"`: `response` if there is
            one field besides the rationale, else `output`; with `confidence` and `rationale`.
            In both, a reasoning model's envelope is opened, see `unwrap`.
        job_id: The job, for the error.
        row_index: The row, for the error.

    Returns:
        The result, or the error that says why there is none; the error is not raised.
    """
    try:
        output = output.decode() if isinstance(output, bytes) else output
        value = parse_output(output) if isinstance(output, str) else _parsed(output)
        value, reasoning = unwrap(value)
    except UnicodeDecodeError:
        return _row_error("has an output that is not valid UTF-8", job_id, row_index)
    except (ValueError, RecursionError):
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


def _parsed(value: Any) -> Any:
    """A value that was parsed already, if it is not nested too deeply.

    Raises:
        ValueError: It is.
    """
    return parse_json(dump_json(value)) if isinstance(value, dict | list) else value


def parse_output(text: str) -> Any:
    """Parse a row's output.

    JSON objects, arrays and quoted strings are parsed, and so are `true`, `false`, `null` and
    numbers in the form that JSON writers give them; integers stay exact, and NaN becomes None. Any
    other string, such as `00123`, is the answer itself.

    Args:
        text: One row's output.

    Returns:
        The JSON value, or the string.

    Raises:
        ValueError: It begins like an object or array, but is not valid JSON.
    """
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return parse_json(text)
    if start == '"' or _SCALAR.fullmatch(text):
        try:
            value = parse_json(text)
        except ValueError:
            return text
        if isinstance(value, str) or value is None or json.dumps(value) == text:
            return value
    return text


def unwrap(value: Any) -> tuple[Any, Any]:
    """Open a reasoning model's envelope.

    Such a model's rows are objects with exactly the keys `content`, the answer, which may be JSON
    text itself, and `reasoning_content` (job results). A Function whose own schema has exactly
    these two fields looks the same; nothing is lost then, both remain in the result.

    Args:
        value: A parsed output.

    Returns:
        The answer and the reasoning; the value itself and None if it is not an envelope.

    Raises:
        ValueError: The content begins like an object or array, but is not valid JSON.
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
    fields = answer_fields(value)
    rationale = next((value[name] for name in _RATIONALES if name in value), None)
    if len(fields) != 1:
        # Its real-time answers always have a rationale, which may be empty.
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
        result: The result. An output that is not an object becomes the model's one field besides
            its rationale.
        model: The model.
        job_id: The job that the result belongs to.
        row_index: Which row it is; None for a real-time answer.

    Returns:
        An instance of the model.

    Raises:
        SutroAPIError: A real-time answer does not fit; the message names the model and its fields,
            but no values.
        SutroRowError: The same, for a row of a job.
    """
    output = result.output
    if not isinstance(output, Mapping) and not issubclass(model, RootModel):
        output = _as_fields(output, result.rationale, model)
    try:
        encoded = _json(output)
        if encoded is None:
            return model.model_validate(output)
        # In JSON a strict model takes a string as a date.
        return model.model_validate_json(encoded)
    except ValidationError as error:
        raise _misfit(error, model.__name__, job_id, row_index) from None
    except Exception as error:
        what = f"cannot be read into {model.__name__}, whose code raised {type(error).__name__}"
        raise _unfit(what, job_id, row_index) from error


def _json(value: Any) -> bytes | None:
    """The value as JSON; None if it has integers beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def _as_fields(value: Any, rationale: Any, model: type[BaseModel]) -> Any:
    """The fields of a model with one answer besides its rationale, if it has one."""
    names = incoming_names(model)
    reasons = [name for name in names if name in _RATIONALES or names[name] in _RATIONALES]
    answers = [name for name in names if name not in reasons]
    if len(answers) != 1:
        return value
    known = {} if rationale is None else {names[name]: rationale for name in reasons}
    return {names[answers[0]]: value, **known}


def _misfit(
    error: ValidationError, model: str, job_id: str | None, row_index: int | None
) -> SutroError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in found
    )
    return _unfit(f"does not fit {model}: {places}", job_id, row_index)


def _unfit(what: str, job_id: str | None, row_index: int | None) -> SutroError:
    if row_index is not None:
        return _row_error(what, job_id, row_index)
    return SutroAPIError(f"The output {what}.", status_code=200, detail=what)
