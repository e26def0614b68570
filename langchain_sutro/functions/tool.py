"""`SutroTool`: a Function as a tool that an agent's model can use safely.

The model receives short JSON, and code the whole payload as the artifact. Errors that the model can
fix, such as a field of a wrong type, are returned to it; all others are raised. A batch of a tool
is one job, like that of its Function.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForToolRun,
    CallbackManager,
    CallbackManagerForToolRun,
)
from langchain_core.runnables import RunnableConfig  # noqa: TC002 - langchain-core resolves it
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    model_validator,
)
from typing_extensions import TypedDict

import langchain_sutro
from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import parse_output_model
from langchain_sutro._core.rows import InputSchema
from langchain_sutro._core.service import dump_json
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions.checked_rows import rows_of_batch
from langchain_sutro.functions.interface import (
    PublishedFunction,
    input_schema,
    payload_function,
)
from langchain_sutro.functions.settings import (
    client_settings,
    without_client_settings,
    without_secrets_of_typos,
)
from langchain_sutro.functions.tool_base import (
    SutroToolError,
    TracedTool,
    child_config,
    correctable_errors,
    runs_of_tool,
    short_answer,
)
from langchain_sutro.functions.tool_names import check_tool_name, tool_name
from langchain_sutro.functions.tool_runs import ToolRuns
from langchain_sutro.functions.whole_batch import WholeBatch

if TYPE_CHECKING:
    from langchain_core.messages import ToolCall

    from langchain_sutro.functions.runs import CallRuns

__all__ = ["SutroArtifact", "SutroTool", "SutroToolError", "tool_name"]

_HINT = " Correct the arguments and call the tool again."


class SutroArtifact(TypedDict, total=False):
    """The payload of a call without the Function's prompt; plain JSON, so checkpoints keep it.

    `FunctionResult(artifact)` adds `answer` and the other attributes.
    """

    output: Any
    response: Any
    confidence: float | None
    predictions: list[dict[str, Any]]
    rationale: str | None
    usage: dict[str, Any]
    request_id: str
    run_id: str


@exported_from("langchain_sutro")
class SutroTool(WholeBatch, TracedTool):
    """A published Function as a tool for agents.

    Usually made by `SutroFunction.as_tool`; you can also construct it directly:

    ```python
    SutroTool(
        function="lead-qualifier",
        description="Decides whether a sales lead is qualified.",
        args_schema=Lead,
    )
    ```

    Called with a `ToolCall`, as agents do, it returns a `ToolMessage`: short JSON with `answer`,
    `confidence` and `rationale`, and the payload as a `SutroArtifact`. Errors that the model can
    fix (missing, unknown and wrong fields, an answer refused for low confidence) are returned to it
    as a message of status `"error"`. Called with a plain dict it returns the content, and raises
    every error.

    Attributes:
        function: The Function, or its name to take the settings from the environment.
        name: What the model calls it; by default made from the Function's name.
        description: What it is for; by default that of the Function, or of the schema.
        args_schema: Its fields, as a pydantic model or JSON schema, kept as JSON schema; by default
            that of the Function. Any field name works, including `config`, `runtime` and `self`.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    function: PublishedFunction
    # Kept as JSON schema: langchain-core and langgraph inject values into fields of a pydantic
    # model that have certain names, and lose others.
    args_schema: dict[str, Any] = Field(default_factory=dict)

    _schema: InputSchema = PrivateAttr()
    _caller: PublishedFunction = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        settings, values = client_settings(values), without_client_settings(values)
        function = values["function"] = _function(values.get("function"), settings)
        schema = values.get("args_schema") or function.args_schema
        if schema is None:
            raise SutroConfigurationError(
                f"The input fields of {function.function!r} are unknown, because the service does "
                "not publish them: pass args_schema, a pydantic model or a JSON schema."
            )
        if isinstance(schema, type):
            if function.args_schema is not schema:
                function = function.model_copy(update={"args_schema": schema})
                values["function"] = function
            schema = cast("InputSchema", input_schema(function)).json_schema
        values["args_schema"] = schema
        name = values.get("name")
        values["name"] = tool_name(function.function) if name is None else check_tool_name(name)
        values["description"] = (
            values.get("description") or function.description or schema.get("description")
        )
        if not values["description"]:
            raise SutroConfigurationError(
                f"The tool of {function.function!r} needs a description, by which the model "
                "decides when to call it."
            )
        values["metadata"] = {"sutro_function": function.function, **(values.get("metadata") or {})}
        return cast("dict[str, Any]", without_secrets_of_typos(cls, values))

    @model_validator(mode="after")
    def _validate(self) -> SutroTool:
        self._prepare()
        return self

    def _prepare(self) -> None:
        own, unchecked = input_schema(self.function), {}
        if own is not None and own.json_schema == self.args_schema:
            # A model's own validators run here, and need not run again in the Function.
            self._schema, unchecked = own, {"args_schema": None}
        else:
            self._schema = InputSchema(
                self.args_schema, self.function.function, self.function.extra_fields
            )
        self._caller = payload_function(self.function, **unchecked)

    @classmethod
    def from_function(
        cls,
        function: PublishedFunction,
        args_schema: type[BaseModel] | dict[str, Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
        **extras: Any,
    ) -> SutroTool:
        """Make the tool of `function`; `SutroFunction.as_tool` explains the other arguments."""
        if args_schema is None and arg_types is not None:
            args_schema = _typed(function.function, arg_types)
        return cls(
            function=function,
            args_schema=args_schema,
            name=name,
            description=description,
            **extras,
        )

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "__pydantic_private__": None}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__({**state, "__pydantic_private__": {"_tool_call_schema_memo": None}})
        self._prepare()

    def _runs(self) -> CallRuns:
        return runs_of_tool(self.function)

    @property
    def sutro_api_key(self) -> SecretStr | None:
        """The key, if it was passed or found in the environment; it is masked."""
        return self.function.sutro_api_key

    def _run(
        self,
        row: Any,
        config: RunnableConfig,
        run_manager: CallbackManagerForToolRun,
        *,
        for_model: bool,
    ) -> tuple[str, SutroArtifact]:
        child = child_config(config, run_manager.get_child())
        with correctable_errors(for_model=for_model, hint=_HINT):
            return self._outcome(self._caller.invoke(row, child))

    async def _arun(
        self,
        row: Any,
        config: RunnableConfig,
        run_manager: AsyncCallbackManagerForToolRun,
        *,
        for_model: bool,
    ) -> tuple[str, SutroArtifact]:
        child = child_config(config, run_manager.get_child())
        with correctable_errors(for_model=for_model, hint=_HINT):
            return self._outcome(await self._caller.ainvoke(row, child))

    def _to_args_and_kwargs(
        self, tool_input: str | dict[str, Any], tool_call_id: str | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # The row stays whole: as keyword arguments, fields would collide with parameters.
        return (self._row(tool_input, tool_call_id),), {"for_model": tool_call_id is not None}

    def _row(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:
        """The arguments, checked."""
        with correctable_errors(for_model=tool_call_id is not None, hint=_HINT):
            return self._schema.check(tool_input, from_json=tool_call_id is not None)

    def _outcome(self, result: Any) -> tuple[str, SutroArtifact]:
        """What the model receives, and what code receives."""
        answer = result.answer
        if self.function.output_model is not None:
            model = parse_output_model(result, self.function.output_model)
            answer = model.model_dump(mode="json", by_alias=True)
        return dump_json(short_answer(result, answer)), cast("SutroArtifact", dict(result))

    def _row_outcome(self, output: Any, tool_call_id: str | None) -> tuple[str, SutroArtifact]:
        with correctable_errors(for_model=tool_call_id is not None, hint=_HINT):
            if isinstance(output, Exception):
                raise output
            return self._outcome(output)

    def batch(
        self,
        inputs: list[str | dict[str, Any] | ToolCall],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Call the tool for each input, as one Batch job.

        Args:
            inputs: Rows or `ToolCall`s.
            config: One for all, or one for each.
            return_exceptions: Put an error in its place instead of raising the first.
            **kwargs: As for `invoke`.

        Returns:
            For each input what `invoke` returns.
        """
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        runs = ToolRuns(self, self._runs(), inputs, config, return_exceptions=return_exceptions)
        with runs.started():
            managers = [
                CallbackManager.configure(**scope).on_tool_start(**start)
                for scope, start in runs.starts()
            ]
            try:
                rows, configs = runs.checked(managers, self._row)
                outputs = self._caller.batch(rows, configs, return_exceptions=True, **kwargs)
                ends = runs.ends(outputs, self._row_outcome)
            except BaseException as error:
                for manager in managers:
                    manager.on_tool_error(error)
                raise
            for manager, (output, failure) in zip(managers, ends, strict=True):
                if failure is None:
                    manager.on_tool_end(output, name=self.name)
                else:
                    manager.on_tool_error(failure)
        return runs.results(ends)

    async def abatch(
        self,
        inputs: list[str | dict[str, Any] | ToolCall],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Asynchronous form of `batch`."""
        inputs = rows_of_batch(inputs)
        if not inputs:
            return []
        runs = ToolRuns(self, self._runs(), inputs, config, return_exceptions=return_exceptions)
        with runs.started():
            managers = [
                await AsyncCallbackManager.configure(**scope).on_tool_start(**start)
                for scope, start in runs.starts()
            ]
            try:
                rows, configs = runs.checked(managers, self._row)
                outputs = await self._caller.abatch(rows, configs, return_exceptions=True, **kwargs)
                ends = runs.ends(outputs, self._row_outcome)
            except BaseException as error:
                for manager in managers:
                    await manager.on_tool_error(error)
                raise
            for manager, (output, failure) in zip(managers, ends, strict=True):
                if failure is None:
                    await manager.on_tool_end(output, name=self.name)
                else:
                    await manager.on_tool_error(failure)
        return runs.results(ends)


def _function(function: Any, settings: dict[str, Any]) -> PublishedFunction:
    if isinstance(function, PublishedFunction):
        if settings:
            raise SutroConfigurationError(
                f"Pass {', '.join(settings)} to the SutroFunction, not to its tool."
            )
        return function
    if not isinstance(function, str):
        raise SutroConfigurationError("A SutroTool needs function=, a SutroFunction or its name.")
    settings.setdefault("api_key", os.environ.get("SUTRO_API_KEY") or None)
    # From the public name, as a user makes it: the class makes tools, so its file imports this one.
    return langchain_sutro.SutroFunction(function, **settings)


def _typed(function: str, arg_types: dict[str, type]) -> dict[str, Any]:
    # A typed dict, unlike a model, allows any name for a field.
    make: Any = TypedDict
    return TypeAdapter(make(function, arg_types)).json_schema()
