"""Manifests: a project's Functions and their fields, in a JSON or YAML file.

The service does not publish input schemas, so a project writes them down once. A manifest contains
no keys and no URL: those belong to the environment in which it is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from langchain_sutro._exports import exported_from
from langchain_sutro._rows import InputSchema
from langchain_sutro.errors import SutroConfigurationError

__all__ = [
    "Manifest",
    "ManifestFunction",
    "ManifestSettings",
    "dump_manifest",
    "load_manifest",
    "manifest_schema",
    "manifest_skeleton",
]

_Path = tuple[str | int, ...]
_Problem = tuple[_Path, str]

_JSON_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_SECRETS = ("api_key", "sutro_api_key", "key", "token", "secret", "password", "authorization")
_TODO = "TODO: what it decides, and when to call it."


@exported_from("langchain_sutro.manifest")
class ManifestSettings(BaseModel):
    """How Functions are called; each is a field of `SutroFunction`. Keys and URLs are not."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    timeout: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Seconds until a read times out."
    )
    max_retries: int = Field(default=3, ge=0, description="Maximum number of retries.")
    confidence_scoring: bool = Field(default=True, description="False skips the scoring.")
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, description="Refuse answers with a lower confidence."
    )
    job_priority: Literal[0, 1] = Field(default=0, description="0 prototyping, 1 production.")
    batch_mode: Literal["job", "realtime"] = Field(
        default="job", description="Whether a batch is one job or many runs at once."
    )
    forward_trace_context: bool = Field(
        default=True, description="Add the active trace's metadata and tags to the runs."
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Added to every run.")
    tags: list[str] | None = Field(default=None, description="Added to every run.")


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
    if isinstance(source, Mapping):
        return _checked(dict(source), "manifest", None)
    path = Path(fspath(source))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SutroConfigurationError(f"{path} cannot be read: {reason}.") from None
    parse = {".json": _parse_json, ".yaml": _parse_yaml, ".yml": _parse_yaml}.get(
        path.suffix.lower()
    )
    if parse is None:
        raise SutroConfigurationError(f"{path}: a manifest is a .json, .yaml or .yml file.")
    data, nodes = parse(text, path)
    return _checked(data, str(path), nodes)


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


def _parse_json(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        what = getattr(error, "msg", "it cannot be parsed")
        raise SutroConfigurationError(f"{path}:{line}: not valid JSON: {what}.") from None
    try:
        # JSON is YAML except for tabs, which JSON has only between values.
        return data, yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return data, None


def _parse_yaml(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    try:
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or "it cannot be parsed"
        raise SutroConfigurationError(f"{where}: not valid YAML: {what}.") from None
    except ValueError:
        # For example an invalid date without quotes.
        raise SutroConfigurationError(f"{path}: a value is invalid; it may need quotes.") from None


def _checked(data: Any, file: str, nodes: yaml.Node | None) -> Manifest:
    problems = [*_duplicates(nodes, (), set()), *_not_json(data, (), set())]
    manifest = None
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors(include_input=False)]
    # All at once, so that nobody corrects a file fault by fault.
    problems += list(_wrong_functions(data, {path for path, _ in problems}))
    if manifest is None or problems:
        said = [f"{_where(file, nodes, path)}: {what}" for path, what in problems]
        head = f"{file} has {len(said)} problems:\n  " if len(said) > 1 else ""
        raise SutroConfigurationError(head + "\n  ".join(said))
    return manifest


def _problem(item: Any) -> _Problem:
    path, kind = tuple(item["loc"]), item["type"]
    if kind == "missing":
        return path, "is missing"
    if kind == "extra_forbidden":
        if str(path[-1]).lower() in _SECRETS:
            return (
                path,
                "a manifest contains no keys: set SUTRO_API_KEY, or pass api_key= in code",
            )
        if path[-1] == "api_url":
            return (
                path,
                "a manifest contains no URL: set SUTRO_API_URL, or pass api_url= in code",
            )
        return path, "is not a field of a manifest"
    return path, item["msg"]


def _wrong_functions(data: Any, known: set[_Path]) -> Iterator[_Problem]:
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
        path: _Path = ("functions", index)
        name, schema = function.get("name"), function.get("args_schema")
        if isinstance(name, str) and name in names:
            yield (*path, "name"), f"{name!r} is defined twice"
        names.add(str(name))
        inside = (*path, "args_schema")
        if not isinstance(schema, Mapping):
            continue
        wrong = [each for each in _wrong_schema(schema, inside) if each[0] not in known]
        yield from wrong
        if not wrong and all(place[: len(inside)] != inside for place in known):
            try:
                InputSchema(schema, str(name))
            except SutroConfigurationError as error:
                yield inside, str(error)


def _wrong_schema(schema: Mapping[str, Any], path: _Path) -> Iterator[_Problem]:
    """Common mistakes in a JSON schema."""
    properties = schema.get("properties")
    if schema.get("type", "object") != "object":
        yield (*path, "type"), 'must be "object"'
    if not isinstance(properties, Mapping):
        yield (*path, "properties"), "must be an object with the input fields"
        return
    for name, part in properties.items():
        yield from _wrong_field(part, (*path, "properties", name))
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield (*path, "required"), "must be a list of field names"
        return
    for index, name in enumerate(required):
        if name not in properties:
            yield (*path, "required", index), f"{name!r} is not among the properties"


def _wrong_field(part: Any, path: _Path) -> Iterator[_Problem]:
    if not isinstance(part, Mapping):
        yield path, 'must be a JSON schema, such as {"type": "string"}'
        return
    kinds = part.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _JSON_TYPES:
            yield (*path, "type"), f"must be one of {', '.join(_JSON_TYPES)}"
    if "enum" in part and not (isinstance(part["enum"], list) and part["enum"]):
        yield (*path, "enum"), "must be a list of values"


def _not_json(value: Any, path: _Path, seen: set[int]) -> Iterator[_Problem]:
    """Values that YAML has and JSON does not: keys that are not strings, dates, NaN."""
    if isinstance(value, Mapping | list):
        if id(value) in seen:
            return
        seen.add(id(value))
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(value, Mapping) and not isinstance(key, str):
                yield path, f"the key {key!r} is not a string: put it in quotes"
            else:
                yield from _not_json(part, (*path, key), seen)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "has no JSON form"
    elif value is not None and not isinstance(value, str | int | float):
        yield path, f"a {type(value).__name__} has no JSON form: put it in quotes"


def _duplicates(node: yaml.Node | None, path: _Path, seen: set[int]) -> Iterator[_Problem]:
    """Keys that are defined twice in one mapping, so that the first value would be lost."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, part in node.value:
            if key.value in keys:
                yield (*path, key.value), "is defined twice"
            keys.add(key.value)
            yield from _duplicates(part, (*path, key.value), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, part in enumerate(node.value):
            yield from _duplicates(part, (*path, index), seen)


def _where(file: str, nodes: yaml.Node | None, path: _Path) -> str:
    """File, line and field."""
    line = None if nodes is None else _line(nodes, path)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    place = file if line is None else f"{file}:{line}"
    return f"{place}: {field.lstrip('.')}" if field else place


def _line(node: yaml.Node, path: _Path) -> int:
    """The line of a field, or of the mapping that lacks it; from 1."""
    line = node.start_mark.line
    for part in path:
        following = None
        if isinstance(node, yaml.MappingNode):
            # If a key is repeated, the last one counts.
            for key, value in node.value:
                if key.value == part:
                    line, following = key.start_mark.line, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            following = node.value[part]
            line = following.start_mark.line
        if following is None:
            break
        node = following
    return int(line) + 1
