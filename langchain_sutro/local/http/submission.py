"""The body of a submission, which may be larger than memory should get.

It is spooled to disk as it arrives, and split into chunks of rows from there.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import orjson

from langchain_sutro.local.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_submission"]

_PIECE = 1 << 20
_KEY = b'"inputs"'


def read_submission(body: IO[bytes]) -> tuple[dict[str, Any], Iterator[list[Any]]]:
    """Read a submission piece by piece.

    Args:
        body: The JSON object, open for reading at its start.

    Returns:
        The fields, and the rows in chunks. The fields that come after the rows are added when
        the last chunk is taken. `inputs` is among the fields only if it is not a list.

    Raises:
        Refusal: The body is not a JSON object; also while the rows are taken.
    """
    start = body.read(_PIECE)
    more = start if len(start) == _PIECE else b""
    while more:
        found = _rows_begin(start)
        if found is not None:
            fields, buffer = found
            return fields, _rows(fields, buffer, body)
        more = body.read(len(start))
        start += more
    fields = _object(start)
    rows = fields.pop("inputs") if isinstance(fields.get("inputs"), list) else []
    return fields, iter([rows])


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(content)
    except ValueError as error:
        raise Refusal(422, f"The body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refusal(422, "The body is not a JSON object.")
    return value


def _rows_begin(start: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Find the list of rows, and the fields before it.

    The text `"inputs"` may also stand inside of another value. It is the key of the object if and
    only if what is before it, followed by that key, makes a whole object.
    """
    position = start.find(_KEY)
    while position >= 0:
        after = start[position + len(_KEY) : position + len(_KEY) + 64].lstrip()
        if after.startswith(b":") and after[1:].lstrip().startswith(b"["):
            try:
                fields: dict[str, Any] = orjson.loads(start[:position] + _KEY + b":[]}")
            except ValueError:
                pass
            else:
                del fields["inputs"]
                return fields, start[start.index(b"[", position) + 1 :]
        position = start.find(_KEY, position + 1)
    return None


def _rows(fields: dict[str, Any], buffer: bytes, body: IO[bytes]) -> Iterator[list[Any]]:
    """Split the list of rows, and put the fields after it into `fields`.

    A comma is between two rows if and only if what is before it is a whole list, as the parser
    finds out; so the last comma of a piece that passes is where the piece is cut.
    """
    grown = _PIECE
    while piece := body.read(_PIECE):
        buffer += piece
        if len(buffer) < grown:
            continue
        rows, buffer = _cut(buffer)
        # Without a cut, trying again is only worth it with much more.
        grown = _PIECE if rows else 2 * len(buffer)
        if rows:
            yield rows
    rest = _object(b'{"inputs":[' + buffer)
    rows = rest.pop("inputs")
    fields.update(rest)
    if rows:
        yield rows


def _cut(buffer: bytes) -> tuple[list[Any], bytes]:
    mark = b'",' if buffer[:64].lstrip().startswith(b'"') else b"},"
    end = len(buffer)
    # Inside of a row the mark is found only where a cell looks like the end of a row.
    for _ in range(64):
        last = buffer.rfind(mark, 0, end)
        if last < 0:
            break
        try:
            rows: list[Any] = orjson.loads(b"[" + buffer[: last + 1] + b"]")
        except ValueError:
            end = last + 1
        else:
            return rows, buffer[last + 2 :]
    return [], buffer
