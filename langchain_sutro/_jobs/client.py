"""The service without LangChain: one object with the official SDK's verbs, sync and async."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from langchain_sutro import _service
from langchain_sutro._exports import exported_from
from langchain_sutro._results import BatchResults, FunctionResult, results_frame
from langchain_sutro._rows import RemoteTable, SpooledRows, dump_row, open_table, spool_rows
from langchain_sutro._service import (
    Generation,
    JobRequest,
    Operation,
    PrivateFile,
    Service,
    Session,
    Settings,
    Submitted,
    arun,
    check_url,
    resolve,
    results_file,
    results_json,
    run,
)
from langchain_sutro._tracing import JobTrace, JobTraces, client_run, job_trace
from langchain_sutro.errors import SutroJobCancelledError, SutroJobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import httpx
    from pydantic import SecretStr

    from langchain_sutro._service import JobStatus

__all__ = ["SutroClient", "aexecute", "execute", "take_rows"]

_T = TypeVar("_T")
_P = ParamSpec("_P")

# Up to here one JSON answer is quicker than a file, and needs no pyarrow.
_FEW_ROWS = 5000


def take_rows(data: Any) -> SpooledRows | RemoteTable:
    """Encode and check a table, or find that it lies behind a URL. Reads files.

    Raises:
        SutroInputError: It cannot be sent; names row and column.
    """
    table = data if isinstance(data, SpooledRows) else open_table(data)
    return table if isinstance(table, SpooledRows | RemoteTable) else spool_rows(table)


@exported_from("langchain_sutro")
class SutroClient:
    """Speaks to one deployment.

    Nothing is read, checked against the environment or connected before the first call. One object
    serves any number of threads and event loops; connections are shared by the whole process.
    A pickled client leaves its key behind, and reads the environment again where it arrives.

    Args:
        api_key: Explicit key. Defaults to `SUTRO_API_KEY`, then the login file.
        api_url: Explicit URL of the deployment. Defaults to `SUTRO_API_URL`, then the login file.
        generation: Which HTTP API; `"auto"` decides by URL.
        timeout: Seconds until a read gives up. Default: 100 for a run, 60 for other calls.
        max_retries: Repetitions of what may safely be repeated.
        repeat_runs: Also repeat a real-time run after a 5xx or a broken connection, although it
            may already have been carried out and billed.
        http_client: Used as it is for synchronous calls, and never closed here.
        http_async_client: The same for asynchronous calls.

    Raises:
        SutroConfigurationError: An explicit URL may not be used.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr | str | None = None,
        api_url: str | None = None,
        generation: Generation = "auto",
        timeout: float | None = None,
        max_retries: int = 3,
        repeat_runs: bool = False,
        http_client: httpx.Client | None = None,
        http_async_client: httpx.AsyncClient | None = None,
    ) -> None:
        if api_url is not None:
            check_url(api_url, generation)
        self._api_key = api_key
        self._api_url = api_url
        self._generation = generation
        self._http_client = http_client
        self._http_async_client = http_async_client
        self._session: Session | None = None
        self._traces = JobTraces()
        self.policy = _service.Policy(max_retries, timeout, repeat_runs)

    def __repr__(self) -> str:
        where = self._session.settings.batch_url if self._session else self._api_url
        return f"SutroClient(api_url={where!r}, generation={self._generation!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may leave the process: no key, no sockets, no clock.
        policy = self.policy
        return {
            "api_url": self._api_url,
            "generation": self._generation,
            "timeout": policy.timeout,
            "max_retries": policy.max_retries,
            "repeat_runs": policy.repeat_runs,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        SutroClient.__init__(self, **state)

    def __copy__(self) -> SutroClient:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SutroClient:
        # It holds no state of a caller's, so a copy has nothing to gain.
        return self

    def _resolve(self) -> Session:
        settings = resolve(self._api_key, self._api_url, self._generation)
        self._session = Session(settings, self._http_client, self._http_async_client)
        return self._session

    @property
    def settings(self) -> Settings:
        """Which deployment, which generation, which key."""
        return (self._session or self._resolve()).settings

    def run_function(
        self,
        name: str,
        input_data: Any,
        langsmith_metadata: dict[str, Any] | None = None,
        langsmith_tags: list[str] | None = None,
        timeout_seconds: float | None = None,
        confidence_scoring: bool = True,
    ) -> FunctionResult:
        """Run a Function once, now.

        Args:
            name: The published Function, without namespace and revision.
            input_data: Its input fields (mapping or pydantic model), or a text if it has one field.
            langsmith_metadata: Goes onto the call's LangSmith run, over that of the active trace.
            langsmith_tags: The same for tags.
            timeout_seconds: Until the read gives up; default 100, above the service's own 90.
            confidence_scoring: False saves the service the scoring; the confidence is then None.

        Returns:
            The payload as the service sent it.

        Raises:
            SutroInputError: A value has no JSON form; nothing was sent.
            SutroAPIError: The subclass that fits the answer.
            SutroConnectionError: No complete answer.
        """
        encoded = dump_row(input_data)
        with client_run(
            name, input_data, metadata=langsmith_metadata, tags=langsmith_tags
        ) as traced:
            payload = execute(
                self,
                _service.run_function,
                name,
                encoded,
                confidence_scoring=confidence_scoring,
                timeout=timeout_seconds,
            )
            result = FunctionResult(payload)
            traced.finish(result)
        return result

    async def arun_function(
        self,
        name: str,
        input_data: Any,
        langsmith_metadata: dict[str, Any] | None = None,
        langsmith_tags: list[str] | None = None,
        timeout_seconds: float | None = None,
        confidence_scoring: bool = True,
    ) -> FunctionResult:
        """Asynchronous form of `run_function`."""
        encoded = dump_row(input_data)
        with client_run(
            name, input_data, metadata=langsmith_metadata, tags=langsmith_tags
        ) as traced:
            payload = await aexecute(
                self,
                _service.run_function,
                name,
                encoded,
                confidence_scoring=confidence_scoring,
                timeout=timeout_seconds,
            )
            result = FunctionResult(payload)
            traced.finish(result)
        return result

    def submit(
        self,
        request: JobRequest,
        rows: SpooledRows | RemoteTable,
        *,
        reuse: timedelta | None = None,
        trace: JobTrace | None = None,
        token: str | None = None,
    ) -> Submitted:
        """Submit a job exactly once; `submit_job` has the rules and the errors.

        Args:
            request: What is asked of the job.
            rows: The rows, encoded, or a URL that the service fetches.
            reuse: Take a job of at most this age that has the same content.
            trace: The run of the job; by default one is made if tracing is on.
            token: What marks the job, to find it by; by default a new one.
        """
        wire = rows.url if isinstance(rows, RemoteTable) else rows
        trace = trace or JobTrace()
        submitted = execute(
            self, _service.submit_job, request, wire, reuse=reuse, token=token or trace.token
        )
        self._traces.add(submitted, trace)
        return submitted

    async def asubmit(
        self,
        request: JobRequest,
        rows: SpooledRows | RemoteTable,
        *,
        reuse: timedelta | None = None,
        trace: JobTrace | None = None,
        token: str | None = None,
    ) -> Submitted:
        """Asynchronous form of `submit`."""
        wire = rows.url if isinstance(rows, RemoteTable) else rows
        trace = trace or JobTrace()
        submitted = await aexecute(
            self, _service.submit_job, request, wire, reuse=reuse, token=token or trace.token
        )
        self._traces.add(submitted, trace)
        return submitted

    def batch_run_function(
        self,
        name: str,
        data: Any,
        job_priority: int = 0,
        output_column: str = "inference_result",  # noqa: ARG002 - the SDK's signature
        dry_run: bool = False,
        stay_attached: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        langsmith_metadata: dict[str, Any] | None = None,
        langsmith_tags: list[str] | None = None,
        id_column: str | None = None,
    ) -> str:
        """Run a Function over a table as one Batch job.

        Args:
            name: The published Function, without namespace and revision.
            data: Rows (mappings, pydantic models), a data frame, anything Arrow, a path or a URL.
            job_priority: 0 for prototyping, 1 for production.
            output_column: Only for symmetry with the SDK: results are named when they are fetched.
            dry_run: Make a job that estimates the cost instead.
            stay_attached: Return when the job has succeeded rather than at once.
            job_name: At most 45 characters.
            description: Kept with the job.
            langsmith_metadata: Goes onto the job's LangSmith run, over that of the active trace.
            langsmith_tags: The same for tags.
            id_column: Column that a table behind a URL carries into its results.

        Returns:
            The job's id.

        Raises:
            SutroInputError: A value cannot be sent; names row and column; nothing was sent.
            SubmissionUnknownError: A job may exist; look its token up before submitting again.
            SutroAPIError: The service refused the job.
        """
        request = JobRequest(name, job_priority, dry_run, job_name, description, id_column)
        request.check()
        rows = take_rows(data)
        with job_trace(name, rows, metadata=langsmith_metadata, tags=langsmith_tags) as trace:
            job_id = self.submit(request, rows, trace=trace).job_id
        if stay_attached:
            self.follow_job(job_id)
        return job_id

    async def abatch_run_function(
        self,
        name: str,
        data: Any,
        job_priority: int = 0,
        output_column: str = "inference_result",  # noqa: ARG002 - the SDK's signature
        dry_run: bool = False,
        stay_attached: bool = False,
        job_name: str | None = None,
        description: str | None = None,
        langsmith_metadata: dict[str, Any] | None = None,
        langsmith_tags: list[str] | None = None,
        id_column: str | None = None,
    ) -> str:
        """Asynchronous form of `batch_run_function`; the table is encoded in a thread."""
        request = JobRequest(name, job_priority, dry_run, job_name, description, id_column)
        request.check()
        rows = await asyncio.to_thread(take_rows, data)
        with job_trace(name, rows, metadata=langsmith_metadata, tags=langsmith_tags) as trace:
            job_id = (await self.asubmit(request, rows, trace=trace)).job_id
        if stay_attached:
            await self.afollow_job(job_id)
        return job_id

    def follow_job(self, job_id: str, **options: Any) -> None:
        """Wait until a job has succeeded.

        Args:
            job_id: The job.
            **options: Those of `_service.wait_for_job`, which has the errors as well.
        """
        try:
            execute(self, _service.wait_for_job, job_id, **options)
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            self._traces.failed(job_id, error, partial(self.fetch_job, job_id))
            raise

    async def afollow_job(self, job_id: str, **options: Any) -> None:
        """Asynchronous form of `follow_job`."""
        try:
            await aexecute(self, _service.wait_for_job, job_id, **options)
        except (SutroJobFailedError, SutroJobCancelledError) as error:
            self._traces.failed(job_id, error, partial(self.fetch_job, job_id))
            raise

    def trace_results(
        self, job_id: str, results: BatchResults, job: dict[str, Any] | None = None
    ) -> None:
        """Complete the job's trace, if it has one, in the background.

        Args:
            job_id: The job.
            results: What it gave.
            job: Its object, if it is here already.
        """
        fetch = partial(self.fetch_job, job_id) if job is None else lambda: job
        self._traces.completed(job_id, results, fetch)

    def await_job_completion(
        self,
        job_id: str,
        timeout: float | None = 7200,
        obtain_results: bool = True,
        output_column: str = "inference_result",
        unpack_json: bool = True,
    ) -> Any:
        """Wait until a job has succeeded.

        Args:
            job_id: The job.
            timeout: Seconds to wait; None for ever. The job continues when the wait ends.
            obtain_results: Whether to fetch the results, as `get_job_results` does.
            output_column: For `get_job_results`.
            unpack_json: For `get_job_results`.

        Returns:
            The results as a pandas DataFrame, or None with `obtain_results=False`.

        Raises:
            SutroJobFailedError: With the service's reason.
            SutroJobCancelledError: It was cancelled.
            SutroJobTimeoutError: The time is over.
        """
        self.follow_job(job_id, timeout=timeout)
        if not obtain_results:
            return None
        return self.get_job_results(job_id, output_column=output_column, unpack_json=unpack_json)

    async def aawait_job_completion(
        self,
        job_id: str,
        timeout: float | None = 7200,  # noqa: ASYNC109 - the job's, not the call's
        obtain_results: bool = True,
        output_column: str = "inference_result",
        unpack_json: bool = True,
    ) -> Any:
        """Asynchronous form of `await_job_completion`."""
        await self.afollow_job(job_id, timeout=timeout)
        if not obtain_results:
            return None
        return await self.aget_job_results(
            job_id, output_column=output_column, unpack_json=unpack_json
        )

    def get_job_results(
        self,
        job_id: str,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        with_original_df: Any = None,
        output_column: str = "inference_result",
        disable_cache: bool = False,  # noqa: ARG002 - the SDK's signature
        unpack_json: bool = True,
    ) -> Any:
        """The results of a job that has succeeded, as a data frame in input order.

        Args:
            job_id: The job.
            include_inputs: Add the column `inputs`.
            include_cumulative_logprobs: Add the column `cumulative_logprobs`.
            with_original_df: The table that went in: its columns come first.
            output_column: Name of the column of outputs that are not objects, or are not unpacked.
            disable_cache: Only for symmetry with the SDK: nothing is cached here.
            unpack_json: Give each field of the outputs a column of its own, before
                `confidence_score`; False keeps the outputs as the texts that the service sent.

        Returns:
            A pandas DataFrame, or a polars one where `with_original_df` is one.

        Raises:
            SutroNotFoundError: No such job.
            SutroConflictError: It has not succeeded.
        """
        results = self.fetch_results(
            job_id,
            include_inputs=include_inputs,
            include_cumulative_logprobs=include_cumulative_logprobs,
        )
        self.trace_results(job_id, results)
        return results_frame(
            results,
            output_column=output_column,
            unpack_json=unpack_json,
            with_original_df=with_original_df,
        )

    async def aget_job_results(
        self,
        job_id: str,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        with_original_df: Any = None,
        output_column: str = "inference_result",
        disable_cache: bool = False,  # noqa: ARG002 - the SDK's signature
        unpack_json: bool = True,
    ) -> Any:
        """Asynchronous form of `get_job_results`; the file is read in a thread."""
        results = await self.afetch_results(
            job_id,
            include_inputs=include_inputs,
            include_cumulative_logprobs=include_cumulative_logprobs,
        )
        self.trace_results(job_id, results)
        return await asyncio.to_thread(
            results_frame,
            results,
            output_column=output_column,
            unpack_json=unpack_json,
            with_original_df=with_original_df,
        )

    def fetch_results(
        self,
        job_id: str,
        *,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        rows: int | None = None,
        function: str | None = None,
        job: dict[str, Any] | None = None,
    ) -> BatchResults:
        """The results of a job that has succeeded, row by row or as a table.

        Few rows come as JSON; more as Parquet over a presigned URL, resumed if it breaks off, to a
        private temporary file that goes with the object.

        Args:
            job_id: The job.
            include_inputs: Also what the Function was given, as the service rendered it.
            include_cumulative_logprobs: Also the log-probability of each output.
            rows: How many rows went in. Results of another number are an error, never shifted.
            function: The Function, for display.
            job: The job's object, for tokens and cost.
        """
        options = {
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
        }
        facts = self._facts(job_id, rows, function, job)
        if rows is None or rows > _FEW_ROWS:
            with PrivateFile() as target:
                if execute(self, results_file, job_id, target, options):
                    return BatchResults.from_parquet(target.keep(), **facts, delete=True)
        return BatchResults.from_columns(execute(self, results_json, job_id, options), **facts)

    async def afetch_results(
        self,
        job_id: str,
        *,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        rows: int | None = None,
        function: str | None = None,
        job: dict[str, Any] | None = None,
    ) -> BatchResults:
        """Asynchronous form of `fetch_results`; files are handled in a thread."""
        options = {
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
        }
        facts = await asyncio.to_thread(self._facts, job_id, rows, function, job)
        if rows is None or rows > _FEW_ROWS:
            async with await asyncio.to_thread(PrivateFile) as target:
                if await aexecute(self, results_file, job_id, target, options):
                    path = await asyncio.to_thread(target.keep)
                    return await asyncio.to_thread(
                        BatchResults.from_parquet, path, **facts, delete=True
                    )
        columns = await aexecute(self, results_json, job_id, options)
        return BatchResults.from_columns(columns, **facts)

    def _facts(
        self, job_id: str, rows: int | None, function: str | None, job: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "job_id": job_id,
            "function": function,
            "generation": self.settings.generation,
            "expected_rows": rows,
            "job": job,
        }

    def get_job_status(self, job_id: str) -> JobStatus:
        """The stored status of a job: a string such as `"RUNNING"`."""
        return execute(self, _service.job_status, job_id)

    async def aget_job_status(self, job_id: str) -> JobStatus:
        """Asynchronous form of `get_job_status`."""
        return await aexecute(self, _service.job_status, job_id)

    def fetch_job(self, job_id: str) -> dict[str, Any]:
        """The job object: status, tokens, cost in USD, times, reason of failure."""
        return execute(self, _service.fetch_job, job_id)

    async def afetch_job(self, job_id: str) -> dict[str, Any]:
        """Asynchronous form of `fetch_job`."""
        return await aexecute(self, _service.fetch_job, job_id)

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Ask for a job's cancellation, which the service carries out a little later."""
        answer = execute(self, _service.cancel_job, job_id)
        self._cancelled(job_id, answer)
        return answer

    async def acancel_job(self, job_id: str) -> dict[str, Any]:
        """Asynchronous form of `cancel_job`."""
        answer = await aexecute(self, _service.cancel_job, job_id)
        self._cancelled(job_id, answer)
        return answer

    def _cancelled(self, job_id: str, answer: dict[str, Any]) -> None:
        # Whoever cancels a job seldom waits for it, and its run would stay open for ever.
        if answer.get("cancelled") is True:
            error = SutroJobCancelledError(f"{job_id} was cancelled.", job_id=job_id)
            self._traces.failed(job_id, error, partial(self.fetch_job, job_id))

    def list_jobs(self) -> list[dict[str, Any]]:
        """All jobs of the key's account, newest first."""
        return execute(self, _service.list_jobs)[0]

    async def alist_jobs(self) -> list[dict[str, Any]]:
        """Asynchronous form of `list_jobs`."""
        return (await aexecute(self, _service.list_jobs))[0]

    def get_quotas(self) -> list[dict[str, Any]]:
        """`priority`, `row_quota` and `token_quota` of each job priority."""
        return execute(self, _service.get_quotas)

    async def aget_quotas(self) -> list[dict[str, Any]]:
        """Asynchronous form of `get_quotas`."""
        return await aexecute(self, _service.get_quotas)

    def try_authentication(self) -> bool:
        """Whether the service accepts the key; costs nothing.

        Raises:
            SutroAuthenticationError: It does not.
        """
        return execute(self, _service.check_authentication).get("authenticated") is True

    async def atry_authentication(self) -> bool:
        """Asynchronous form of `try_authentication`."""
        return (await aexecute(self, _service.check_authentication)).get("authenticated") is True


def execute(
    client: SutroClient,
    operation: Callable[Concatenate[Service, _P], Operation[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _T:
    """Carry out an operation of the service's API in this thread.

    A function rather than a method, since the operations are not for users.

    Args:
        client: Whose deployment, key and policy apply.
        operation: One of the service room's, such as `fetch_job`.
        *args: What it takes after the service.
        **kwargs: The same by name.

    Returns:
        What the operation returns.
    """
    session = client._session or client._resolve()  # noqa: SLF001 - ours, but not for users
    return run(operation(Service(session.settings, client.policy), *args, **kwargs), session)


async def aexecute(
    client: SutroClient,
    operation: Callable[Concatenate[Service, _P], Operation[_T]],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _T:
    """Asynchronous form of `execute`."""
    session = client._session  # noqa: SLF001 - as above
    if session is None:
        # The login file may have to be read first.
        session = await asyncio.to_thread(client._resolve)  # noqa: SLF001 - as above
    service = Service(session.settings, client.policy)
    return await arun(operation(service, *args, **kwargs), session)
