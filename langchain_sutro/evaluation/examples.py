"""The examples of an evaluation, whatever they are given as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from langsmith.schemas import Dataset, Example

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langsmith import Client

__all__ = ["load_examples"]

_TAKEN = (
    "pass a LangSmith data set (its name, id or object), langsmith.schemas.Example objects, or "
    "rows with `inputs` and, if there are right answers, `outputs`, which are dicts"
)
_PARTS = ("inputs", "outputs", "metadata")


def load_examples(data: Any, client: Callable[[], Client], *, upload: bool) -> list[Example]:
    """The examples of a data set: its name, id or object, the examples themselves, or rows.

    Args:
        data: What the user gave.
        client: Makes LangSmith's client, for a data set.
        upload: Whether runs of the examples are written to LangSmith.

    Raises:
        SutroInputError: There are no examples, `data` is something else, or the examples of runs
            to be written are not in LangSmith.
    """
    if isinstance(data, str | UUID | Dataset):
        found = list(client().list_examples(**_named(data)))
        if not found:
            raise SutroInputError(f"The data set {_title(data)!r} has no examples to evaluate.")
        return found
    rows = _rows(data)
    if not rows:
        raise SutroInputError(f"There are no examples to evaluate: {_TAKEN}.")
    if all(isinstance(one, Example) for one in rows):
        return rows
    examples = [_example(row, index) for index, row in enumerate(rows)]
    if upload:
        raise SutroInputError(
            "These rows are not in LangSmith, so that no experiment over them can be recorded: "
            "create a data set of them (langsmith.Client.create_dataset and create_examples) and "
            "pass its name, or pass upload_results=False to evaluate without recording."
        )
    return examples


def _named(data: Any) -> dict[str, Any]:
    if isinstance(data, str):
        try:
            return {"dataset_id": UUID(data)}
        except ValueError:
            return {"dataset_name": data}
    return {"dataset_id": data if isinstance(data, UUID) else data.id}


def _title(data: Any) -> str:
    return data.name if isinstance(data, Dataset) else str(data)


def _rows(data: Any) -> list[Any]:
    """A table's rows as dicts, or what else can be iterated."""
    if hasattr(data, "to_dicts"):
        # A polars DataFrame.
        return list(data.to_dicts())
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        # A pandas DataFrame.
        return list(data.to_dict(orient="records"))
    if hasattr(data, "to_pylist"):
        # An Arrow table.
        return list(data.to_pylist())
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise SutroInputError(f"data is of type {type(data).__name__}: {_TAKEN}.")
    return list(data)


def _example(row: Any, index: int) -> Example:
    if not isinstance(row, Mapping):
        raise SutroInputError(
            f"Row {index} of data is of type {type(row).__name__}: {_TAKEN}.", row_index=index
        )
    unknown = [str(name) for name in row if name not in _PARTS]
    parts = {name: row.get(name) for name in _PARTS}
    # A table has something for each row, such as NaN where there is nothing.
    parts = {name: value if isinstance(value, Mapping) else None for name, value in parts.items()}
    if parts["inputs"] is None or unknown:
        has = ", ".join(map(str, row)) or "no fields"
        raise SutroInputError(f"Row {index} of data has {has}: {_TAKEN}.", row_index=index)
    return Example(
        id=uuid4(),
        inputs=dict(parts["inputs"]),
        outputs=None if parts["outputs"] is None else dict(parts["outputs"]),
        metadata=None if parts["metadata"] is None else dict(parts["metadata"]),
    )
