"""The input schemas of Functions in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.rows import InputSchema
from langchain_sutro._core.rows import schema_problems as faults_of_schema
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from langchain_sutro._core.config_files.files import Place, Problem

__all__ = ["schema_problems"]


def schema_problems(
    schema: Any, function: str, path: Place, known: set[Place]
) -> Iterator[Problem]:
    """What is wrong with an `args_schema`.

    Args:
        schema: Its content.
        function: The Function's name.
        path: Where it is.
        known: The fields that are known to be wrong already.
    """
    if not isinstance(schema, Mapping):
        return
    found = (((*path, *place), what) for place, what in faults_of_schema(schema))
    wrong = [each for each in found if each[0] not in known]
    yield from wrong
    if not wrong and all(place[: len(path)] != path for place in known):
        try:
            InputSchema(schema, function)
        except SutroConfigurationError as error:
            yield path, str(error)
