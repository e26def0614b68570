"""`SutroFunction`: a published Function as a LangChain Runnable."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableConfig  # noqa: TC002 - langchain-core resolves it
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

import langchain_sutro
from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs import (
    OnInterrupt,
    SutroClient,
    SutroJob,
    SutroJobGroup,
    asubmit,
    stoppable,
    submit,
    take_rows,
)
from langchain_sutro._core.results import FunctionResult, check_min_confidence
from langchain_sutro._core.rows import (
    ExtraFields,
    Fields,
    InputSchema,
    RemoteTable,
    SpooledRows,
    model_of,
    parts_of,
)
from langchain_sutro._core.service import (
    Generation,
    HTTPClient,
    JobProgress,
    JobRequest,
    Submitted,
    check_name,
    in_thread,
)
from langchain_sutro._core.tracing import (
    JobTrace,
    TraceContext,
    TraceRows,
    add_facts,
    call_facts,
    check_trace_rows,
    job_trace,
    own_run,
)
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions.checked_rows import CheckedRow, check_rows, rows_of_batch
from langchain_sutro.functions.idempotent import aearlier_job, earlier_job, job_token
from langchain_sutro.functions.interface import answer_form, table_schema
from langchain_sutro.functions.many_calls import ManyCalls, OnManyCalls
from langchain_sutro.functions.portable import Portable
from langchain_sutro.functions.row_batch import RowBatch
from langchain_sutro.functions.runs import CallRuns, is_watched
from langchain_sutro.functions.settings import client_settings
from langchain_sutro.functions.untraced import arun_once, run_once, untraced_job
from langchain_sutro.functions.whole_batch import WholeBatch, abatch_with_runs, batch_with_runs

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from langchain_core.callbacks import (
        AsyncCallbackManagerForChainRun,
        BaseRunManager,
        CallbackManagerForChainRun,
    )
    from langchain_core.runnables.retry import ExponentialJitterParams

    from langchain_sutro.functions.assign import SutroAssign
    from langchain_sutro.functions.retry import SutroRetry
    from langchain_sutro.functions.tool import SutroTool

__all__ = ["CALL_SIGNATURE", "SutroFunction"]


@exported_from("langchain_sutro")
class SutroFunction(WholeBatch, Portable[dict[str, Any], Any]):
    """A published Sutro Function.

    `invoke` is one real-time run, `batch` is one Batch job. Nothing is read or connected before
    the first call.

    ```python
    qualify = SutroFunction("lead-qualifier")
    qualify.invoke({"query": "We want a demo for 40 seats", "region": "APAC"}).answer
    ```

    Attributes:
        function: The published name, without namespace and revision.
        description: What the Function decides; an agent's model reads it.
        args_schema: The input fields, as a pydantic model or JSON schema. With it, rows are checked
            before they are sent, and a model's aliases, defaults, serializers and computed fields
            decide what is sent. The service does not publish input schemas.
        extra_fields: What becomes of fields that `args_schema` does not name: `"forbid"` refuses
            the row, `"ignore"` sends it without them, so that a row to which earlier steps of a
            pipeline added fields can be passed on.
        output: `"full"` returns the payload as a `FunctionResult`, `"answer"` its answer alone.
        output_model: The payload's `output` is validated into this model, which is then the result.
        min_confidence: Refuse answers of lower confidence; see `require_confidence`.
        sutro_api_key: Defaults to `SUTRO_API_KEY`, then the login file.
        api_url: Defaults to `SUTRO_API_URL`, then the login file.
        generation: Which of the service's HTTP APIs to use; `"auto"` decides by the URL.
        timeout: Seconds for a call as a whole, however slowly its answer arrives; see
            `SutroClient`. Defaults to 100 for each try of a run and 60 for that of another call.
        max_retries: How often a request that is safe to repeat is repeated.
        rate_limiter: Limits real-time runs.
        http_client: An `httpx.Client` or `httpx2.Client`, used for synchronous calls and never
            closed.
        http_async_client: The same for asynchronous calls.
        confidence_scoring: False skips the confidence scoring of real-time runs.
        job_priority: 0 for prototyping, 1 for production.
        batch_mode: `"job"` makes `batch` one job, `"realtime"` concurrent runs, limited by
            `max_concurrency` of the config.
        on_many_calls: What to do when a `batch` of LangChain's own shapes, such as
            `RunnableParallel`, is about to make more than `many_calls` real-time calls: log a
            warning, raise a `SutroConfigurationError` before the calls, or ignore it. `one_job` and
            `gathered` make a job of them.
        many_calls: As many rows a batch may have without that.
        reuse_jobs: Reuse an equal job (Function, rows and options) of at most this age that has
            not failed, instead of paying for another.
        on_interrupt: Whether the job of an interrupted `batch` continues or is cancelled.
        poll_interval: Maximum number of seconds between status checks of a job.
        on_progress: Called with a `JobProgress` whenever a batch's job has made progress.
        progress: Show a progress bar for a batch's job.
        trace_rows: How many rows of a submitted job get a run of their own in its trace, from 0 to
            20,000, or `"all"` for the maximum: rows with errors first, then those with the lowest
            confidence, then an even sample.
        forward_trace_context: Copy the active trace's metadata and tags to the calls' runs.
        trace_context_hook: Receives the `TraceContext` of metadata and tags that was found, and
            returns the one to copy, to rename or drop keys.
        metadata: Added to every run; takes precedence over that of the active trace.
        tags: Added to every run.
    """

    _stays_here = (*Portable._stays_here, "rate_limiter", "on_progress")  # noqa: SLF001 - ours

    function: str
    description: str | None = None
    args_schema: type[BaseModel] | dict[str, Any] | None = None
    extra_fields: ExtraFields = "forbid"
    output: Literal["full", "answer"] = "full"
    output_model: type[BaseModel] | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    sutro_api_key: SecretStr | None = Field(default=None, alias="api_key")
    api_url: str | None = None
    generation: Generation = "auto"
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_retries: int = Field(default=3, ge=0)
    rate_limiter: BaseRateLimiter | None = Field(default=None, exclude=True)
    http_client: HTTPClient | None = Field(default=None, exclude=True)
    http_async_client: HTTPClient | None = Field(default=None, exclude=True)
    confidence_scoring: bool = True
    job_priority: Literal[0, 1] = 0
    batch_mode: Literal["job", "realtime"] = "job"
    on_many_calls: OnManyCalls = "warn"
    many_calls: int = Field(default=100, ge=1)
    reuse_jobs: timedelta | None = None
    on_interrupt: OnInterrupt = "detach"
    poll_interval: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    on_progress: Callable[[JobProgress], Any] | None = Field(default=None, exclude=True)
    progress: bool = False
    trace_rows: TraceRows = 1000
    forward_trace_context: bool = True
    trace_context_hook: Callable[[TraceContext], TraceContext] | None = Field(
        default=None, exclude=True
    )
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None

    _client: SutroClient = PrivateAttr()
    _schema: InputSchema | None = PrivateAttr(default=None)
    _scope: str = PrivateAttr(default="")
    _many_calls: ManyCalls = PrivateAttr()

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**{"function": function, **kwargs})

    @model_validator(mode="after")
    def _validate(self) -> SutroFunction:
        # Pydantic validates again where the object becomes a field of another, such as a tool.
        if not hasattr(self, "_client"):
            if self.args_schema is None and self.extra_fields != "forbid":
                raise SutroConfigurationError(
                    f"extra_fields={self.extra_fields!r} needs args_schema, which says what the "
                    "fields are."
                )
            self._prepare()
        return self

    def _prepare(self, changed: Mapping[str, Any] | None = None) -> None:
        if changed is None:
            check_trace_rows(self.trace_rows)
        if changed is None or client_settings(changed):
            self._client = SutroClient(**client_settings(self.__dict__))
        if changed is None or not changed.keys().isdisjoint(_OF_SCHEMA):
            self._prepare_schema()

    def _prepare_schema(self) -> None:
        check_name(self.function)
        self._many_calls = ManyCalls(partial(_is_function, self.function))
        schema = self.args_schema
        self._schema = (
            None if schema is None else InputSchema(schema, self.function, self.extra_fields)
        )

    @property
    def client(self) -> SutroClient:
        """The client of the service, with this Function's settings."""
        return self._client

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name of its runs: its own `name`, or the Function's."""
        return super().get_name(suffix, name=name or self.name or self.function)

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """`args_schema` if it is a model, or a model made of its JSON schema."""
        if isinstance(self.args_schema, type):
            return self.args_schema
        if self.args_schema is None:
            return cast("type[BaseModel]", super().get_input_schema(config))
        return model_of(self.get_name("Input"), self.args_schema)

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The type that `invoke` returns."""
        if self.output_model is not None:
            return self.output_model
        return dict[str, Any] if self.output == "full" else Any

    def invoke(
        self,
        input: dict[str, Any] | BaseModel | str,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the Function once, in real time.

        Args:
            input: The Function's fields, or a string if it has one field.
            config: Its metadata and tags are added to the call's run.
            **kwargs: `timeout` and `confidence_scoring` of this call, for `bind`.

        Returns:
            A `FunctionResult`, or what `output` and `output_model` ask for. It does not contain the
            Function's own prompt, which the hosted generation returns, because LangChain traces
            results; `SutroClient.run_function` returns the payload with it.

        Raises:
            SutroInputError: The input cannot be sent, or does not fit `args_schema`.
            SutroAPIError: The service returned an error; the subclass says which.
            SutroConnectionError: The service did not answer completely.
        """
        options = self._options(kwargs)
        runs = self._runs()
        full = runs.config(config)
        self._check_many_calls(full)
        row = CheckedRow.of(input, self._schema)

        def call(_: Any = None, run_manager: CallbackManagerForChainRun | None = None) -> Any:
            payload = run_once(self, row.sent(), **options)
            return self._finish(payload, run_manager)

        if not is_watched(full):
            return call()
        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            return self._call_with_config(call, row.shown, full, run_type="llm")

    async def ainvoke(
        self,
        input: dict[str, Any] | BaseModel | str,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Asynchronous form of `invoke`."""
        options = self._options(kwargs)
        runs = self._runs()
        full = runs.config(config)
        self._check_many_calls(full)
        row = CheckedRow.of(input, self._schema)

        async def call(
            _: Any = None, run_manager: AsyncCallbackManagerForChainRun | None = None
        ) -> Any:
            payload = await arun_once(self, row.sent(), **options)
            return self._finish(payload, run_manager)

        if not is_watched(full):
            return await call()
        call.__signature__ = CALL_SIGNATURE  # type: ignore[attr-defined]
        with runs.started():
            return await self._acall_with_config(call, row.shown, full, run_type="llm")

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Run the Function over rows, as one Batch job.

        Args:
            inputs: The rows, each as for `invoke`.
            config: One for all rows, or one for each.
            return_exceptions: Put a row's error in its place instead of raising the first.
            **kwargs: As for `invoke`, where `batch_mode="realtime"`.

        Returns:
            One value or error per row, in input order. An empty list submits no job.

        Raises:
            SutroInputError: A row cannot be sent, and no row was; or `inputs` is not a list of rows
                but one row, or a table, which `submit` takes.
            SutroValidationError: The service refused rows, and did not run the job. With
                `return_exceptions` these rows get that error, and the others are submitted again.
            SutroJobError: The job did not succeed.
            SutroRowError: The first row without a usable output.
        """
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        if self.batch_mode == "realtime":
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        runs = self._runs()
        rows = check_rows(inputs, self._schema)

        def call(managers: Sequence[BaseRunManager], configs: list[RunnableConfig]) -> list[Any]:
            return self._row_batch(rows, runs, managers, configs, return_exceptions).run()

        configs = runs.configs(config, len(inputs))
        with runs.started():
            return batch_with_runs(
                self,
                call,
                [row.shown for row in rows],
                configs,
                return_exceptions=return_exceptions,
                run_type="llm",
            )

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`; rows are checked and encoded in a thread."""
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        if self.batch_mode == "realtime":
            return await super().abatch(
                inputs, config, return_exceptions=return_exceptions, **kwargs
            )
        runs = self._runs()
        rows = await in_thread(check_rows, inputs, self._schema)

        async def call(
            managers: Sequence[BaseRunManager], configs: list[RunnableConfig]
        ) -> list[Any]:
            return await self._row_batch(rows, runs, managers, configs, return_exceptions).arun()

        configs = runs.configs(config, len(inputs))
        with runs.started():
            return await abatch_with_runs(
                self,
                call,
                [row.shown for row in rows],
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
        """Yield the index and output of each row; one job, so all at its end."""
        # `WholeBatch` is for jobs; realtime runs complete one by one, as LangChain runs them.
        base: Any = super(WholeBatch if self.batch_mode == "realtime" else SutroFunction, self)
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
        base: Any = super(WholeBatch if self.batch_mode == "realtime" else SutroFunction, self)
        async for indexed in base.abatch_as_completed(
            rows_of_batch(inputs), config, return_exceptions=return_exceptions, **kwargs
        ):
            yield indexed

    def as_tool(
        self,
        args_schema: type[BaseModel] | dict[str, Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
        **extras: Any,
    ) -> SutroTool:
        """Make a tool for agents of this Function.

        Args:
            args_schema: The input fields; by default the Function's own `args_schema`.
            name: What the model calls it; by default made from the Function's name.
            description: What it is for; by default the Function's own.
            arg_types: Field names and types, as a short form of `args_schema`.
            **extras: Other fields of the tool, such as `return_direct`, `tags` or `extras`.

        Raises:
            SutroConfigurationError: The input fields or the description are missing.
        """
        # Imported here because it loads langchain-core's tools.
        from langchain_sutro.functions.tool import SutroTool  # noqa: PLC0415

        return SutroTool.from_function(
            self,
            args_schema=args_schema,
            name=name,
            description=description,
            arg_types=arg_types,
            **extras,
        )

    def assign_as(
        self,
        key: str,
        *,
        inputs: list[str] | dict[str, str] | Callable[[dict[str, Any]], Any] | None = None,
    ) -> SutroAssign:
        """Make a Runnable that adds this Function's result to each row; its batch is one job.

        Args:
            key: The key under which the result is added.
            inputs: Which fields of the row are passed to the Function: a list of names, a dict of
                its field names to the row's, or a callable on the row. Defaults to the fields of
                `args_schema`, or the whole row without one.
        """
        # Imported here because few need it, and making its pydantic model takes time.
        from langchain_sutro.functions.assign import SutroAssign  # noqa: PLC0415

        # With a schema the Function itself takes its fields from the row.
        whole = inputs is None and self._schema is not None
        bound = self.model_copy(update={"extra_fields": "ignore"}) if whole else self
        return SutroAssign(bound=bound, key=key, inputs=inputs)

    def require_confidence(self, minimum: float) -> SutroFunction:
        """Return this Function with a `LowConfidenceError` for answers below a confidence.

        An answer without a confidence is below it too. With `with_fallbacks` only these rows of a
        batch are passed on to the fallback.

        Args:
            minimum: From 0 to 1.

        Raises:
            SutroConfigurationError: It is out of range.
        """
        check_min_confidence(minimum)
        return self.model_copy(update={"min_confidence": minimum})

    def gathered(
        self, quiet: float = 0.2, max_rows: int = 10_000, max_wait: float = 30.0
    ) -> SutroFunction:
        """Return a Function whose single calls at the same time become rows of one job.

        It is for whatever calls `invoke` or `ainvoke` once for each row: nodes of LangGraph graphs,
        agents, evaluators, functions of yours. Each call waits for the job, and keeps its own run,
        result and error. A call that is cancelled leaves the others alone; when all are, the job
        continues or is cancelled as `on_interrupt` says.

        ```python
        from langchain_core.runnables import RunnableLambda

        judge = qualify.gathered()
        chain = RunnableLambda(lambda row: judge.invoke(row).answer)
        ```

        Args:
            quiet: Submit when no further call has come for this many seconds.
            max_rows: Submit as soon as there are this many calls.
            max_wait: Submit at the latest this many seconds after the first call.
        """
        fields = {name: getattr(self, name) for name in SutroFunction.model_fields}
        return langchain_sutro.SutroGatheredFunction(
            **fields, quiet=quiet, max_rows=max_rows, max_wait=max_wait
        )

    def with_retry(
        self,
        *,
        retry_if_exception_type: tuple[type[BaseException], ...]
        | Callable[[BaseException], bool] = (Exception,),
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: ExponentialJitterParams | None = None,
        stop_after_attempt: int = 3,
    ) -> SutroRetry:
        """Repeat calls that fail; in a batch each round is a new job with the failed rows alone.

        `max_retries` already repeats requests that are safe to repeat. This repeats whatever you
        name, and every run and job is billed. By default a submission of unknown outcome is not
        repeated. Where a job was made and its results could not be fetched, they are fetched again.

        Args:
            retry_if_exception_type: Exception types to retry, or a predicate on the exception.
            wait_exponential_jitter: Whether to wait between attempts.
            exponential_jitter_params: `initial`, `max`, `exp_base` and `jitter`, in seconds.
            stop_after_attempt: Maximum number of attempts.
        """
        # Imported here because it loads tenacity.
        from langchain_sutro.functions.retry import retrying  # noqa: PLC0415

        return retrying(
            self,
            retry_if_exception_type=retry_if_exception_type,
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            stop_after_attempt=stop_after_attempt,
        )

    def _row_batch(
        self,
        rows: Sequence[CheckedRow],
        runs: CallRuns,
        managers: Sequence[BaseRunManager],
        configs: Sequence[RunnableConfig],
        return_exceptions: bool,
    ) -> RowBatch:
        return RowBatch(
            rows,
            answer_form(self),
            runs,
            managers,
            untraced_job(self, configs[0], priced=any(map(own_run, managers))),
            return_exceptions,
        )

    def submit(
        self,
        data: Any,
        config: RunnableConfig | None = None,
        *,
        dry_run: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        id_column: str | None = None,
        idempotency_key: str | None = None,
        fields: Fields | None = None,
    ) -> SutroJob:
        """Submit a table of any size as one Batch job, and return without waiting for it.

        Args:
            data: Rows (mappings, pydantic models), a data frame, an Arrow object, a path or a URL.
            config: Its metadata and tags are added to the job's run.
            dry_run: Only estimate the cost; see `SutroJob.cost_estimate`.
            job_name: At most 45 characters.
            description: Stored with the job.
            id_column: Column of a table behind a URL that is copied to the results.
            idempotency_key: Identifies the submission where a scheduler may repeat it, such as the
                id of a task. If this key and equal rows have made a job before, and it neither
                failed nor was cancelled, that job is returned. Each process looks for it in the
                service's list before it submits.
            fields: Names of the columns to send, or a mapping of the names of the Function's fields
                to the table's columns. Defaults to the columns that `args_schema` names, or to all
                columns without one. The names of columns that are not sent are logged.

        Raises:
            SutroInputError: A value cannot be sent, or does not fit `args_schema`. Names row and
                column; nothing was sent.
            SubmissionUnknownError: A job may exist; look for its token before submitting again.
            SutroAPIError: The service refused the job.
        """
        request = self._request(dry_run, job_name, description, id_column)
        request.check()
        rows = take_rows(data, fields, table_schema(self))
        token = job_token(self.function, idempotency_key, rows)
        if (earlier := earlier_job(self._client, token)) is not None:
            return self._job(earlier, rows)
        with self._job_trace(rows, config) as trace:
            submitted = submit(
                self._client, request, rows, reuse=self.reuse_jobs, trace=trace, token=token
            )
        return self._job(submitted, rows)

    async def asubmit(
        self,
        data: Any,
        config: RunnableConfig | None = None,
        *,
        dry_run: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        id_column: str | None = None,
        idempotency_key: str | None = None,
        fields: Fields | None = None,
    ) -> SutroJob:
        """Asynchronous form of `submit`; the table is encoded in a thread."""
        request = self._request(dry_run, job_name, description, id_column)
        request.check()
        rows = await in_thread(take_rows, data, fields, table_schema(self))
        token = job_token(self.function, idempotency_key, rows)
        if (earlier := await aearlier_job(self._client, token)) is not None:
            return self._job(earlier, rows)
        with self._job_trace(rows, config) as trace:
            submitted = await asubmit(
                self._client, request, rows, reuse=self.reuse_jobs, trace=trace, token=token
            )
        return self._job(submitted, rows)

    def submit_in_parts(
        self,
        data: Any,
        max_rows_per_job: int | None = None,
        config: RunnableConfig | None = None,
        *,
        max_jobs: int | None = None,
        max_bytes: int | None = None,
        stage: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        dry_run: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        fields: Fields | None = None,
    ) -> SutroJobGroup:
        """Submit a table as several jobs behind one handle.

        All rows on this machine are checked before the first job is submitted.

        Args:
            data: As for `submit`, which is split; or files, of which each is a job: a list of
                paths, of URLs of object storage (`s3://`, `gs://`, `az://`) or of presigned URLs,
                a pattern such as `s3://bucket/leads/*.parquet`, or a directory, without
                `max_rows_per_job` where it is on this machine. The service fetches objects itself,
                from URLs that are signed just before they are submitted.
            max_rows_per_job: Maximum number of rows per job; a table that is not of files needs it.
            config: As for `submit`.
            max_jobs: How many of the jobs may run at once. The next one is submitted when one has
                ended, so that this returns when the last one was submitted.
            max_bytes: Maximum size in bytes of a file in object storage that is one job.
            stage: Directory in object storage, such as `s3://bucket/staged`. Files that are too
                large for a job (`max_rows_per_job`, by default the quota of rows, or `max_bytes`)
                are cut, those that are small are joined up to `max_rows_per_job`, and both are
                written there, which is when their rows pass through this machine; files on this
                machine are uploaded there. Nothing is removed from it.
            checkpoint: File from which `SutroJobGroup.resume` continues after a crash.
            dry_run: As for `submit`.
            job_name: As for `submit`.
            description: As for `submit`.
            fields: As for `submit`.
        """
        return SutroJobGroup.submit(
            self._request(dry_run, job_name, description),
            parts_of(
                data,
                fields,
                table_schema(self),
                split=max_rows_per_job is not None and stage is None,
            ),
            max_rows_per_job,
            client=self._client,
            max_jobs=max_jobs,
            max_bytes=max_bytes,
            stage=stage,
            checkpoint=checkpoint,
            reuse=self.reuse_jobs,
            trace=self._job_traces(config),
            poll_interval=self.poll_interval,
            on_interrupt=self.on_interrupt,
        )

    async def asubmit_in_parts(
        self, data: Any, max_rows_per_job: int | None = None, **options: Any
    ) -> SutroJobGroup:
        """Asynchronous form of `submit_in_parts`, with the same `options`; it runs in a thread."""
        return await stoppable(partial(self.submit_in_parts, data, max_rows_per_job, **options))

    def _request(
        self,
        dry_run: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        id_column: str | None = None,
    ) -> JobRequest:
        return JobRequest(
            self.function,
            self.job_priority,
            dry_run,
            job_name,
            description,
            id_column,
            self._scope,
        )

    def _submit(self, rows: SpooledRows) -> SutroJob:
        """Submit the rows of a batch; each has its run already, so the job makes none."""
        submitted = submit(self._client, self._request(), rows, reuse=self.reuse_jobs)
        return self._job(submitted, rows)

    async def _asubmit(self, rows: SpooledRows) -> SutroJob:
        submitted = await asubmit(self._client, self._request(), rows, reuse=self.reuse_jobs)
        return self._job(submitted, rows)

    def _job_traces(
        self, config: RunnableConfig | None
    ) -> Callable[[SpooledRows | RemoteTable], AbstractContextManager[JobTrace]]:
        """The traces of several jobs, of which the first has the `run_id` of the config."""
        later = {name: value for name, value in (config or {}).items() if name != "run_id"}
        configs = chain([config], repeat(None if config is None else later))
        return lambda rows: self._job_trace(rows, cast("RunnableConfig | None", next(configs)))

    def _job_trace(
        self, rows: SpooledRows | RemoteTable, config: RunnableConfig | None = None
    ) -> AbstractContextManager[JobTrace]:
        return job_trace(
            self.function,
            rows,
            config=config,
            metadata=self.metadata,
            tags=self.tags,
            forward=self.forward_trace_context,
            hook=self.trace_context_hook,
            cap=self.trace_rows,
        )

    def _job(self, submitted: Submitted, rows: SpooledRows | RemoteTable) -> SutroJob:
        return SutroJob(
            submitted.job_id,
            client=self._client,
            function=self.function,
            rows=rows.count if isinstance(rows, SpooledRows) else None,
            token=submitted.token,
            reused=submitted.reused,
            poll_interval=self.poll_interval,
            on_interrupt=self.on_interrupt,
        )

    def _options(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        options = {"timeout": self.timeout, "confidence_scoring": self.confidence_scoring}
        unknown = kwargs.keys() - options.keys()
        if unknown:
            raise TypeError(
                f"{type(self).__name__}.invoke does not accept {', '.join(sorted(unknown))}: the "
                "prompt, model and sampling of a Function are published with it."
            )
        return options | kwargs

    def _check_many_calls(self, config: RunnableConfig) -> None:
        if self.on_many_calls != "ignore" and self.batch_mode == "job":
            self._many_calls.check(self.function, config, self.on_many_calls, self.many_calls)

    def _runs(self) -> CallRuns:
        return CallRuns(
            self.function,
            self.metadata,
            self.tags,
            self.forward_trace_context,
            self.trace_context_hook,
        )

    def _finish(self, payload: dict[str, Any], run_manager: BaseRunManager | None = None) -> Any:
        """The result of a call, whose facts are written onto its run if it has one."""
        result = FunctionResult(payload).without_prompt()
        run = None if run_manager is None else own_run(run_manager)
        if run is not None:
            add_facts(run, call_facts(result))
        return answer_form(self).of(result)


def _is_function(name: str, part: Any) -> bool:
    return isinstance(part, SutroFunction) and part.function == name


# LangChain inspects the signature of each callable, which is slow.
CALL_SIGNATURE = inspect.Signature(
    [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("_", "run_manager")
    ]
)

# The fields that decide what an input must be.
_OF_SCHEMA = ("function", "args_schema", "extra_fields")
