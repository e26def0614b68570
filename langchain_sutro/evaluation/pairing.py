"""The examples that two experiments have in common, with what each of them gave."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.any_experiment import AnyExperiment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langsmith.schemas import Example

    from langchain_sutro.evaluation.experiment_row import ExperimentRow

__all__ = ["ExamplePair", "pairs_of"]

_NAMED = 3


@exported_from("langchain_sutro")
@dataclass(frozen=True)
class ExamplePair:
    """One example in two experiments.

    Attributes:
        example: The example.
        first: Its rows in the first experiment: one, or one for each repetition.
        second: Its rows in the second experiment.
    """

    example: Example
    first: tuple[ExperimentRow, ...]
    second: tuple[ExperimentRow, ...]


def pairs_of(first: AnyExperiment, second: AnyExperiment, *, common: bool) -> list[ExamplePair]:
    """The examples of both experiments, in the order of the first.

    Args:
        first: An experiment.
        second: Another one.
        common: Whether examples that only one of them has are left out.

    Raises:
        SutroInputError: One of them is no experiment, or has a row without an example or an example
            twice; or an example is in one of them only, or was changed between them.
    """
    one, other = _by_example(first, "first"), _by_example(second, "second")
    shared = [name for name in one if name in other]
    if not shared:
        raise SutroInputError("The experiments have no example in common, by its id.")
    for mine, others, name in ((one, other, "first"), (other, one, "second")):
        alone = [example for example in mine if example not in others]
        if alone and not common:
            raise SutroInputError(
                f"{len(alone):,} of {len(mine):,} examples of the {name} experiment are not in the "
                f"other one ({_listed(alone)}): compare experiments on the same data set, or pass "
                "common=True to leave them out."
            )
    pairs = [ExamplePair(_example(one[name]), one[name], other[name]) for name in shared]
    changed = [str(pair.example.id) for pair in pairs if _was_changed(pair)]
    if changed:
        raise SutroInputError(
            f"{len(changed):,} examples have other inputs or reference outputs in the second "
            f"experiment ({_listed(changed)}): the data set was changed between the experiments."
        )
    return pairs


def _by_example(results: Any, name: str) -> dict[str, tuple[ExperimentRow, ...]]:
    if not isinstance(results, AnyExperiment):
        raise SutroInputError(
            f"The {name} is a {type(results).__name__}, and not the ExperimentResults of "
            "evaluate_dataset: only experiments have examples that can be compared one by one."
        )
    found: dict[str, dict[int, ExperimentRow]] = {}
    for index, row in enumerate(results):
        if row.example is None:
            raise SutroInputError(f"Row {index} of the {name} experiment has no example.")
        repetitions = found.setdefault(str(row.example.id), {})
        if row.repetition in repetitions:
            raise SutroInputError(
                f"Example {row.example.id} is twice in the {name} experiment, at the latest in row "
                f"{index}."
            )
        repetitions[row.repetition] = row
    return {name: tuple(rows.values()) for name, rows in found.items()}


def _example(rows: tuple[ExperimentRow, ...]) -> Example:
    example = rows[0].example
    assert example is not None  # noqa: S101 - checked above
    return example


def _was_changed(pair: ExamplePair) -> bool:
    before, after = pair.first[0], pair.second[0]
    return before.inputs != after.inputs or before.reference != after.reference


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(islice(names, _NAMED)) + (", …" if len(names) > _NAMED else "")
