"""`SutroEvaluator`: a Function that judges runs, wherever LangSmith takes an evaluator."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import contextmanager
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from langsmith import get_current_run_tree, tracing_context, uuid7
from langsmith.evaluation import EvaluationResult, EvaluationResults, RunEvaluator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.tracing import tracing_is_on
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.evaluation.experiment import EVALUATORS, judged_ids
from langchain_sutro.evaluation.feedback import Judgements, Scores, Verdicts
from langchain_sutro.evaluation.fields import FieldMapping, FieldSpec
from langchain_sutro.functions import Judge, input_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from langchain_core.runnables import RunnableConfig
    from langsmith.schemas import Example, Run

    from langchain_sutro._core.results import FunctionResult
    from langchain_sutro.functions import SutroFunction

__all__ = ["SutroEvaluator"]


@exported_from("langchain_sutro")
class SutroEvaluator(RunEvaluator):
    """A Function as an evaluator of LangSmith.

    ```python
    judge = SutroEvaluator(
        "answer-judge",
        fields={"question": "inputs.question", "answer": "outputs.answer"},
        score={"pass": 1, "fail": 0},
    )
    evaluate(my_app, data="questions", evaluators=[judge])
    ```

    The same object works in `evaluate`, `aevaluate`, `evaluate_existing`, and `evaluate_dataset`,
    which judges all rows in one job. It is an evaluator function too, see `__call__`. Elsewhere
    each judgement is one real-time call and one `llm` run, which its feedback links to.

    Args:
        function: The Function that judges, or its name. Its `output` and `output_model` are not
            used; its `min_confidence` is the default of the one below.
        key: The feedback key; defaults to the Function's name.
        fields: Where its input fields come from, as for `FieldMapping.of`.
        score: The score of each verdict, that is, of each `answer` of the Function, ignoring case;
            None for a verdict that is only a `value`. Or a callable that returns the score of a
            `FunctionResult`. By default, a number or a boolean is its own score, and a string is a
            `value` without a score.
        comment: Returns the comment for a `FunctionResult`; defaults to its rationale.
        confidence_key: The feedback key of the confidence; None for no such feedback. Defaults to
            `key` followed by `_confidence`, unless the Function does not score its confidence.
        min_confidence: From 0 to 1. A verdict with less confidence, or none, gets no score.

    Raises:
        SutroConfigurationError: `fields`, `score` or `min_confidence` is not valid, or the keys are
            the same.
    """

    def __init__(
        self,
        function: SutroFunction | str,
        *,
        key: str | None = None,
        fields: FieldSpec = None,
        score: Scores = None,
        comment: Callable[[FunctionResult], str | None] | None = None,
        confidence_key: str | EllipsisType | None = ...,
        min_confidence: float | None = None,
    ) -> None:
        # The verdict is read from the whole payload; a weak one has a value, but no score.
        judge = Judge.of(function, min_confidence, "An evaluator")
        key = key or judge.function.function
        if isinstance(confidence_key, EllipsisType):
            confidence_key = f"{key}_confidence" if judge.function.confidence_scoring else None
        if confidence_key == key:
            raise SutroConfigurationError(f"key and confidence_key are both {key!r}.")
        self._function = judge.function
        self._mapping = FieldMapping.of(fields, input_schema(judge.function))
        self._judgements = Judgements(
            judge,
            key,
            Verdicts(score, judge.function.function) if isinstance(score, Mapping) else score,
            comment,
            confidence_key,
        )

    def __repr__(self) -> str:
        return f"SutroEvaluator({self._function.function!r}, key={self.key!r})"

    @property
    def function(self) -> SutroFunction:
        """The Function that judges, with whole payloads as its results."""
        return self._function

    @property
    def key(self) -> str:
        """The feedback key of the verdict."""
        return self._judgements.key

    @property
    def feedback_keys(self) -> list[str]:
        """The keys of all its feedback."""
        return self._judgements.keys

    @property
    def parts(self) -> frozenset[str]:
        """The fields of LangSmith's runs that its input is made of, such as `"outputs"`."""
        return self._mapping.parts

    def row(self, run: Run, example: Example | None = None) -> dict[str, Any]:
        """The Function's input to judge a run.

        Args:
            run: The run to judge.
            example: Provides the inputs and reference outputs; without it, the run provides the
                inputs.

        Raises:
            SutroInputError: A field is missing; see `FieldMapping.row`.
        """
        return self._mapping.row(
            run.inputs if example is None else example.inputs,
            run.outputs,
            None if example is None else example.outputs,
            run=run,
            example=example,
        )

    def feedback(
        self,
        result: FunctionResult | Mapping[str, Any] | Exception,
        *,
        source_run_id: UUID | None = None,
        target_run_id: UUID | None = None,
    ) -> EvaluationResults:
        """A judgement as LangSmith's feedback.

        Args:
            result: The Function's payload, or the error raised instead. An error, or a verdict
                without a known score, is logged and becomes feedback without a score, whose
                comment is the reason.
            source_run_id: The judge's run.
            target_run_id: The judged run, where LangSmith does not know it.

        Returns:
            The verdict and, if it was scored, its confidence.
        """
        found = self._judgements.or_failure(result)
        for one in found:
            one.source_run_id, one.target_run_id = source_run_id, target_run_id
        return EvaluationResults(results=found)

    def evaluate_run(
        self,
        run: Run,
        example: Example | None = None,
        evaluator_run_id: UUID | None = None,  # noqa: ARG002 - LangSmith passes it
    ) -> EvaluationResults:
        """Judge a run, as `evaluate` does.

        Args:
            run: The run to judge.
            example: The example it was run on.
            evaluator_run_id: Ignored, because LangSmith will soon reject ids of this version. The
                feedback has the id of the judge's run.

        Returns:
            As `feedback` does. A judgement that fails raises nothing, so that the others continue.
        """
        source = None
        try:
            row = self.row(run, example)
            source = uuid7()
            result = self._function.invoke(row, self._config(source, run, example))
        except Exception as error:  # noqa: BLE001 - the user's callables may raise anything
            return self.feedback(error, source_run_id=_traced(source))
        return self.feedback(result, source_run_id=_traced(source))

    async def aevaluate_run(
        self,
        run: Run,
        example: Example | None = None,
        evaluator_run_id: UUID | None = None,  # noqa: ARG002 - as above
    ) -> EvaluationResults:
        """The asynchronous form of `evaluate_run`."""
        source = None
        try:
            row = self.row(run, example)
            source = uuid7()
            result = await self._function.ainvoke(row, self._config(source, run, example))
        except Exception as error:  # noqa: BLE001 - the user's callables may raise anything
            return self.feedback(error, source_run_id=_traced(source))
        return self.feedback(result, source_run_id=_traced(source))

    def __call__(
        self,
        run: Run | None = None,
        example: Example | None = None,
        *,
        inputs: Any = None,
        outputs: Any = None,
        reference_outputs: Any = None,
        **extra: Any,
    ) -> Any:
        """Judge a run, as an evaluator function, or judge values, as an openevals evaluator.

        In a pytest test that LangSmith records, feedback for values becomes that of the test.

        Args:
            run: The run to judge.
            example: The example it was run on.
            inputs: Without a run: the question.
            outputs: Without a run: the answer.
            reference_outputs: Without a run: the right answer.
            **extra: Without a run: other input fields of the Function.

        Returns:
            For a run, `{"results": [...]}`. For values, a list of dicts with `key`, `score` and
            `comment` among others, or a single dict if `confidence_key` is None.

        Raises:
            SutroError: The judgement failed, or its verdict has no known score.
        """
        if run is not None:
            source = uuid7()
            config = self._config(source, run, example)
            result = self._function.invoke(self.row(run, example), config)
            return self._results(result, _traced(source))
        row = self._mapping.row(inputs, outputs, reference_outputs, extra=extra)
        source = uuid7()
        with _outside_test():
            result = self._function.invoke(row, self._config(source))
            known = _traced(source)
        return self._logged(self._results(result, known))

    async def acall(
        self,
        run: Run | None = None,
        example: Example | None = None,
        *,
        inputs: Any = None,
        outputs: Any = None,
        reference_outputs: Any = None,
        **extra: Any,
    ) -> Any:
        """The asynchronous form of `__call__`; is itself an asynchronous evaluator function."""
        if run is not None:
            source = uuid7()
            config = self._config(source, run, example)
            result = await self._function.ainvoke(self.row(run, example), config)
            return self._results(result, _traced(source))
        row = self._mapping.row(inputs, outputs, reference_outputs, extra=extra)
        source = uuid7()
        with _outside_test():
            result = await self._function.ainvoke(row, self._config(source))
            known = _traced(source)
        return self._logged(self._results(result, known))

    def _config(
        self, source: UUID, run: Run | None = None, example: Example | None = None
    ) -> RunnableConfig:
        """The config of the run of a judgement."""
        about = {} if run is None else judged_ids(run, example)
        return {"run_id": source, "run_name": self.key, "metadata": about}

    def _results(self, result: FunctionResult, source: UUID | None) -> EvaluationResults:
        found = self._judgements.of(result)
        for one in found:
            one.source_run_id = source
        return EvaluationResults(results=found)

    def _logged(self, results: EvaluationResults) -> Any:
        """Feedback as openevals returns it; inside a test, it is logged for the test too."""
        if _test_case() is not None:
            _log_in_test(results["results"])
        plain = [
            {"score": None, "comment": None, **one.model_dump(exclude_none=True)}
            for one in results["results"]
        ]
        return plain[0] if self._judgements.confidence_key is None else plain


def _traced(source: UUID | None) -> UUID | None:
    """The judge's run, if tracing is on."""
    return source if tracing_is_on() else None


def _test_case() -> Any:
    """The pytest test that LangSmith is recording, if any; there is no public way to ask."""
    testing = sys.modules.get("langsmith.testing._internal")
    current = getattr(testing, "_TEST_CASE", None)
    return None if current is None or get_current_run_tree() is None else current.get()


@contextmanager
def _outside_test() -> Iterator[None]:
    """In a test that LangSmith records, put a judge's run into the project of evaluators."""
    case, run = _test_case(), get_current_run_tree()
    if case is None or run is None or run.session_name == EVALUATORS:
        yield
        return
    about = {
        "experiment": case.test_suite.experiment.name,
        "reference_example_id": str(case.example_id),
        "reference_run_id": str(case.run_id),
    }
    with tracing_context(
        project_name=EVALUATORS, parent=False, enabled=True, client=run.client, metadata=about
    ):
        yield


def _log_in_test(results: list[EvaluationResult]) -> None:
    from langsmith import testing  # noqa: PLC0415 - already loaded

    for one in results:
        testing.log_feedback(
            key=one.key,
            score=one.score,
            value=one.value,  # type: ignore[arg-type] # its annotation lacks dicts
            comment=one.comment,
            source_run_id=one.source_run_id,
            source_info=one.evaluator_info,
            feedback_source_type="model",
            extra=one.extra,
        )
