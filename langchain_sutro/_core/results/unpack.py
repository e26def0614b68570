"""A column of JSON strings as columns of values.

Arrow's JSON reader is nine times as fast as parsing each string, but it guesses: strings that look
like dates become dates, large integers lose digits, two objects in one string become two rows. And
nested lists and objects can make it lose values or crash (apache/arrow issue 51305 is one case). So
it gets flat objects only, with a schema or a check wherever it could guess, and whatever it cannot
read correctly is parsed row by row.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

from langchain_sutro._core.results.payload import unwrap
from langchain_sutro._core.service import dump_json, parse_json, start

__all__ = ["column_types", "unpack", "unpack_piece"]

_SAMPLE = 200
_SLICE_ROWS = 16_384
_SLICE_BYTES = 1 << 24
_MOST_WORKERS = 4
_LARGEST_BLOCK = (1 << 31) - 1
# From here on a float cannot represent every integer.
_INEXACT = 2.0**53
_NESTED = re.compile(rb'"\s*:\s*[\[{]')

Chunks = Callable[[], Iterator[Any]]
"""Returns Arrow arrays of large strings, from the start at each call."""

_Fields = dict[str, Any]
"""An Arrow array for each field of some rows; None where the values do not fit into one."""


def unpack(strings: Chunks, *, open_envelopes: bool) -> tuple[Any, Any]:
    """Turn the fields of JSON objects into columns.

    Args:
        strings: The JSON strings, null where a row has none.
        open_envelopes: Whether a reasoning model's envelope becomes the fields of its content, and
            `reasoning_content`.

    Returns:
        A table with a column for each field that any row has, in order of first appearance, null
        where a row lacks the field. Integers among floats become floats if that is exact; a field
        with values of several types becomes strings, where values of other types are JSON. And a
        chunked array of the strings that are not objects, null elsewhere, or None if there are
        none.
    """
    import pyarrow as pa  # noqa: PLC0415

    found = _read_flat(strings, open_envelopes=open_envelopes)
    table, rest = found or _read_one_by_one(strings, open_envelopes=open_envelopes)
    others = pa.chunked_array(rest, pa.large_string())
    return table, others if others.null_count < len(others) else None


def column_types(strings: Chunks, *, open_envelopes: bool) -> tuple[dict[str, Any], bool]:
    """The types of the columns that `unpack` makes, without keeping them.

    Args:
        strings: As for `unpack`.
        open_envelopes: As for `unpack`.

    Returns:
        The Arrow type of each field, and whether some strings are not objects.
    """
    import pyarrow as pa  # noqa: PLC0415

    types: dict[str, Any] = {}
    while True:
        seen: dict[str, dict[Any, None]] = {}
        others = False
        for part in _slices(strings):
            found = [_fields(text, open_envelopes) for text in part.to_pylist()]
            others = others or any(text is not None for _, text in found)
            arrays = _arrays([fields or {} for fields, _ in found], types)
            for name, array in arrays.items():
                seen.setdefault(name, {})[None if array is None else array.type] = None
        kinds = {
            name: [kind for kind in found if kind != pa.null()] or [pa.null()]
            for name, found in seen.items()
        }
        if not _settled(kinds, types):
            continue
        return {name: found[0] for name, found in kinds.items()}, others


def unpack_piece(
    strings: Any, types: dict[str, Any], *, open_envelopes: bool
) -> tuple[dict[str, Any], Any]:
    """A part of what `unpack` makes.

    Args:
        strings: An Arrow array of large strings.
        types: From `column_types`.
        open_envelopes: As for `unpack`.

    Returns:
        An array for each field, and an array of the strings that are not objects, null elsewhere.
    """
    import pyarrow as pa  # noqa: PLC0415

    found = [_fields(text, open_envelopes) for text in strings.to_pylist()]
    arrays = _arrays([fields or {} for fields, _ in found], types)
    table = _assemble([arrays], [len(strings)], types)
    columns = {name: table[name].combine_chunks() for name in types}
    return columns, pa.array([text for _, text in found], pa.large_string())


def _slices(strings: Chunks) -> Iterator[Any]:
    for chunk in strings():
        rows = _SLICE_BYTES * len(chunk) // max(chunk.nbytes, 1)
        step = max(1, min(_SLICE_ROWS, rows))
        for first in range(0, len(chunk), step):
            yield chunk.slice(first, step)


def _read_flat(strings: Chunks, *, open_envelopes: bool) -> tuple[Any, list[Any]] | None:
    """Have Arrow read all strings; None if it cannot, or not correctly."""
    schema, names = _guess(strings, open_envelopes=open_envelopes)
    parts: list[_Fields] = []
    rest: list[Any] = []
    reading: deque[Future[_Fields | None]] = deque()
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, "langchain-sutro-results") as pool:
        for part in _slices(strings):
            lines, others = _lines(part, open_envelopes=open_envelopes)
            if lines is None:
                return None
            rest.append(others)
            reading.append(start(pool, _read_lines, lines, schema, len(part)))
            # A few at a time, to keep memory flat. Two threads take two thirds of the time of one.
            while len(reading) > workers:
                fields = reading.popleft().result()
                if fields is None:
                    return None
                parts.append(fields)
        for future in reading:
            fields = future.result()
            if fields is None:
                return None
            parts.append(fields)
    names |= dict.fromkeys(name for part in parts for name in part)
    if open_envelopes and names.keys() >= {"content", "reasoning_content"}:
        return None
    seen = {name: _types(parts, name) for name in names}
    types = {name: kinds[0] if len(kinds) == 1 else _merged(kinds) for name, kinds in seen.items()}
    if None in types.values():
        return None
    table = _assemble(parts, [len(part) for part in rest], types)
    return None if table is None else (table, rest)


def _guess(strings: Chunks, *, open_envelopes: bool) -> tuple[Any, dict[str, None]]:
    """A schema of the string fields, so that Arrow reads no dates, and all fields in order."""
    import pyarrow as pa  # noqa: PLC0415

    firsts = islice((text for part in _slices(strings) for text in part.to_pylist()), _SAMPLE)
    sample = [row for row, _ in (_fields(text, open_envelopes) for text in firsts) if row]
    names = dict.fromkeys(name for row in sample for name in row)
    return pa.schema([(name, pa.string()) for name in names if _all_strings(sample, name)]), names


def _lines(strings: Any, *, open_envelopes: bool) -> tuple[Any, Any]:
    """Newline-delimited JSON, and the strings that are not objects, for which it has empty objects.

    The first is None if objects may contain lists or objects.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    rest = pa.nulls(len(strings), pa.large_string())
    # An object that both starts and ends as one cannot run on into the next line.
    sure = pc.and_(pc.starts_with(strings, "{"), pc.ends_with(strings, "}"))
    unsure = pc.invert(pc.fill_null(sure, fill_value=False))
    if pc.any(unsure).as_py():
        found = [_fields(text, open_envelopes) for text in pc.filter(strings, unsure).to_pylist()]
        lines = pa.array([dump_json(fields or {}) for fields, _ in found], pa.large_string())
        others = pa.array([text for _, text in found], pa.large_string())
        strings = pc.replace_with_mask(strings, unsure, lines)
        rest = pc.replace_with_mask(rest, unsure, others)
    raw = _bytes(strings).to_pybytes()
    if (b"[" in raw or raw.count(b"{") > len(strings)) and _NESTED.search(raw):
        return None, rest
    # Between tokens a newline is white space; within strings JSON has none.
    if b"\n" in raw or b"\r" in raw:
        strings = pc.replace_substring_regex(strings, "[\r\n]", " ")
    nothing, newline = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
    return _bytes(pc.binary_join_element_wise(strings, nothing, newline)), rest


def _bytes(strings: Any) -> Any:
    """The strings of an array, without separators, as an Arrow buffer."""
    import pyarrow as pa  # noqa: PLC0415

    _, offsets, data = strings.buffers()
    if data is None:
        return pa.py_buffer(b"")
    bounds = memoryview(offsets).cast("q")
    first, last = bounds[strings.offset], bounds[strings.offset + len(strings)]
    return data.slice(first, last - first)


def _read_lines(lines: Any, schema: Any, count: int) -> _Fields | None:
    """Have Arrow read one slice; None if it cannot, or not correctly."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import json as arrow_json  # noqa: PLC0415

    # One block and one thread: joining blocks whose types differ has crashed it.
    options = arrow_json.ReadOptions(False, min(len(lines) + 1, _LARGEST_BLOCK))  # noqa: FBT003
    while True:
        parse = arrow_json.ParseOptions(explicit_schema=schema)
        try:
            table = arrow_json.read_json(pa.BufferReader(lines), options, parse)
        except pa.ArrowInvalid:
            return None
        dated = [column.name for column in table.schema if pa.types.is_timestamp(column.type)]
        if not dated:
            break
        schema = pa.schema([*schema, *((name, pa.string()) for name in dated)])
    if table.num_rows != count or any(map(_is_inexact, table.columns)):
        return None
    return {name: table[name].combine_chunks() for name in table.column_names}


def _all_strings(sample: list[dict[str, Any]], name: str) -> bool:
    values = [row[name] for row in sample if row.get(name) is not None]
    return bool(values) and all(isinstance(value, str) for value in values)


def _is_inexact(values: Any) -> bool:
    """Whether floats may have lost digits, or were not JSON numbers."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not pa.types.is_floating(values.type):
        return False
    fine = pc.less(pc.abs(values), _INEXACT)
    return pc.any(pc.invert(fine)).as_py() or False


def _read_one_by_one(strings: Chunks, *, open_envelopes: bool) -> tuple[Any, list[Any]]:
    """Parse each string; all of them again if a field turns out to have several types."""
    import pyarrow as pa  # noqa: PLC0415

    types: dict[str, Any] = {}
    while True:
        parts: list[_Fields] = []
        rest: list[Any] = []
        for part in _slices(strings):
            found = [_fields(text, open_envelopes) for text in part.to_pylist()]
            rest.append(pa.array([text for _, text in found], pa.large_string()))
            parts.append(_arrays([fields or {} for fields, _ in found], types))
        names = dict.fromkeys(name for part in parts for name in part)
        seen = {name: _types(parts, name) for name in names}
        if _settled(seen, types):
            kinds = {name: found[0] for name, found in seen.items()}
            return _assemble(parts, [len(part) for part in rest], kinds), rest


def _settled(seen: dict[str, list[Any]], types: dict[str, Any]) -> bool:
    """Whether each field has one type; otherwise types that hold all values are added."""
    import pyarrow as pa  # noqa: PLC0415

    several = {name: kinds for name, kinds in seen.items() if len(kinds) > 1 or None in kinds}
    for name, found in several.items():
        # First a type that holds all values, if there is one; then string, which holds any.
        merged = None if name in types else _merged(found)
        types[name] = pa.large_string() if merged is None else merged
    return not several


def _arrays(rows: list[dict[str, Any]], types: dict[str, Any]) -> dict[str, Any]:
    """An array for each field; None where the values do not fit into one."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _array([row.get(name) for row in rows], types.get(name)) for name in names}


def _array(values: list[Any], kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if kind == pa.large_string():
        values = [one if one is None or isinstance(one, str) else dump_json(one) for one in values]
    if not _are_alike(values):
        return None
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None


def _are_alike(values: Iterable[Any]) -> bool:
    """Whether values have one type at every depth; Arrow would turn booleans into numbers."""
    present = [one for one in values if one is not None]
    kinds = set(map(type, present))
    if kinds == {list}:
        return _are_alike(chain.from_iterable(present))
    if kinds == {dict}:
        names = dict.fromkeys(chain.from_iterable(present))
        return all(_are_alike(one.get(name) for one in present) for name in names)
    return len(kinds) <= 1 or kinds == {int, float}


def _types(parts: list[_Fields], name: str) -> list[Any]:
    """The types of a field: None for values that fit no type, and null only if it is alone."""
    import pyarrow as pa  # noqa: PLC0415

    arrays = (part[name] for part in parts if name in part)
    kinds = dict.fromkeys(None if array is None else array.type for array in arrays)
    return [kind for kind in kinds if kind != pa.null()] or [pa.null()]


def _merged(kinds: list[Any]) -> Any:
    """A type that holds the values of all types, or None."""
    import pyarrow as pa  # noqa: PLC0415

    if None in kinds:
        return None
    schemas = [pa.schema([("", kind)]) for kind in kinds]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None


def _assemble(parts: list[_Fields], sizes: list[int], types: dict[str, Any]) -> Any:
    """A table of the parts; None if a field cannot be converted exactly."""
    import pyarrow as pa  # noqa: PLC0415

    columns = {}
    for name, kind in types.items():
        found = [part.get(name) for part in parts]
        try:
            chunks = [_as_type(array, kind, size) for array, size in zip(found, sizes, strict=True)]
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return None
        columns[name] = pa.chunked_array(chunks, kind)
    return pa.table(columns)


def _as_type(array: Any, kind: Any, size: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if array is None or array.type == pa.null():
        return pa.nulls(size, kind)
    return array if array.type == kind else array.cast(kind)


def _fields(text: str | None, open_envelopes: bool) -> tuple[dict[str, Any] | None, str | None]:
    """The fields of an object, or the string if it is not one."""
    if text is None or not text.lstrip().startswith("{"):
        return None, text
    try:
        value = parse_json(text)
        content, _ = unwrap(value) if open_envelopes else (value, None)
    except ValueError:
        return None, text
    if content is value:
        return value, None
    reasoning = {"reasoning_content": value["reasoning_content"]}
    if isinstance(content, dict):
        return {**reasoning, **content}, None
    return reasoning, content if content is None or isinstance(content, str) else dump_json(content)
