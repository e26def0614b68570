"""Files of configuration: JSON or YAML, checked against a model, with the line of each problem."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from langchain_sutro._core.config_files.yaml_values import compose_yaml, load_yaml
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Place", "Problem", "load_config"]

Place: TypeAlias = tuple[str | int, ...]
"""A field of a file: keys, and indices of lists."""

Problem: TypeAlias = tuple[Place, str]
"""What is wrong with a field."""

_M = TypeVar("_M", bound=BaseModel)

_SECRETS = ("api_key", "sutro_api_key", "key", "token", "secret", "password", "authorization")


def load_config(
    source: str | PathLike[str] | Mapping[str, Any],
    model: type[_M],
    name: str,
    wrong: Callable[[Any, set[Place]], Iterable[Problem]],
) -> _M:
    """Read and check a file. Reads it in this thread.

    Args:
        source: A `.json`, `.yaml` or `.yml` file, or the content of one.
        model: What the content must be.
        name: What such a file is called, such as "manifest".
        wrong: What the model cannot express; given the content, and the fields that are known to be
            wrong already.

    Raises:
        SutroConfigurationError: The file cannot be read, or is not valid; the message gives file,
            line and field of each problem, and contains no values.
    """
    if isinstance(source, Mapping):
        return _checked(dict(source), name, None, model, name, wrong)
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
        raise SutroConfigurationError(f"{path}: a {name} is a .json, .yaml or .yml file.")
    data, nodes = parse(text, path)
    return _checked(data, str(path), nodes, model, name, wrong)


def _parse_json(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        what = getattr(error, "msg", "it cannot be parsed")
        raise SutroConfigurationError(f"{path}:{line}: not valid JSON: {what}.") from None
    try:
        # JSON is YAML except for tabs, which JSON has only between values.
        return data, compose_yaml(text.replace("\t", " "))
    except yaml.YAMLError:
        return data, None


def _parse_yaml(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    try:
        return load_yaml(text), compose_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or "it cannot be parsed"
        raise SutroConfigurationError(f"{where}: not valid YAML: {what}.") from None
    except ValueError:
        # For example an invalid date without quotes.
        raise SutroConfigurationError(f"{path}: a value is invalid; it may need quotes.") from None


def _checked(
    data: Any,
    file: str,
    nodes: yaml.Node | None,
    model: type[_M],
    name: str,
    wrong: Callable[[Any, set[Place]], Iterable[Problem]],
) -> _M:
    problems = [*_duplicates(nodes, (), set()), *_not_json(data, (), set())]
    content = None
    try:
        content = model.model_validate(data)
    except ValidationError as error:
        problems += [_problem(item, name) for item in error.errors(include_input=False)]
    # All at once, so that nobody corrects a file fault by fault.
    problems += list(wrong(data, {path for path, _ in problems}))
    if content is None or problems:
        said = [f"{_where(file, nodes, path)}: {what}" for path, what in problems]
        head = f"{file} has {len(said)} problems:\n  " if len(said) > 1 else ""
        raise SutroConfigurationError(head + "\n  ".join(said))
    return content


def _problem(item: Any, name: str) -> Problem:
    path, kind = tuple(item["loc"]), item["type"]
    if kind == "missing":
        return path, "is missing"
    if kind == "extra_forbidden":
        if str(path[-1]).lower() in _SECRETS:
            return (
                path,
                f"a {name} contains no keys: set SUTRO_API_KEY, or pass api_key= in code",
            )
        if path[-1] == "api_url":
            return (
                path,
                f"a {name} contains no URL: set SUTRO_API_URL, or pass api_url= in code",
            )
        return path, f"is not a field of a {name}"
    if kind == "model_type":
        # Pydantic adds the name of a class that is private.
        return path, "Input should be a valid dictionary"
    return path, item["msg"]


def _not_json(value: Any, path: Place, seen: set[int]) -> Iterator[Problem]:
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


def _duplicates(node: yaml.Node | None, path: Place, seen: set[int]) -> Iterator[Problem]:
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


def _where(file: str, nodes: yaml.Node | None, path: Place) -> str:
    """File, line and field."""
    line = None if nodes is None else _line(nodes, path)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    place = file if line is None else f"{file}:{line}"
    return f"{place}: {field.lstrip('.')}" if field else place


def _line(node: yaml.Node, path: Place) -> int:
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
