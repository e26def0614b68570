"""The service without LangChain: one object with the official SDK's verbs, sync and async.

Each verb is written once, as steps. Its asynchronous form has the same signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core import service as _service
from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs.bar import progress_bar
from langchain_sutro._core.jobs.calls import (
    fetch_results,
    follow_job,
    take_rows,
    trace_end,
    trace_results,
)
from langchain_sutro._core.jobs.connection import Connection, asking
from langchain_sutro._core.jobs.forms import asynchronous, steps_of, synchronous
from langchain_sutro._core.jobs.saved import save_results
from langchain_sutro._core.jobs.submissions import submit
from langchain_sutro._core.results import FunctionResult, results_frame
from langchain_sutro._core.rows import dump_row
from langchain_sutro._core.service import JobRequest, blocking, results_link
from langchain_sutro._core.tracing import client_run, job_trace
from langchain_sutro.errors import SutroJobCancelledError

if TYPE_CHECKING:
    import os

    from pydantic import SecretStr

    from langchain_sutro._core.rows import Fields
    from langchain_sutro._core.service import JobStatus, Steps

__all__ = ["SutroClient"]


@exported_from("langchain_sutro")
class SutroClient(Connection):
    """Speaks to one deployment.

    Nothing is read, checked against the environment or connected before the first call. One object
    serves any number of threads and event loops; connections are shared by the whole process.
    A pickled client leaves its key behind, and reads the environment again where it arrives.

    Args:
        api_key: Explicit key. Defaults to `SUTRO_API_KEY`, then the login file.
        api_url: Explicit URL of the deployment. Defaults to `SUTRO_API_URL`, then the login file.
        generation: Which HTTP API; `"auto"` decides by URL.
        timeout: Seconds for a call as a whole: its repetitions, the pauses between them, and
            answers that arrive byte by byte. By default each try has 100 seconds for a run and 60
            for another call. A submission always has 10 seconds, because whoever gives up earlier
            does not know whether there is a job. Results may take longer than this as a whole, as
            long as 64 kB of them arrive within it.
        max_retries: Repetitions of what may safely be repeated.
        repeat_runs: Also repeat a real-time run after a 5xx or a broken connection, although it
            may already have been carried out and billed.
        http_client: An `httpx.Client` or `httpx2.Client`, used for synchronous calls and never
            closed here. What it sends by default (headers, cookies, parameters) and its event
            hooks are for the deployment only; object storage is reached through its transports.
        http_async_client: The same for asynchronous calls.

    Raises:
        SutroConfigurationError: An explicit URL may not be used, or a client is of another kind.
    """

    @synchronous
    def run_function(
        self,
        name: str,
        input_data: Any,
        langsmith_metadata: dict[str, Any] | None = None,
        langsmith_tags: list[str] | None = None,
        timeout_seconds: float | None = None,
        confidence_scoring: bool = True,
    ) -> Steps[FunctionResult]:
        """Run a Function once, now.

        Args:
            name: The published Function, without namespace and revision.
            input_data: Its input fields (mapping or pydantic model), or a text if it has one field.
            langsmith_metadata: Goes onto the call's LangSmith run, over that of the active trace.
            langsmith_tags: The same for tags.
            timeout_seconds: For the call as a whole; default 100, above the service's own 90.
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
            payload = yield from asking(
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

    arun_function = asynchronous(run_function)

    @synchronous
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
        *,
        fields: Fields | None = None,
    ) -> Steps[str]:
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
            fields: Names of the columns to send, or a mapping of the names of the Function's fields
                to the table's columns. By default all are sent.

        Returns:
            The job's id.

        Raises:
            SutroInputError: A value cannot be sent; names row and column; nothing was sent.
            SubmissionUnknownError: A job may exist; look its token up before submitting again.
            SutroAPIError: The service refused the job.
        """
        request = JobRequest(name, job_priority, dry_run, job_name, description, id_column)
        request.check()
        rows = yield blocking(take_rows, data, fields)
        with job_trace(name, rows, metadata=langsmith_metadata, tags=langsmith_tags) as trace:
            submitted = yield from steps_of(submit)(self, request, rows, trace=trace)
        if stay_attached:
            yield from steps_of(follow_job)(self, submitted.job_id)
        return submitted.job_id

    abatch_run_function = asynchronous(batch_run_function)

    @synchronous
    def await_job_completion(
        self,
        job_id: str,
        timeout: float | None = 7200,
        obtain_results: bool = True,
        output_column: str = "inference_result",
        is_cost_estimate: bool = False,
        unwrap_reasoning: bool = False,
        *,
        unpack_json: bool = True,
    ) -> Steps[Any]:
        """Wait until a job has succeeded.

        Args:
            job_id: The job.
            timeout: Seconds to wait; None for ever. The job continues when the wait ends.
            obtain_results: Whether to fetch the results, as `get_job_results` does.
            output_column: For `get_job_results`.
            is_cost_estimate: The job is a dry run, which has no results to fetch.
            unwrap_reasoning: For `get_job_results`.
            unpack_json: For `get_job_results`.

        Returns:
            The results as a pandas DataFrame, or None with `obtain_results=False` or
            `is_cost_estimate=True`.

        Raises:
            SutroJobFailedError: With the service's reason.
            SutroJobCancelledError: It was cancelled.
            SutroJobTimeoutError: The time is over.
        """
        yield from steps_of(follow_job)(self, job_id, timeout=timeout)
        if not obtain_results or is_cost_estimate:
            return None
        return (
            yield from steps_of(SutroClient.get_job_results)(
                self,
                job_id,
                output_column=output_column,
                unpack_json=unpack_json,
                unwrap_reasoning=unwrap_reasoning,
            )
        )

    aawait_job_completion = asynchronous(await_job_completion)

    @synchronous
    def attach(self, job_id: str) -> Steps[None]:
        """Show the progress of a job until it has succeeded, as a bar on standard error.

        Without a bar, `await_job_completion` waits. An interrupt leaves the job as it is.

        Args:
            job_id: The job.

        Raises:
            SutroJobFailedError: With the service's reason.
            SutroJobCancelledError: It was cancelled.
        """
        job = yield from asking(self, _service.fetch_job, job_id)
        rows = job.get("num_rows")
        total = rows if isinstance(rows, int) else None
        with progress_bar(str(job.get("name") or job_id), total) as show:
            yield from steps_of(follow_job)(
                self, job_id, timeout=None, rows_total=total, on_progress=show
            )

    aattach = asynchronous(attach)

    @synchronous
    def get_job_results(
        self,
        job_id: str,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        with_original_df: Any = None,
        output_column: str = "inference_result",
        disable_cache: bool = False,  # noqa: ARG002 - the SDK's signature
        unpack_json: bool = True,
        unwrap_reasoning: bool = False,
    ) -> Steps[Any]:
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
            unwrap_reasoning: Open the envelopes of a reasoning model's outputs: the fields of
                their content become columns, beside `reasoning_content`. False by default, since
                a Function's own outputs may look the same.

        Returns:
            A pandas DataFrame, or a polars one where `with_original_df` is one.

        Raises:
            SutroNotFoundError: No such job.
            SutroConflictError: It has not succeeded.
        """
        results = yield from steps_of(fetch_results)(
            self,
            job_id,
            include_inputs=include_inputs,
            include_cumulative_logprobs=include_cumulative_logprobs,
        )
        trace_results(self, job_id, results)
        frame = yield blocking(
            results_frame,
            results,
            output_column=output_column,
            unpack_json=unpack_json,
            unwrap_reasoning=unwrap_reasoning,
            with_original_df=with_original_df,
        )
        return frame

    aget_job_results = asynchronous(get_job_results)

    @synchronous
    def results_download_url(
        self,
        job_id: str,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        expires_in_seconds: int = 3600,
    ) -> Steps[dict[str, Any]]:
        """Presigned URLs of a job's results as a Parquet file, for another program to fetch.

        Whoever has such a URL can read the results until it expires, so treat it as a secret.

        Args:
            job_id: The job, which has succeeded.
            include_inputs: Add the column `inputs`.
            include_cumulative_logprobs: Add the column `cumulative_logprobs`.
            expires_in_seconds: How long the URLs are valid, at most seven days.

        Returns:
            As the service sends it: `urls` with `get` and `head`, `artifact` with `filename` and
            `size_bytes`, and `expires_in_seconds`.

        Raises:
            SutroNotFoundError: No such job, or the hosted generation, which has no such URLs.
            SutroConflictError: It has not succeeded.
        """
        options = {
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
            "expires_in_seconds": expires_in_seconds,
        }
        return (yield from asking(self, results_link, job_id, options))

    aresults_download_url = asynchronous(results_download_url)

    @synchronous
    def download_job_results(
        self,
        job_id: str,
        output_path: str | os.PathLike[str] | None = None,
        include_inputs: bool = False,
        include_cumulative_logprobs: bool = False,
        resume: bool = True,
        expires_in_seconds: int = 3600,
    ) -> Steps[str]:
        """Save the results of a job that has succeeded as a Parquet file.

        The file is written beside its place, with the ending `.part`, and moved there when it is
        complete. What an interrupted call leaves is continued by the next one. Threads and
        processes that save to the same path at the same time have a file each, so that the path
        has one of them whole; only the first one's can be continued.

        Args:
            job_id: The job.
            output_path: The file to write, or a directory for a file of the service's name. A path
                that ends in a separator is a directory, and made. By default the current directory.
            include_inputs: Add the column `inputs`.
            include_cumulative_logprobs: Add the column `cumulative_logprobs`.
            resume: Continue the file of an interrupted call, if the results are still the same.
            expires_in_seconds: How long the presigned URL is valid; an expired one is replaced.

        Returns:
            The path of the file.

        Raises:
            SutroNotFoundError: No such job.
            SutroConflictError: It has not succeeded.
            SutroConnectionError: The transfer broke again and again.
            SutroConfigurationError: The file cannot be written.
        """
        options = {
            "include_inputs": include_inputs,
            "include_cumulative_logprobs": include_cumulative_logprobs,
            "expires_in_seconds": expires_in_seconds,
        }
        return (yield from save_results(self, job_id, output_path, options, resume=resume))

    adownload_job_results = asynchronous(download_job_results)

    @synchronous
    def get_job_status(self, job_id: str) -> Steps[JobStatus]:
        """The stored status of a job: a string such as `"RUNNING"`."""
        return (yield from asking(self, _service.job_status, job_id))

    aget_job_status = asynchronous(get_job_status)

    @synchronous
    def fetch_job(self, job_id: str) -> Steps[dict[str, Any]]:
        """The job object: status, tokens, cost in USD, times, reason of failure."""
        return (yield from asking(self, _service.fetch_job, job_id))

    afetch_job = asynchronous(fetch_job)

    @synchronous
    def cancel_job(self, job_id: str) -> Steps[dict[str, Any]]:
        """Ask for a job's cancellation, which the service carries out a little later."""
        answer = yield from asking(self, _service.cancel_job, job_id)
        if answer.get("cancelled") is True:
            # Whoever cancels a job seldom waits for it, and its run would stay open for ever.
            error = SutroJobCancelledError(f"{job_id} was cancelled.", job_id=job_id)
            trace_end(self, job_id, error)
        return answer

    acancel_job = asynchronous(cancel_job)

    @synchronous
    def list_jobs(self) -> Steps[list[dict[str, Any]]]:
        """All jobs of the key's account, newest first."""
        jobs, _ = yield from asking(self, _service.list_jobs)
        return jobs

    alist_jobs = asynchronous(list_jobs)

    @synchronous
    def get_quotas(self) -> Steps[list[dict[str, Any]]]:
        """`priority`, `row_quota` and `token_quota` of each job priority."""
        return (yield from asking(self, _service.get_quotas))

    aget_quotas = asynchronous(get_quotas)

    @synchronous
    def try_authentication(self, api_key: SecretStr | str | None = None) -> Steps[dict[str, Any]]:
        """Ask the service whether it accepts a key; costs nothing.

        Args:
            api_key: The key; by default the client's own.

        Returns:
            The service's answer, in which `authenticated` is True.

        Raises:
            SutroAuthenticationError: It does not accept the key.
        """
        client = self if api_key is None else self._with_key(api_key)
        return (yield from asking(client, _service.check_authentication))

    atry_authentication = asynchronous(try_authentication)
