"""`DecisionFunction`: which Function answers a question, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from langchain_core.load.serializable import Serializable
from pydantic import ConfigDict, field_validator, model_validator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import answer_fields
from langchain_sutro.decisions.function_input import InputMaker
from langchain_sutro.decisions.outcomes import Reading, label_text
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import SutroFunction, input_schema, payload_function

__all__ = ["ConfiguredFunction", "DecisionFunction"]


@exported_from("langchain_sutro.decisions")
class DecisionFunction(Serializable):
    """A Function, and how it answers the questions of a decision model.

    ```python
    DecisionFunction("tool-risk", fields={"call": "tool_call.args"}, yes=["risky"])
    ```

    Attributes:
        function: The Function, or its name. The form of its answers (`output`) and its
            `min_confidence` are ignored: whoever asks decides by the probabilities.
        fields: The Function's input: the name of the field that receives the text; or a dict that
            maps each field to a path; or a callable that takes any of `state`, `question`, `text`
            and `question_id` by these names and returns the input. A path is one of `text`,
            `state`, `instructions`, `options` and `question_id`, of which all but the first and
            last are JSON texts; or dotted keys and list indices into the state, such as
            `messages.-1.content` or `state.text`. By default a Function with fields called
            `instructions` or `options` receives the question itself; otherwise an object is
            passed on field by field if it has what the Function needs, and the text is the input
            of a Function with one field.
        labels: The Function's labels, so that a question with others is refused before the call;
            or a dict that maps each of them to the question's label. By default those of
            `output_model`, if it has an enumeration or a `Literal`.
        yes: The Function's labels that mean yes for a `Noul`; any other means no. By default `yes`
            and `true` mean yes, `no` and `false` mean no.
        levels: The Function's labels in the order of the levels of a `Score`. By default the texts
            of the levels, or their numbers from 0.
        share_rest: Whether what the confidence of an answer leaves is shared equally among the
            other labels, where neither the service nor the Function says how likely each is. By
            default such an answer is an error, except where there is one other label.

    Raises:
        SutroConfigurationError: An argument is not valid.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    function: SutroFunction | str
    fields: str | dict[str, str] | Callable[..., Any] | None = None
    labels: list[str] | dict[str, str] | None = None
    yes: list[str] | None = None
    levels: list[str] | None = None
    share_rest: bool = False

    def __init__(self, function: SutroFunction | str, **kwargs: Any) -> None:
        super().__init__(function=function, **kwargs)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """LangChain's `dumps` and `load` are supported; not with a callable."""
        return True

    @field_validator("yes", "levels", mode="before")
    @classmethod
    def _as_labels(cls, given: Any) -> Any:
        if isinstance(given, str):
            return [given]
        return [label_text(one) for one in given] if isinstance(given, Sequence) else given

    @field_validator("labels", mode="before")
    @classmethod
    def _as_names(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return {label_text(label): label_text(name) for label, name in given.items()}
        return cls._as_labels(given)

    @model_validator(mode="after")
    def _check(self) -> DecisionFunction:
        for name in ("labels", "yes", "levels"):
            given = getattr(self, name)
            if given is not None and (not given or len(set(given)) < len(given)):
                raise SutroConfigurationError(f"{name} must be labels, each once.")
        InputMaker(self.fields, None, (), general=False)
        return self


class ConfiguredFunction:
    """A `DecisionFunction` with the Function that it names.

    Args:
        given: What the user says.
        function: The Function.
        default: Whether it answers all questions without a Function of their own.
    """

    def __init__(self, given: DecisionFunction, function: SutroFunction, *, default: bool) -> None:
        self.function = payload_function(function, min_confidence=None)
        self.share_rest = given.share_rest
        schema = input_schema(function)
        known = None if schema is None else schema.fields
        required = () if schema is None else tuple(schema.json_schema.get("required", ()))
        self.input = InputMaker(given.fields, known, required, general=default)
        self._given = given
        self._output_model = function.output_model

    @cached_property
    def reading(self) -> Reading:
        """What its labels mean."""
        labels, yes, levels = self._given.labels, self._given.yes, self._given.levels
        known = _labels_of(self._output_model) if labels is None else tuple(labels)
        return Reading(
            known,
            labels if isinstance(labels, dict) else None,
            None if yes is None else tuple(yes),
            None if levels is None else tuple(levels),
        )


def _labels_of(model: Any) -> tuple[str, ...] | None:
    """The labels of a Function, from the model of its output; None if it does not list them."""
    if model is None:
        return None
    schema = model.model_json_schema()
    fields = answer_fields(schema.get("properties", {}))
    if len(fields) != 1:
        return None
    field = next(iter(fields.values()))
    if "$ref" in field:
        field = schema.get("$defs", {}).get(field["$ref"].rpartition("/")[2], {})
    if field.get("type") == "boolean":
        return ("true", "false")
    return tuple(map(label_text, field["enum"])) if field.get("enum") else None
