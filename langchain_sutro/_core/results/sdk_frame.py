"""Results as the official SDK's DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_sutro._core.results import frames
from langchain_sutro._core.rows import kind_name, loaded
from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from langchain_sutro._core.results.batch import BatchResults

__all__ = ["results_frame"]


def results_frame(
    results: BatchResults,
    *,
    output_column: str = "inference_result",
    unpack_json: bool = True,
    unwrap_reasoning: bool = False,
    with_original_df: Any = None,
) -> Any:
    """The DataFrame that `get_job_results` returns.

    Args:
        results: A job's results, with the optional columns that were requested.
        output_column: Name of the column for outputs that are not unpacked: all of them without
            `unpack_json`, otherwise those that are not JSON objects, if there are any.
        unpack_json: Whether each field of the outputs' JSON objects becomes a column.
        unwrap_reasoning: As for `BatchResults.to_arrow`.
        with_original_df: The pandas or polars DataFrame that was submitted; the results' columns
            are added to it by position.

    Returns:
        A pandas DataFrame, or a polars one if the original is. Its columns are `inputs`, those
        carried over from the input, outputs, `cumulative_logprobs` and `confidence_score`, as far
        as they exist.

    Raises:
        SutroInputError: Names clash, or the numbers of rows differ.
    """
    table = results.to_arrow(
        unpack=unpack_json, output_column=output_column, unwrap_reasoning=unwrap_reasoning
    )
    if with_original_df is None:
        return frames.to_pandas(table)
    kinds = tuple(filter(None, (loaded(name, "DataFrame") for name in ("pandas", "polars"))))
    if not isinstance(with_original_df, kinds):
        raise SutroInputError(
            "with_original_df must be a pandas or polars DataFrame, not a value of type "
            f"{kind_name(with_original_df)}."
        )
    return frames.join(with_original_df, table, carried=results.carried)
