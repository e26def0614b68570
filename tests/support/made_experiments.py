"""Experiments that are made up row by row, where what was judged does not matter."""

import uuid
from datetime import UTC, datetime

from langsmith.evaluation import EvaluationResult
from langsmith.schemas import Example, Run

from langchain_sutro.evaluation.experiment_row import ExperimentRow
from langchain_sutro.evaluation.results import ExperimentResults

_NAMESPACE = uuid.UUID(int=7)


def made_row(
    number, *, answer=None, expected=None, confidence=None, error=None, inputs=None, repetition=0,
    model=None, comment=None, **feedback,
):  # fmt: skip
    """One row; rows of the same number have the same example.

    Feedback is given as `key=(value, score)`.
    """
    example = Example(
        id=uuid.uuid5(_NAMESPACE, str(number)),
        inputs={"n": number} if inputs is None else inputs,
        outputs=None if expected is None else {"label": expected},
    )
    metadata = {"sutro_confidence": confidence, "sutro_model": model}
    run = Run(
        id=uuid.uuid4(),
        name="made",
        run_type="chain",
        start_time=datetime(2026, 5, 1, tzinfo=UTC),
        inputs=example.inputs,
        outputs=None if answer is None else {"output": {"label": answer}},
        error=error,
        extra={"metadata": {key: value for key, value in metadata.items() if value is not None}},
        trace_id=uuid.uuid4(),
        dotted_order="",
    )
    given = [
        EvaluationResult(key=key, value=value, score=score, comment=comment)
        for key, (value, score) in feedback.items()
    ]
    return ExperimentRow(run=run, example=example, feedback=given, repetition=repetition)


def made(rows, name="made-up", **rest):
    return ExperimentResults(rows, experiment_name=name, **rest)
