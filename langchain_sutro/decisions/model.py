"""`SutroDecisionModel`: Functions as a LangChain decision model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.decisions import BaseDecisionModel, ClassifierRequest, ClassifierResponse
from langchain_core.runnables import RunnableConfig  # noqa: TC002 - langchain-core resolves it
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, model_validator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import FunctionResult
from langchain_sutro._core.rows import dump_row, model_of
from langchain_sutro._core.service import Generation, HTTPClient
from langchain_sutro._core.tracing import TraceContext, traced_inputs, usage_facts
from langchain_sutro.decisions.at_once import all_at_once, all_at_once_async
from langchain_sutro.decisions.decision_function import DecisionFunction
from langchain_sutro.decisions.jobs import DecisionBatch
from langchain_sutro.decisions.judges import Judge, Judges
from langchain_sutro.decisions.plan import Call, Plan, named, total_usage
from langchain_sutro.errors import SutroError
from langchain_sutro.functions import (
    CALL_SIGNATURE,
    CallRuns,
    Portable,
    SutroFunction,
    WholeBatch,
    abatch_with_runs,
    arun_once,
    batch_with_runs,
    is_watched,
    retrying,
    rows_of_batch,
    run_once,
)

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForChainRun,
        BaseRunManager,
        CallbackManagerForChainRun,
    )
    from langchain_core.decisions import Question, State
    from langchain_core.runnables.retry import ExponentialJitterParams

    from langchain_sutro.functions import SutroRetry

__all__ = ["SutroDecisionModel"]

# Fields of `SutroFunction` for Functions that are given by name.
_SETTINGS = (
    "sutro_api_key",
    "api_url",
    "generation",
    "timeout",
    "max_retries",
    "http_client",
    "http_async_client",
)
_INPUT = {
    "type": "object",
    "properties": {"state": {}, "questions": {"type": "object"}},
    "required": ["state", "questions"],
}


@exported_from("langchain_sutro.decisions")
class SutroDecisionModel(
    WholeBatch, Portable[ClassifierRequest, ClassifierResponse], BaseDecisionModel
):
    """Answers the questions of LangChain's decision models with published Functions.

    ```python
    worth_a_call = DecisionFunction("lead-qualifier", yes=["qualified"])
    model = SutroDecisionModel(
        model="judges", functions={"worth_a_call": worth_a_call}, default="any-question"
    )
    lead = {"query": "We need 200 seats by Friday.", "region": "APAC"}
    question = {"type": "noul", "instructions": "Is this lead worth a call?"}
    model.invoke({"state": lead, "questions": {"worth_a_call": question}})
    ```

    A Function has a question and labels of its own, which must be those that are asked for. A
    general judge receives the question as well, as JSON texts in its fields `state`, `instructions`
    and `options`, and can answer any.

    `invoke` asks all questions of a request at once; `batch` makes one job of all requests for each
    Function. Each request is one `llm` run.

    Attributes:
        model: The name of the decision model, in responses and traces.
        functions: The Function for each question id: its name, a `SutroFunction`, or a
            `DecisionFunction`, which also says how the state becomes the input and what its labels
            mean.
        default: The Function for all other questions. Given by name, it is a general judge.
        max_concurrency: How many questions of a request are asked at once; the config's
            `max_concurrency` takes precedence.
        batch_mode: `"job"` makes `batch` one job for each Function, `"realtime"` concurrent
            requests.
        sutro_api_key: For Functions that are given by name, like the following fields; see
            `SutroFunction`.
        api_url: URL of their deployment.
        generation: Which of the service's HTTP APIs to use.
        timeout: Read timeout in seconds.
        max_retries: How often a request that is safe to repeat is repeated.
        http_client: Used as it is for synchronous calls, and never closed.
        http_async_client: The same for asynchronous calls.
        forward_trace_context: Copy the active trace's metadata and tags to the runs.
        trace_context_hook: May change the `TraceContext` that is copied.
        metadata: Added to every run; takes precedence over that of the active trace.
        tags: Added to every run.

    Raises:
        SutroConfigurationError: There is neither a Function nor a default.
    """

    # The base class would take misspelt settings.
    model_config = Portable.model_config

    model: str = Field(min_length=1)
    functions: Mapping[str, DecisionFunction | SutroFunction | str] = Field(default_factory=dict)
    default: DecisionFunction | SutroFunction | str | None = None
    max_concurrency: int = Field(default=16, ge=1)
    batch_mode: Literal["job", "realtime"] = "job"
    sutro_api_key: SecretStr | None = Field(default=None, alias="api_key")
    api_url: str | None = None
    generation: Generation = "auto"
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_retries: int = Field(default=3, ge=0)
    http_client: HTTPClient | None = Field(default=None, exclude=True)
    http_async_client: HTTPClient | None = Field(default=None, exclude=True)
    forward_trace_context: bool = True
    trace_context_hook: Callable[[TraceContext], TraceContext] | None = Field(
        default=None, exclude=True
    )
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None

    _judges: Judges = PrivateAttr()

    @model_validator(mode="after")
    def _validate(self) -> SutroDecisionModel:
        self._prepare()
        return self

    def _prepare(self, changed: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - all of it
        settings = {name: getattr(self, name) for name in _SETTINGS}
        self._judges = Judges(self.functions, self.default, settings)

    @property
    def _provider(self) -> str:
        return "sutro"

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name of its runs: its own `name`, or `model`."""
        return super().get_name(suffix, name=name or self.name or self.model)

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:  # noqa: ARG002 - LangChain's
        """An object of `state` and `questions`."""
        return model_of(self.get_name("Input"), _INPUT)

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        plan = self._plan({"state": state, "questions": questions}, dump_row)
        return plan.response(self.model, self._results(plan, self.max_concurrency))

    async def _aclassify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        plan = self._plan({"state": state, "questions": questions}, dump_row)
        return plan.response(self.model, await self._aresults(plan, self.max_concurrency))

    def invoke(
        self,
        input: ClassifierRequest,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ARG002 - the base class's
    ) -> ClassifierResponse:
        """Answer the questions of a request, all at once.

        Args:
            input: `state` and `questions`.
            config: Its metadata and tags are added to the request's run.
            **kwargs: Ignored, as by the base class.

        Returns:
            The answers. `request_id` holds the service's ids of all calls, with commas between
            them, and `usage` their sum.

        Raises:
            SutroInputError: The request is not valid, no Function answers a question, or the state
                lacks what a Function needs. Nothing was sent.
            SutroDecisionError: The labels of a question are not those of its Function, or the
                answer lacks what a decision needs.
            SutroError: The error of a call. Each of these errors names its question, in the message
                and in the attribute `question`.
        """
        runs = self._runs()
        full = self._config(runs, config)

        def call(
            _: Any = None, run_manager: CallbackManagerForChainRun | None = None
        ) -> ClassifierResponse:
            plan = self._plan(input, dump_row)
            results = self._results(plan, self._limit(full))
            return self._answer(plan, results, runs, run_manager)

        if not is_watched(full):
            return call()
        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            response: ClassifierResponse = self._call_with_config(
                call, traced_inputs(input), full, run_type="llm"
            )
            return response

    async def ainvoke(
        self,
        input: ClassifierRequest,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ARG002 - the base class's
    ) -> ClassifierResponse:
        """Asynchronous form of `invoke`."""
        runs = self._runs()
        full = self._config(runs, config)

        async def call(
            _: Any = None, run_manager: AsyncCallbackManagerForChainRun | None = None
        ) -> ClassifierResponse:
            plan = self._plan(input, dump_row)
            results = await self._aresults(plan, self._limit(full))
            return self._answer(plan, results, runs, run_manager)

        if not is_watched(full):
            return await call()
        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            response: ClassifierResponse = await self._acall_with_config(
                call, traced_inputs(input), full, run_type="llm"
            )
            return response

    def batch(
        self,
        inputs: list[ClassifierRequest],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[ClassifierResponse]:
        """Answer many requests, with one job for each Function.

        Args:
            inputs: The requests, each as for `invoke`.
            config: One for all requests, or one for each.
            return_exceptions: Put a request's error in its place instead of raising the first.
            **kwargs: Ignored.

        Returns:
            One response or error per request, in input order. `usage` is None, since the service
            gives it for whole jobs. An empty list submits no job.

        Raises:
            SutroInputError: As for `invoke`; no request was sent.
            SutroJobError: A job did not succeed.
            SutroError: As for `invoke`.
        """
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        if self.batch_mode == "realtime":
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        runs = self._runs()

        def call(managers: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            return self._batch(inputs, runs, managers, configs, return_exceptions).run()

        configs = [_as_chat(one) for one in runs.configs(config, len(inputs))]
        with runs.started():
            return batch_with_runs(
                self,
                call,
                [traced_inputs(one) for one in inputs],
                configs,
                return_exceptions=return_exceptions,
                run_type="llm",
            )

    async def abatch(
        self,
        inputs: list[ClassifierRequest],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[ClassifierResponse]:
        """Asynchronous form of `batch`; rows are encoded in a thread."""
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        if self.batch_mode == "realtime":
            return await super().abatch(
                inputs, config, return_exceptions=return_exceptions, **kwargs
            )
        runs = self._runs()

        async def call(
            managers: Sequence[BaseRunManager], configs: list[RunnableConfig]
        ) -> list[Any]:
            return await self._batch(inputs, runs, managers, configs, return_exceptions).arun()

        configs = [_as_chat(one) for one in runs.configs(config, len(inputs))]
        with runs.started():
            return await abatch_with_runs(
                self,
                call,
                [traced_inputs(one) for one in inputs],
                configs,
                return_exceptions=return_exceptions,
                run_type="llm",
            )

    def batch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Yield the index and response of each request; from jobs, so all at their end."""
        # `WholeBatch` is for jobs; realtime requests complete one by one, as LangChain runs them.
        realtime = self.batch_mode == "realtime"
        base: Any = super(WholeBatch if realtime else SutroDecisionModel, self)
        yield from base.batch_as_completed(
            rows_of_batch(inputs), config, return_exceptions=return_exceptions, **kwargs
        )

    async def abatch_as_completed(
        self,
        inputs: Sequence[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[int, Any]]:
        """Asynchronous form of `batch_as_completed`."""
        realtime = self.batch_mode == "realtime"
        base: Any = super(WholeBatch if realtime else SutroDecisionModel, self)
        async for indexed in base.abatch_as_completed(
            rows_of_batch(inputs), config, return_exceptions=return_exceptions, **kwargs
        ):
            yield indexed

    def with_retry(
        self,
        *,
        retry_if_exception_type: tuple[type[BaseException], ...]
        | Callable[[BaseException], bool] = (Exception,),
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: ExponentialJitterParams | None = None,
        stop_after_attempt: int = 3,
    ) -> SutroRetry:
        """Repeat requests that fail, as `SutroFunction.with_retry` does; each time is billed.

        Args:
            retry_if_exception_type: Exception types to retry, or a predicate on the exception.
            wait_exponential_jitter: Whether to wait between attempts.
            exponential_jitter_params: `initial`, `max`, `exp_base` and `jitter`, in seconds.
            stop_after_attempt: Maximum number of attempts.
        """
        return retrying(
            self,
            retry_if_exception_type=retry_if_exception_type,
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            stop_after_attempt=stop_after_attempt,
        )

    def without_retries(self) -> SutroDecisionModel:
        """This model for those whose own callers repeat requests, such as an HTTP endpoint.

        Returns:
            A copy whose calls fail at once instead of being repeated, except those of Functions
            whose `max_retries` was set.
        """
        judges = {name: self._failing_at_once(one) for name, one in self.functions.items()}
        default = None if self.default is None else self._failing_at_once(self.default)
        retries = self.max_retries if "max_retries" in self.model_fields_set else 0
        return self.model_copy(
            update={"functions": judges, "default": default, "max_retries": retries}
        )

    def _failing_at_once(self, judge: Judge) -> Judge:
        if isinstance(judge, DecisionFunction):
            return judge.model_copy(update={"function": self._failing_at_once(judge.function)})
        if isinstance(judge, str) or "max_retries" in judge.model_fields_set:
            return judge
        return judge.model_copy(update={"max_retries": 0})

    def _plan(self, request: Any, encode: Callable[[Any], Any]) -> Plan:
        return Plan.of(request, self._judges, encode)

    def _results(self, plan: Plan, limit: int) -> list[FunctionResult]:
        return all_at_once([partial(_result, call) for call in plan.calls], limit)

    async def _aresults(self, plan: Plan, limit: int) -> list[FunctionResult]:
        return await all_at_once_async([partial(_aresult, call) for call in plan.calls], limit)

    def _limit(self, config: RunnableConfig) -> int:
        return config.get("max_concurrency") or self.max_concurrency

    def _runs(self) -> CallRuns:
        return CallRuns(
            ", ".join(self._judges.names),
            self.metadata,
            self.tags,
            self.forward_trace_context,
            self.trace_context_hook,
            self.model,
        )

    def _config(self, runs: CallRuns, config: RunnableConfig | None) -> RunnableConfig:
        return _as_chat(runs.config(config))

    def _answer(
        self,
        plan: Plan,
        results: list[FunctionResult],
        runs: CallRuns,
        run_manager: BaseRunManager | None,
    ) -> ClassifierResponse:
        """The response to a request, whose facts are written onto its run if it has one."""
        if run_manager is not None:
            runs.record(run_manager, {**plan.facts(results), **usage_facts(total_usage(results))})
        return plan.response(self.model, results)

    def _batch(
        self,
        inputs: Sequence[Any],
        runs: CallRuns,
        managers: Sequence[BaseRunManager],
        configs: Sequence[RunnableConfig],
        return_exceptions: bool,
    ) -> DecisionBatch:
        return DecisionBatch(
            self.model, inputs, self._plan, runs, managers, configs, return_exceptions
        )


def _as_chat(config: RunnableConfig) -> RunnableConfig:
    """The config with the kind of model that LangChain's decision models say they are."""
    # The metadata may be the caller's own dict.
    return {**config, "metadata": {**config.get("metadata", {}), "ls_model_type": "chat"}}


def _result(call: Call) -> FunctionResult:
    function = call.function
    try:
        payload = run_once(function, call.row, **_options(function))
    except SutroError as error:
        raise named(error, call.question) from error.__cause__
    return FunctionResult(payload).without_prompt()


async def _aresult(call: Call) -> FunctionResult:
    function = call.function
    try:
        payload = await arun_once(function, call.row, **_options(function))
    except SutroError as error:
        raise named(error, call.question) from error.__cause__
    return FunctionResult(payload).without_prompt()


def _options(function: SutroFunction) -> dict[str, Any]:
    return {"timeout": function.timeout, "confidence_scoring": function.confidence_scoring}
