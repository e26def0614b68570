"""A column of JSON texts as columns of values.

Arrow's JSON reader is many times as fast as parsing each text, but it guesses: texts that look like
dates become dates, large integers lose digits, two objects in one text become two rows. So it is
told or checked wherever it could guess, and where it cannot do a table right, the table is parsed
row by row.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import orjson

from langchain_sutro.results import loads, unwrap

__all__ = ["unpack"]

_SAMPLE = 200
_SLICE = 65_536
# A text longer than the block ends Arrow's reader.
_BLOCKS = (1 << 20, 1 << 26, (1 << 31) - 1)
# Arrow's reader loses a list's leading nulls, and may then crash (apache/arrow issue 51305).
_LEADING_NULL = re.compile(rb"\[\s*null")
# From here on a float no longer holds every integer.
_INEXACT = 2.0**53


Texts = Callable[[], Iterator[Any]]
"""Gives Arrow arrays of large strings, from the start each time."""


def unpack(texts: Texts, count: int, *, open_envelopes: bool) -> tuple[Any, Any]:
    """Make columns of the fields of JSON objects.

    Args:
        texts: The texts, null where there is none.
        count: How many.
        open_envelopes: Whether a reasoning model's envelope becomes the fields of its content, and
            `reasoning_content`.

    Returns:
        A table with a column for each field that any row has, null where a row has not, in order
        of first sight. Integers beside other numbers become floats where these hold them exactly;
        a field with values of several kinds becomes text, JSON for what was none. And a chunked
        array of the texts that are no objects, null elsewhere, or None if there are none.
    """
    lines = _Lines(texts, check_all=False, open_envelopes=open_envelopes)
    found = _read(lines, count)
    sealed = (
        open_envelopes and found and {"content", "reasoning_content"} <= {*found[0].schema.names}
    )
    if found is None or sealed:
        lines = _Lines(texts, check_all=True, open_envelopes=open_envelopes)
        found = _read(lines, count)
    return found or _read_one_by_one(texts, open_envelopes=open_envelopes)


class _UnfitError(Exception):
    """Arrow must not be given these texts."""


class _Lines(io.RawIOBase):
    """The texts as newline-delimited JSON, with an empty object for each that is none.

    Attributes:
        rest: Chunks of the texts that are no objects, as far as they have been read.
    """

    def __init__(self, texts: Texts, *, check_all: bool, open_envelopes: bool) -> None:
        super().__init__()
        self.texts = texts
        self.rest: list[Any] = []
        self._check_all = check_all
        self._open_envelopes = open_envelopes
        self._buffers = self._all_buffers()
        self._left = memoryview(b"")

    def again(self) -> _Lines:
        """The same from the start."""
        return _Lines(self.texts, check_all=self._check_all, open_envelopes=self._open_envelopes)

    def sample(self) -> list[dict[str, Any]]:
        """Some of the objects at the start."""
        values = (
            _fields(text, self._open_envelopes)[0] for text in islice(_each(self.texts), _SAMPLE)
        )
        return [value for value in values if value]

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._left:
            self._left = next(self._buffers, memoryview(b""))
            if not self._left:
                return 0
        size = min(len(self._left), len(target))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def _all_buffers(self) -> Iterator[memoryview]:
        for chunk in self.texts():
            for start in range(0, len(chunk), _SLICE):
                yield self._buffer(chunk.slice(start, _SLICE))

    def _buffer(self, texts: Any) -> memoryview:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        lines, rest = self._split(texts)
        self.rest.append(rest)
        # Between tokens a newline is a blank; within texts JSON has none.
        raw = _bytes(lines).tobytes()
        if _LEADING_NULL.search(raw):
            raise _UnfitError
        if b"\n" in raw or b"\r" in raw:
            lines = pc.replace_substring_regex(lines, "[\r\n]", " ")
        nothing, newline = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
        return _bytes(pc.binary_join_element_wise(lines, nothing, newline))

    def _split(self, texts: Any) -> tuple[Any, Any]:
        """The lines, and the texts that are no objects."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        nothing = pa.nulls(len(texts), pa.large_string())
        if self._check_all:
            unsure = pa.array([True] * len(texts))
        else:
            # An object that both starts and ends as one cannot run on into the next line.
            sure = pc.and_(pc.starts_with(texts, "{"), pc.ends_with(texts, "}"))
            unsure = pc.invert(pc.fill_null(sure, fill_value=False))
            if not pc.any(unsure).as_py():
                return texts, nothing
        checked = [
            _fields(text, self._open_envelopes) for text in pc.filter(texts, unsure).to_pylist()
        ]
        lines = pa.array([_dump(fields or {}) for fields, _ in checked], pa.large_string())
        rest = pa.array([text for _, text in checked], pa.large_string())
        return pc.replace_with_mask(texts, unsure, lines), pc.replace_with_mask(
            nothing, unsure, rest
        )


def _bytes(texts: Any) -> memoryview:
    """The texts of an array, one directly after the other."""
    _, offsets, data = texts.buffers()
    first, last = (
        memoryview(offsets).cast("q")[at] for at in (texts.offset, texts.offset + len(texts))
    )
    return memoryview(data)[first:last] if data is not None else memoryview(b"")


def _read(lines: _Lines, count: int, schema: Any = None) -> tuple[Any, Any] | None:
    """Have Arrow read lines; None if it cannot, or not rightly."""
    import pyarrow as pa  # noqa: PLC0415

    sample = lines.sample()
    names = dict.fromkeys(name for value in sample for name in value)
    if schema is None:
        schema = pa.schema([(name, pa.string()) for name in names if _all_texts(sample, name)])
    found = _read_blocks(lines, schema)
    if found is None:
        return None
    table, rest = found
    explicit = pa.schema([(column.name, _undated(column.type)) for column in table.schema])
    if explicit != table.schema:
        return _read(lines, count, explicit)
    if table.num_rows != count or any(map(_inexact, table.columns)):
        return None
    present = dict.fromkeys(table.schema.names)
    order = [name for name in {**names, **present} if name in present]
    return table.select(order), rest if rest.null_count < len(rest) else None


def _read_blocks(lines: _Lines, schema: Any) -> tuple[Any, Any] | None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import json as arrow_json  # noqa: PLC0415

    for block in _BLOCKS:
        source = lines.again()
        try:
            table = arrow_json.read_json(
                pa.PythonFile(source, mode="r"),
                arrow_json.ReadOptions(block_size=block),
                arrow_json.ParseOptions(explicit_schema=schema),
            )
        except _UnfitError:
            return None
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                return None
        else:
            return table, pa.chunked_array(source.rest, pa.large_string())
    return None


def _all_texts(sample: list[dict[str, Any]], name: str) -> bool:
    values = [value[name] for value in sample if value.get(name) is not None]
    return bool(values) and all(isinstance(value, str) for value in values)


def _undated(kind: Any) -> Any:
    """The type without the dates that Arrow made of texts."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_undated(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _undated(field.type)) for field in kind])
    return kind


def _inexact(values: Any) -> bool:
    """Whether floats may have lost digits, or were no JSON numbers."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = values.type
    if pa.types.is_list(kind):
        return _inexact(pc.list_flatten(values))
    if pa.types.is_struct(kind):
        return any(_inexact(pc.struct_field(values, index)) for index in range(kind.num_fields))
    if not pa.types.is_floating(kind):
        return False
    fine = pc.less(pc.abs(values), _INEXACT)
    return pc.any(pc.invert(fine)).as_py() or False


def _read_one_by_one(texts: Texts, *, open_envelopes: bool) -> tuple[Any, Any]:
    import pyarrow as pa  # noqa: PLC0415

    checked = [_fields(text, open_envelopes) for text in _each(texts)]
    rest = pa.chunked_array([pa.array([text for _, text in checked], pa.large_string())])
    rows = [fields or {} for fields, _ in checked]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return pa.table(columns), rest if rest.null_count < len(rest) else None


def _each(texts: Texts) -> Iterator[str | None]:
    for chunk in texts():
        for start in range(0, len(chunk), _SLICE):
            yield from chunk.slice(start, _SLICE).to_pylist()


def _fields(text: str | None, open_envelopes: bool) -> tuple[dict[str, Any] | None, str | None]:
    """The fields of an object, and the text of what is none."""
    if text is None or not text.lstrip().startswith("{"):
        return None, text
    try:
        value = loads(text)
        content, _ = unwrap(value) if open_envelopes else (value, None)
    except ValueError:
        return None, text
    if content is value:
        return value, None
    reasoning = {"reasoning_content": value["reasoning_content"]}
    if isinstance(content, dict):
        return {**reasoning, **content}, None
    return reasoning, content if content is None or isinstance(content, str) else _dump(content)


def _column(values: list[Any]) -> Any:
    """An Arrow array, of texts if the values have no type in common."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {type(value) for value in values if value is not None}
    try:
        if kinds <= {int, float} or len(kinds) == 1:
            return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    texts = [value if value is None or isinstance(value, str) else _dump(value) for value in values]
    return pa.array(texts, pa.large_string())


def _dump(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
