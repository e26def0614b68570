"""Manifests: a project's Functions and their fields, in a JSON or YAML file.

The service does not publish input schemas, so a project writes them down once. A manifest contains
no keys and no URL: those belong to the environment in which it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from langchain_sutro._core.config_files import (
    ManifestSettings,
    Place,
    Problem,
    load_config,
    schema_problems,
)
from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.rows import InputSchema

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "Manifest",
    "ManifestFunction",
    "ManifestSettings",
    "dump_manifest",
    "load_manifest",
    "manifest_schema",
    "manifest_skeleton",
]

_TODO = "TODO: what it decides, and when to call it."


@exported_from("langchain_sutro.manifest")
class ManifestFunction(BaseModel):
    """One published Function."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    name: str = Field(min_length=1, description="The published name.")
    description: str = Field(
        min_length=1, description="What it decides; an agent's model reads it."
    )
    args_schema: dict[str, Any] = Field(
        description="JSON schema of an object: its input fields under `properties`."
    )
    tool_name: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$",
        description="The tool's name; by default made from the Function's.",
    )
    output: Literal["full", "answer"] = Field(
        default="full", description="What the Runnable returns: the payload, or only its answer."
    )
    settings: ManifestSettings = Field(
        default_factory=ManifestSettings,
        description="Override those of the whole manifest.",
    )


@exported_from("langchain_sutro.manifest")
class Manifest(BaseModel):
    """Functions of a project."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        strict=True,
        title="Manifest of Sutro Functions",
    )

    schema_url: str | None = Field(
        default=None, alias="$schema", description="Where an editor finds this schema."
    )
    version: Literal[1] = Field(description="The version of this format.")
    settings: ManifestSettings = Field(
        default_factory=ManifestSettings, description="Settings for all Functions."
    )
    functions: list[ManifestFunction] = Field(
        min_length=1, description="The Functions; each may occur once."
    )

    def settings_of(self, function: ManifestFunction) -> dict[str, Any]:
        """The settings given for a Function; its own override those of the manifest."""
        return {
            **self.settings.model_dump(exclude_unset=True),
            **function.settings.model_dump(exclude_unset=True),
        }


@exported_from("langchain_sutro.manifest")
def manifest_schema() -> dict[str, Any]:
    """The JSON schema of a manifest, for editors and other tools."""
    schema = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@exported_from("langchain_sutro.manifest")
def load_manifest(source: str | PathLike[str] | Mapping[str, Any]) -> Manifest:
    """Read and check a manifest. Reads the file in this thread.

    Args:
        source: A `.json`, `.yaml` or `.yml` file, or the content of one.

    Raises:
        SutroConfigurationError: The file cannot be read, or is not a valid manifest; the message
            gives file, line and field of each problem, and contains no values.
    """
    return load_config(source, Manifest, "manifest", _wrong_functions)


@exported_from("langchain_sutro.manifest")
def manifest_skeleton(
    function: str, args_schema: type[BaseModel] | Mapping[str, Any]
) -> dict[str, Any]:
    """A manifest of one Function, to be completed by hand.

    Args:
        function: The published name.
        args_schema: The Function's fields, as a pydantic model or JSON schema.

    Raises:
        SutroConfigurationError: The schema is not that of an object.
    """
    fields = dict(InputSchema(args_schema, function).json_schema)
    description = fields.pop("description", None) or _TODO
    entry = {"name": function, "description": description, "args_schema": fields}
    return {"version": 1, "functions": [entry]}


@exported_from("langchain_sutro.manifest")
def dump_manifest(manifest: Mapping[str, Any], form: Literal["json", "yaml"] = "yaml") -> str:
    """A manifest as the text of a file.

    Args:
        manifest: The content of the file.
        form: The format of the file.
    """
    if form == "json":
        return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True, width=100))


def _wrong_functions(data: Any, known: set[Place]) -> Iterator[Problem]:
    """What the format cannot express, in the Functions that can be read.

    Args:
        data: The content of the file.
        known: The fields that are known to be wrong already.
    """
    functions = data.get("functions") if isinstance(data, Mapping) else None
    names: set[str] = set()
    for index, function in enumerate(functions if isinstance(functions, list) else []):
        if not isinstance(function, Mapping):
            continue
        path: Place = ("functions", index)
        name, schema = function.get("name"), function.get("args_schema")
        if isinstance(name, str) and name in names:
            yield (*path, "name"), f"{name!r} is defined twice"
        names.add(str(name))
        yield from schema_problems(schema, str(name), (*path, "args_schema"), known)
