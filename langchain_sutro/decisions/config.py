"""Decision models of a project, with their Functions, in a JSON or YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from langchain_sutro._core.config_files import (
    ManifestSettings,
    Place,
    Problem,
    load_config,
    schema_problems,
)
from langchain_sutro._core.exports import exported_from
from langchain_sutro.decisions.decision_function import DecisionFunction
from langchain_sutro.decisions.model import SutroDecisionModel
from langchain_sutro.functions import SutroFunction

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "AskedByLangSmith",
    "DecisionConfig",
    "DecisionModelConfig",
    "DecisionQuestionConfig",
    "load_decision_models",
    "read_decision_config",
]


@exported_from("langchain_sutro.decisions")
class AskedByLangSmith(BaseModel):
    """A question, as LangSmith's decision-model evaluators define it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    type: Literal["noul", "choice", "score"] = Field(
        description="noul: yes or no. choice: one of the options. score: one of the levels."
    )
    instructions: str = Field(description="The question.")
    options: list[str] | dict[str, str | None] | None = Field(
        default=None, description="The labels of a choice, 2 to 255, or their descriptions."
    )
    levels: list[str] | None = Field(
        default=None, description="The levels of a score, 2 to 10, lowest first."
    )
    means_yes: str | None = Field(default=None, description="What yes means, for a noul.")
    means_no: str | None = Field(default=None, description="What no means, for a noul.")


@exported_from("langchain_sutro.decisions")
class DecisionQuestionConfig(BaseModel):
    """The Function of a question: its name, or the fields of `DecisionFunction`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    function: str = Field(min_length=1, description="The published name of the Function.")
    args_schema: dict[str, Any] | None = Field(
        default=None, description="JSON schema of an object: its input fields under `properties`."
    )
    fields: str | dict[str, str] | None = Field(
        default=None, description="The field that receives the text, or a path for each field."
    )
    labels: list[str] | dict[str, str] | None = Field(
        default=None, description="Its labels, or the question's label for each of them."
    )
    yes: list[str] | None = Field(
        default=None, description="Its labels that mean yes. In YAML, the key needs quotes."
    )
    levels: list[str] | None = Field(
        default=None, description="Its labels in the order of the levels."
    )
    share_rest: bool = Field(
        default=False, description="Share what the confidence leaves among the other labels."
    )
    asked: AskedByLangSmith | None = Field(
        default=None, description="The question itself, for evaluators of LangSmith."
    )
    settings: ManifestSettings = Field(
        default_factory=ManifestSettings, description="Override those of the whole file."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_name(cls, given: Any) -> Any:
        return {"function": given} if isinstance(given, str) else given


@exported_from("langchain_sutro.decisions")
class DecisionModelConfig(BaseModel):
    """One decision model."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    description: str = Field(default="", description="What it judges.")
    release_date: str | None = Field(
        default=None, pattern=r"^\d{4}-\d{2}-\d{2}$", description="YYYY-MM-DD, in quotes."
    )
    questions: dict[str, DecisionQuestionConfig] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("questions", "functions"),
        description="The Function of each question id; `functions`, as in Python, is the same.",
    )
    default: DecisionQuestionConfig | None = Field(
        default=None, description="The Function of all other questions."
    )
    max_concurrency: int = Field(
        default=16, ge=1, description="How many questions of a request are asked at once."
    )


@exported_from("langchain_sutro.decisions")
class DecisionConfig(BaseModel):
    """Decision models of a project. Keys and URLs belong to the environment."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, strict=True, title="Sutro decision models"
    )

    schema_url: str | None = Field(
        default=None, alias="$schema", description="Where an editor finds this schema."
    )
    version: Literal[1] = Field(description="The version of this format.")
    settings: ManifestSettings = Field(
        default_factory=ManifestSettings, description="Settings for all Functions."
    )
    models: dict[str, DecisionModelConfig] = Field(
        min_length=1, description="The decision models by name."
    )


@exported_from("langchain_sutro.decisions")
def read_decision_config(source: str | PathLike[str] | Mapping[str, Any]) -> DecisionConfig:
    """Read and check a file of decision models. Reads it in this thread.

    Args:
        source: A `.json`, `.yaml` or `.yml` file, or the content of one.

    Raises:
        SutroConfigurationError: The file cannot be read, or is not valid; the message gives file,
            line and field of each problem, and contains no values.
    """
    return load_config(source, DecisionConfig, "decision configuration", _wrong_models)


@exported_from("langchain_sutro.decisions")
def load_decision_models(
    source: str | PathLike[str] | Mapping[str, Any] | DecisionConfig, **settings: Any
) -> dict[str, SutroDecisionModel]:
    """Make the decision models of a file. Reads it in this thread.

    Args:
        source: As for `read_decision_config`, or what that returns.
        **settings: Fields of `SutroFunction` for all Functions, such as `api_key`; they override
            those of the file.

    Returns:
        The models by name.

    Raises:
        SutroConfigurationError: The file cannot be read, or is not valid.
    """
    config = source if isinstance(source, DecisionConfig) else read_decision_config(source)
    shared = config.settings.model_dump(exclude_unset=True)
    return {
        name: SutroDecisionModel(
            model=name,
            functions={
                question: _judge(one, shared, settings) for question, one in model.questions.items()
            },
            default=None if model.default is None else _judge(model.default, shared, settings),
            max_concurrency=model.max_concurrency,
        )
        for name, model in config.models.items()
    }


def _judge(
    given: DecisionQuestionConfig, shared: dict[str, Any], settings: dict[str, Any]
) -> DecisionFunction:
    own = given.settings.model_dump(exclude_unset=True)
    function = SutroFunction(
        given.function, args_schema=given.args_schema, **{**shared, **own, **settings}
    )
    about = given.model_dump(include={"fields", "labels", "yes", "levels", "share_rest"})
    return DecisionFunction(function, **about)


def _wrong_models(data: Any, known: set[Place]) -> Iterator[Problem]:
    """What the format cannot express, in the models that can be read."""
    models = data.get("models") if isinstance(data, Mapping) else None
    for name, model in models.items() if isinstance(models, Mapping) else ():
        if not isinstance(model, Mapping):
            continue
        place: Place = ("models", name)
        key = "functions" if "functions" in model else "questions"
        questions = model.get(key) or {}
        if not questions and model.get("default") is None:
            yield place, "needs questions, or a default"
        judges = [((*place, "default"), model.get("default"))]
        if isinstance(questions, Mapping):
            judges += [((*place, key, one), judge) for one, judge in questions.items()]
        for where, judge in judges:
            if isinstance(judge, Mapping):
                inside = (*where, "args_schema")
                function = str(judge.get("function"))
                yield from schema_problems(judge.get("args_schema"), function, inside, known)
