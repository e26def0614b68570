"""What clients send and receive."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Answers", "Failure", "Invalid", "Models", "Request"]

_Text = str | dict[str, Any] | list[Any]
_Name = Annotated[str, Field(min_length=1)]

# As many as the documented limits of the protocol, and of questions as a sensible evaluator asks.
_MOST_OPTIONS, _MOST_LEVELS, _MOST_QUESTIONS = 255, 10, 100


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    instructions: _Text | None = None

    def question(self) -> dict[str, Any]:
        """The question as LangChain has it, where instructions are required."""
        return {**self.model_dump(), "instructions": self.instructions or ""}


class _NoulCriteria(BaseModel):
    model_config = ConfigDict(extra="forbid")

    true: _Text | None = None
    false: _Text | None = None


class _Noul(_Question):
    """A question for yes or no."""

    type: Literal["noul"]
    criteria: _NoulCriteria | None = None


class _Choice(_Question):
    """A question for one of several labels."""

    type: Literal["choice"]
    criteria: dict[str, _Text | None] = Field(min_length=1, max_length=_MOST_OPTIONS)


class _Score(_Question):
    """A question for a level."""

    type: Literal["score"]
    criteria: list[_Text] = Field(min_length=2, max_length=_MOST_LEVELS)


class Request(BaseModel):
    """A state, and questions about it. Unknown fields are ignored."""

    model: str
    state: _Text
    questions: dict[_Name, Annotated[_Noul | _Choice | _Score, Field(discriminator="type")]] = (
        Field(min_length=1, max_length=_MOST_QUESTIONS)
    )


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int


class Answers(BaseModel):
    """The answers by the ids of the questions."""

    model: str
    answers: dict[str, dict[str, Any]]
    usage: _Usage


class _Model(BaseModel):
    name: str
    description: str
    release_date: str


class Models(BaseModel):
    """The decision models that are served."""

    models: list[_Model]


class _Detail(BaseModel):
    error_type: str
    message: str


class Failure(BaseModel):
    """Why a request failed."""

    detail: _Detail


class _Place(BaseModel):
    loc: list[str | int]
    msg: str
    type: str


class Invalid(BaseModel):
    """What of a request is wrong."""

    detail: list[_Place]
