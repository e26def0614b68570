"""`SutroToolkit`: several Functions as tools with unique names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from langchain_core.tools import BaseToolkit
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.jobs import SutroClient, aexecute, execute
from langchain_sutro._core.service import published_functions
from langchain_sutro.agents.manifest import load_manifest
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.functions import (
    SutroFunction,
    client_settings,
    marked_name,
    tool_name,
    without_secrets_of_typos,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from langchain_core.tools import BaseTool

    from langchain_sutro.functions import SutroTool

__all__ = ["PublishingDeployment", "SutroToolkit"]


class PublishingDeployment(Protocol):
    """A deployment in this process that lists its Functions, as `LocalDeployment` does."""

    @property
    def url(self) -> str:
        """The URL of its API."""

    @property
    def api_key(self) -> str:
        """The API key that it accepts."""

    @property
    def functions(self) -> Sequence[Mapping[str, Any]]:
        """`name`, `description` and `input_schema` of each Function."""


@exported_from("langchain_sutro")
class SutroToolkit(BaseToolkit):
    """Several Functions as tools for agents.

    ```python
    toolkit = SutroToolkit(functions=[qualify, extract])
    agent = create_agent(model, tools=toolkit.get_tools())
    ```

    It can also be made from names with schemas, from a manifest, or from the Functions that a local
    deployment publishes. Functions with equal settings share their connections.

    Attributes:
        functions: Each with description and `args_schema`.
        names: Tool names by Function name. By default a tool's name is made from the Function's
            name; if two would be equal, the second gets a hash suffix.

    Raises:
        SutroConfigurationError: A Function occurs twice, two tools have the same name, or a
            Function has no fields or description.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    functions: list[SutroFunction]
    names: dict[str, str] = Field(default_factory=dict)

    _tools: list[SutroTool] = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _hide_typos(cls, values: Any) -> Any:
        return without_secrets_of_typos(cls, values)

    @model_validator(mode="after")
    def _make_tools(self) -> Self:
        names = _tool_names([one.function for one in self.functions], self.names)
        self._tools = [
            function.as_tool(name=name)
            for function, name in zip(self.functions, names, strict=True)
        ]
        return self

    @classmethod
    def from_schemas(
        cls,
        schemas: Mapping[str, type[BaseModel] | dict[str, Any]],
        *,
        descriptions: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Self:
        """Make the tools of Functions by name.

        Args:
            schemas: The fields of each Function, as a pydantic model or JSON schema.
            descriptions: What each Function is for; by default the description of its schema.
            **settings: Fields of `SutroFunction` for all of them, such as `api_key`.
        """
        said = descriptions or {}
        return cls(
            functions=[
                SutroFunction(
                    name, args_schema=schema, **{"description": said.get(name), **settings}
                )
                for name, schema in schemas.items()
            ]
        )

    @classmethod
    def from_manifest(
        cls, source: str | os.PathLike[str] | Mapping[str, Any], **settings: Any
    ) -> Self:
        """Make the tools of the Functions in a manifest. Reads the file in this thread.

        Args:
            source: A `.json`, `.yaml` or `.yml` file, or the content of one; for the format see
                `langchain_sutro.manifest.manifest_schema`.
            **settings: Settings for all Functions, which override those of the manifest.

        Raises:
            SutroConfigurationError: The manifest is invalid; the message gives file, line and
                field of each problem.
        """
        manifest = load_manifest(source)
        return cls(
            functions=[
                SutroFunction(
                    one.name,
                    **{
                        "description": one.description,
                        "args_schema": one.args_schema,
                        "output": one.output,
                        **manifest.settings_of(one),
                        **settings,
                    },
                )
                for one in manifest.functions
            ],
            names={one.name: one.tool_name for one in manifest.functions if one.tool_name},
        )

    @classmethod
    def from_deployment(
        cls, deployment: PublishingDeployment | None = None, **settings: Any
    ) -> Self:
        """Make the tools of all Functions that a local deployment publishes at this moment.

        Args:
            deployment: A deployment in this process; None uses the one at the URL of the settings
                or the environment.
            **settings: Settings for all Functions.

        Raises:
            SutroConfigurationError: Only local deployments list their Functions, which this is not.
        """
        if deployment is not None:
            at = {"api_url": deployment.url, "api_key": deployment.api_key}
            return cls._published(deployment.functions, {**at, **settings})
        return cls._published(execute(_client(settings), published_functions), settings)

    @classmethod
    async def afrom_deployment(
        cls, deployment: PublishingDeployment | None = None, **settings: Any
    ) -> Self:
        """Asynchronous form of `from_deployment`."""
        if deployment is not None:
            return cls.from_deployment(deployment, **settings)
        return cls._published(await aexecute(_client(settings), published_functions), settings)

    @classmethod
    def _published(cls, listed: Sequence[Mapping[str, Any]], settings: dict[str, Any]) -> Self:
        return cls(
            functions=[
                SutroFunction(
                    one["name"],
                    **{
                        # During development, a Function need not have a docstring.
                        "description": one.get("description") or f"Runs {one['name']}.",
                        "args_schema": dict(one["input_schema"]),
                        **settings,
                    },
                )
                for one in listed
            ]
        )

    def get_tools(self) -> list[BaseTool]:
        """The tools, in the order of the Functions."""
        return list(self._tools)


def _client(settings: Mapping[str, Any]) -> SutroClient:
    return SutroClient(**client_settings(settings))


def _tool_names(functions: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """A name for each tool; names that the user gave have priority."""
    unknown = given.keys() - set(functions)
    if unknown:
        raise SutroConfigurationError(
            f"names has {', '.join(map(repr, sorted(unknown)))}, which is not a Function here."
        )
    taken = set(given.values())
    if len(taken) < len(given):
        raise SutroConfigurationError("Two tools were given the same name.")
    if len(set(functions)) < len(functions):
        twice = next(name for name in functions if list(functions).count(name) > 1)
        raise SutroConfigurationError(f"{twice!r} is in the toolkit twice.")
    names = []
    for function in functions:
        name = given.get(function) or tool_name(function)
        if function not in given and name in taken:
            name = marked_name(name, function, 64)
        taken.add(name)
        names.append(name)
    return names
