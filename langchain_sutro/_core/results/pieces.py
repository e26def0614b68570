"""Results of any size as tables of one schema, a piece at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_sutro._core.results.payload import row_result
from langchain_sutro._core.results.unpack import column_types, unpack, unpack_piece
from langchain_sutro.errors import SutroRowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

__all__ = ["Layout", "error_texts", "layout_of", "output_columns"]

_ENVELOPE = "reasoning_content"


class Layout(NamedTuple):
    """The columns of unpacked outputs.

    Attributes:
        types: The Arrow type of each field, in order.
        others: Whether some outputs are not objects.
    """

    types: dict[str, Any]
    others: bool


def layout_of(chunks: Callable[[], Iterator[Any]]) -> Layout:
    """The columns that hold all outputs without loss: those of `to_arrow(unpack=True)`.

    Args:
        chunks: The outputs; iterated twice only if a field has values of several types.
    """
    return _quick_layout(chunks()) or Layout(*column_types(chunks, open_envelopes=True))


def _quick_layout(chunks: Iterator[Any]) -> Layout | None:
    """The same where each field has one type everywhere; otherwise None."""
    import pyarrow as pa  # noqa: PLC0415

    types: dict[str, Any] = {}
    others = False
    for chunk in chunks:
        table, rest = _unpacked(chunk)
        others = others or rest is not None
        for one in table.schema:
            known = types.get(one.name, pa.null())
            if known != one.type and pa.null() not in (known, one.type):
                return None
            types[one.name] = one.type if known == pa.null() else known
    return Layout(types, others)


def output_columns(texts: Any, layout: Layout) -> tuple[dict[str, Any], Any]:
    """Some outputs as columns of a layout.

    Args:
        texts: An Arrow array of large strings.
        layout: That of all outputs.

    Returns:
        An array for each field, and an array of the strings that are not objects, null elsewhere.
    """
    import pyarrow as pa  # noqa: PLC0415

    table, rest = _unpacked(texts)
    if all(_fits(one.type, layout.types.get(one.name)) for one in table.schema):
        columns = {
            name: table[name].combine_chunks().cast(kind)
            if name in table.column_names
            else pa.nulls(len(texts), kind)
            for name, kind in layout.types.items()
        }
        nothing = pa.nulls(len(texts), pa.large_string())
        return columns, nothing if rest is None else rest.combine_chunks()
    return unpack_piece(texts, layout.types, open_envelopes=True)


def _unpacked(texts: Any) -> tuple[Any, Any]:
    return unpack(lambda: iter([texts]), open_envelopes=True)


def _fits(kind: Any, wanted: Any) -> bool:
    """Whether values of a type are the same as the wanted one."""
    import pyarrow as pa  # noqa: PLC0415

    return bool(kind in (wanted, pa.null()))


def error_texts(
    texts: Any,
    rest: Any,
    *,
    generation: Literal["deployment", "hosted"],
    job_id: str | None,
    first_row: int,
) -> Any:
    """Why rows have no usable output, null for those that have one.

    Args:
        texts: An Arrow array of outputs.
        rest: From `output_columns`.
        generation: Of the service.
        job_id: For the messages.
        first_row: Of the texts, within their job.

    Returns:
        An Arrow array of strings.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    enveloped = pc.fill_null(pc.match_substring(texts, _ENVELOPE), fill_value=False)
    doubtful = pc.or_(pc.or_(pc.is_null(texts), pc.is_valid(rest)), enveloped)
    errors: list[str | None] = [None] * len(texts)
    for index in pc.indices_nonzero(doubtful).to_pylist():
        result = row_result(
            texts[index].as_py(),
            generation=generation,
            job_id=job_id,
            row_index=first_row + index,
        )
        if isinstance(result, SutroRowError):
            errors[index] = str(result)
    return pa.array(errors, pa.string())
