"""Questions: what a Function may be told about them, and which outcomes they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from langchain_core.decisions import Choice, Noul, Question, Score
from pydantic import TypeAdapter, ValidationError

from langchain_sutro.errors import SutroInputError

__all__ = ["AskedQuestion", "options", "read_request"]

AskedQuestion: TypeAlias = Noul | Choice | Score

_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)


def read_request(request: Any) -> tuple[Any, dict[str, AskedQuestion]]:
    """Check a request.

    Args:
        request: `state` and `questions`, as LangChain's `ClassifierRequest`. Questions may be
            dicts.

    Returns:
        The state and the questions.

    Raises:
        SutroInputError: Something is missing or invalid, or a question asks for a box.
    """
    if not isinstance(request, Mapping) or not {"state", "questions"} <= request.keys():
        raise SutroInputError("A request is a dict with `state` and `questions`.")
    state, questions = request["state"], request["questions"]
    if state is None or isinstance(state, bool | int | float):
        raise SutroInputError(
            f"The state must be a string, a message, a list or a dict, not {type(state).__name__}."
        )
    if not isinstance(questions, Mapping) or not questions:
        raise SutroInputError("There are no questions to answer.")
    return state, {str(name): _read(name, question) for name, question in questions.items()}


def _read(name: Any, given: Any) -> AskedQuestion:
    if not isinstance(name, str) or not name:
        raise SutroInputError("The id of a question must be a string that is not empty.")
    if isinstance(given, Noul | Choice | Score):
        return given
    try:
        question = _QUESTION.validate_python(given)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong)
        raise SutroInputError(f"Question {name!r} is not valid: {said}.", column=name) from None
    if not isinstance(question, Noul | Choice | Score):
        raise SutroInputError(
            f"Question {name!r} asks for a box in an image, which Functions cannot answer.",
            column=name,
        )
    return question


def options(question: AskedQuestion) -> dict[str, Any] | list[Any]:
    """The options of a question, as a general judge is given them.

    Args:
        question: The question.

    Returns:
        The description of each label of a `Choice`, and of `yes` and `no` of a `Noul`; the levels
        of a `Score`.
    """
    if isinstance(question, Noul):
        criteria = question.criteria
        return {
            "yes": None if criteria is None else criteria.true,
            "no": None if criteria is None else criteria.false,
        }
    return cast("dict[str, Any] | list[Any]", question.criteria)
