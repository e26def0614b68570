"""`SutroJobToolkit`: tools with which an agent's model runs a Function over many rows.

A job outlasts the call that starts it, so there are several tools: start, estimate, check the
status, fetch a page of results, cancel. The developer limits rows, cost and files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from langchain_core.callbacks import (  # langchain-core resolves them
    AsyncCallbackManagerForToolRun,  # noqa: TC002
    CallbackManagerForToolRun,  # noqa: TC002
)
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.tools.base import BaseToolkit
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.rows import PLAIN_ENDINGS
from langchain_sutro._core.service import Steps, arun_steps, run_steps
from langchain_sutro.agents.jobs.actions import JobActions, Limits, Outcome
from langchain_sutro.agents.jobs.approvals import Approvals, Call, call_of, current_config
from langchain_sutro.agents.jobs.known_jobs import KnownJobs
from langchain_sutro.agents.jobs.pages import PageLimits
from langchain_sutro.agents.safe_files import RootFiles
from langchain_sutro.errors import SutroInputError
from langchain_sutro.functions import (
    SutroFunction,
    TracedTool,
    child_config,
    correctable_errors,
    input_schema,
    marked_name,
    runs_of_tool,
    tool_name,
    without_secrets_of_typos,
)

if TYPE_CHECKING:
    from langchain_sutro._core.rows import SpooledRows
    from langchain_sutro.functions import CallRuns

__all__ = ["SutroJobToolkit"]

_LONGEST_PREFIX = 50

_Action: TypeAlias = Callable[[Any, RunnableConfig, Call], Steps[Outcome]]


class _Rows(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]] | None = None
    file: str | None = None


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid")

    job_id: str = Field(min_length=1, description="The id that start_job returned.")


class _Look(_Job):
    wait_seconds: float = Field(
        default=10.0, ge=0, description="How long to wait for the job to end, if it is running."
    )


class _Page(_Job):
    offset: int = Field(default=0, ge=0, description="Index of the first row, from 0.")
    limit: int = Field(default=20, ge=1, description="Maximum number of rows.")


@exported_from("langchain_sutro")
class SutroJobToolkit(BaseToolkit):
    """Tools with which an agent runs a Function over many rows, in the background.

    ```python
    jobs = SutroJobToolkit(function=qualify, root="exports", max_rows=5_000, max_cost=2.0)
    agent = create_agent(model, tools=jobs.get_tools())
    ```

    Each tool returns short JSON to the model, and the same or more to code as the artifact. Errors
    the model can fix are returned to it as a message of status `"error"`; all others are raised.
    Called with a plain dict, a tool raises every error. Progress is reported as the custom event
    `sutro_job_progress`, and inside LangGraph also to `stream_mode="custom"` under that name.

    A model can access only jobs that the tools of this object started. With `scope`, other
    processes recognize the jobs too, for example after a restart: the job's description contains
    the hash of the scope.

    Attributes:
        function: The Function. With `args_schema`, rows are checked before anything is sent, and
            only these columns of a file are sent.
        root: Directory whose `.csv`, `.tsv`, `.jsonl`, `.ndjson` and `.parquet` files the model may
            name. None: no files are
            read. Symbolic links below it are not followed, and URLs are refused.
        max_rows: Maximum number of rows per job.
        max_bytes: Maximum size of a file, and of the rows of a job as JSON.
        max_cost: Maximum cost of a job in USD. If set, each start first asks the service for an
            estimate, which may take a while; equal rows are estimated once in 24 hours.
        page_rows: Maximum number of rows that one call fetches.
        page_chars: Approximate maximum size of the results of one call, in bytes of JSON.
        max_wait: Maximum number of seconds that one status check waits for a job to end.
        estimate_timeout: Maximum number of seconds that an estimate may take.
        scope: The owner of the jobs, as a string or a callable on the config, such as
            `lambda config: config["configurable"]["thread_id"]`. Jobs of one scope cannot be
            accessed from another.
        any_job: Give the model access to all jobs of the Function in the account of the key.
        prefix: The prefix of the tools' names; by default made from the Function's name.

    Raises:
        SutroConfigurationError: `root` is not a directory.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    function: SutroFunction
    root: Path | None = None
    max_rows: int = Field(default=1_000, ge=1)
    max_bytes: int = Field(default=32 << 20, ge=1)
    max_cost: float | None = Field(default=None, ge=0)
    page_rows: int = Field(default=50, ge=1)
    page_chars: int = Field(default=20_000, ge=200)
    max_wait: float = Field(default=60.0, ge=0)
    estimate_timeout: float = Field(default=600.0, gt=0)
    scope: str | Callable[[RunnableConfig], str] | None = Field(default=None, exclude=True)
    any_job: bool = False
    prefix: str | None = Field(default=None, pattern=r"^([a-zA-Z_][a-zA-Z0-9_-]{0,49})?$")

    _actions: JobActions = PrivateAttr()
    _tools: list[BaseTool] = PrivateAttr()
    _approvals: Approvals = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _hide_typos(cls, values: Any) -> Any:
        return without_secrets_of_typos(cls, values)

    @model_validator(mode="after")
    def _make_tools(self) -> Self:
        files = None if self.root is None else RootFiles(self.root, self.max_bytes)
        limits = Limits(
            self.max_rows,
            self.max_bytes,
            self.max_cost,
            PageLimits(self.page_rows, self.page_chars),
            self.max_wait,
            self.estimate_timeout,
        )
        jobs = KnownJobs(self.function, self.scope, any_job=self.any_job)
        act = self._actions = JobActions(self.function, files, limits, jobs)
        self._approvals = Approvals(act, _Rows.model_validate)
        rows, what = _rows_schema(self), self.function.description or self.function.function
        self._tools = [
            self._tool("start_job", _START.format(what=what), _Rows, self._start, rows),
            self._tool("estimate_job", _ESTIMATE, _Rows, _plain(act.estimate), rows),
            self._tool("job_status", _STATUS, _Look, _plain(act.status)),
            self._tool("fetch_results", _RESULTS, _Page, _plain(act.results)),
            self._tool("cancel_job", _CANCEL, _Job, _plain(act.cancel)),
        ]
        return self

    def _tool(
        self,
        name: str,
        description: str,
        arguments: type[BaseModel],
        action: _Action,
        schema: dict[str, Any] | None = None,
    ) -> BaseTool:
        return _JobTool(
            name=self._named(name),
            description=description,
            args_schema=schema or arguments.model_json_schema(),
            metadata={"sutro_function": self.function.function},
            arguments=arguments,
            action=action,
            shown=runs_of_tool(self.function),
        )

    def _named(self, name: str) -> str:
        prefix = self.prefix
        if prefix is None:
            prefix = tool_name(self.function.function)
            if len(prefix) > _LONGEST_PREFIX:
                prefix = marked_name(prefix, self.function.function, _LONGEST_PREFIX)
        return f"{prefix}_{name}" if prefix else name

    @property
    def start_tool(self) -> str:
        """The name of the tool that starts a job, for `HumanInTheLoopMiddleware`."""
        return self._named("start_job")

    def get_tools(self) -> list[BaseTool]:
        """The tools to start, estimate, check, fetch and cancel jobs."""
        return list(self._tools)

    def needs_approval(
        self, *, rows: int | None = None, cost: float | None = None
    ) -> Callable[[Any], bool]:
        """A predicate for `HumanInTheLoopMiddleware`: whether a human must approve a job.

        It gives the same answer whenever it is asked about one tool call, as the middleware
        requires, and decides about each call anew. It asks when it cannot know: for a file that
        cannot be read and, on an event loop, which must not be blocked, for every file and, with
        `cost`, for rows that have no estimate yet, for example from the estimate tool.

        The decision is about the rows that the file had when the call was decided on. If it has
        others when the job is to be started, the tool starts nothing and returns an error to the
        model. These decisions are kept in this object; after a restart of the process, what counts
        is the file's content at the time the run is resumed.

        Args:
            rows: Ask for jobs with more rows.
            cost: Ask for jobs that are estimated to cost more, in USD. Requests the estimate from
                the service.

        Returns:
            A callable on a `ToolCallRequest`, for `when` of an `InterruptOnConfig`.
        """

        def when(request: Any) -> bool:
            called = request.tool_call
            call = call_of(called["args"], called.get("id"), current_config())
            return self._approvals.asks(call, called["args"], rows, cost)

        return when

    def _start(self, arguments: Any, config: RunnableConfig, call: Call) -> Steps[Outcome]:
        def check(rows: SpooledRows) -> Steps[None]:
            return self._approvals.check(call, rows, arguments.file)

        return self._actions.start(arguments, config, check)


class _JobTool(TracedTool):
    """One of the tools; its arguments are not split up, and are checked by our own model."""

    args_schema: dict[str, Any]
    arguments: type[BaseModel] = Field(exclude=True)
    action: _Action = Field(exclude=True, repr=False)
    # `CallRuns`, which pydantic need not understand.
    shown: Any = Field(exclude=True, repr=False)

    def _runs(self) -> CallRuns:
        runs: CallRuns = self.shown
        return runs

    def _run(
        self,
        arguments: Any,
        config: RunnableConfig,
        run_manager: CallbackManagerForToolRun,
        *,
        for_model: bool,
        call: Call,
    ) -> Outcome:
        with correctable_errors(for_model=for_model):
            child = child_config(config, run_manager.get_child())
            return run_steps(self.action(arguments, child, _in_thread(call, config)))

    async def _arun(
        self,
        arguments: Any,
        config: RunnableConfig,
        run_manager: AsyncCallbackManagerForToolRun,
        *,
        for_model: bool,
        call: Call,
    ) -> Outcome:
        with correctable_errors(for_model=for_model):
            child = child_config(config, run_manager.get_child())
            return await arun_steps(self.action(arguments, child, _in_thread(call, config)))

    def _to_args_and_kwargs(
        self, tool_input: str | dict[str, Any], tool_call_id: str | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for_model = tool_call_id is not None
        with correctable_errors(for_model=for_model):
            call = call_of(tool_input, tool_call_id, None)
            return (self._checked(tool_input),), {"for_model": for_model, "call": call}

    def _checked(self, tool_input: Any) -> BaseModel:
        try:
            return self.arguments.model_validate(tool_input)
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}"
                for item in error.errors(include_input=False)
            )
            # Pydantic's own error contains the values.
            raise SutroInputError(f"{said}.") from None


def _plain(action: Callable[[Any, RunnableConfig], Steps[Outcome]]) -> _Action:
    return lambda arguments, config, _: action(arguments, config)


def _in_thread(call: Call, config: RunnableConfig) -> Call:
    return call._replace(thread=call_of(None, None, config).thread)


_START = (
    "Starts a background job that runs this on many rows: {what} Returns a job_id at once. Check "
    "it with job_status until its status is SUCCEEDED, then read its answers with fetch_results."
)
_ESTIMATE = "Estimates what a job on these rows would cost in USD, without starting it."
_STATUS = "Returns the status of a job that was started here, and how many of its rows are done."
_RESULTS = (
    "Reads a page of the answers of a job whose status is SUCCEEDED, in the order of its rows. "
    "next_offset is where the next page starts, or null after the last page."
)
_CANCEL = "Cancels a job that was started here."


def _rows_schema(toolkit: SutroJobToolkit) -> dict[str, Any]:
    """The JSON schema of rows or a file, including the Function's fields."""
    row: dict[str, Any] = {"type": "object"}
    fields = input_schema(toolkit.function)
    if fields is not None:
        row = dict(fields.json_schema)
    # References are relative to the whole schema.
    shared: dict[str, Any] = {
        name: row.pop(name) for name in ("$defs", "definitions") if name in row
    }
    properties: dict[str, Any] = {
        "rows": {"type": "array", "items": row, "minItems": 1, "maxItems": toolkit.max_rows}
    }
    required = ["rows"]
    if toolkit.root is not None:
        required = []
        properties["rows"]["description"] = "The rows themselves, unless a file is given."
        properties["file"] = {
            "type": "string",
            "description": "Instead of rows: the relative name of a file that ends in "
            f"{', '.join(PLAIN_ENDINGS)}.",
        }
    return {"type": "object", "properties": properties, "required": required, **shared}
