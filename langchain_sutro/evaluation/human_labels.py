"""What people said of judged runs: as rows, as tables, for statistics, training and data sets."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from langchain_sutro._core.exports import exported_from
from langchain_sutro._core.results import records_table
from langchain_sutro._core.service import in_thread
from langchain_sutro.errors import SutroInputError
from langchain_sutro.evaluation.html_table import PREVIEW, html_table
from langchain_sutro.evaluation.human_label import HumanLabel, Resolve, resolved
from langchain_sutro.evaluation.label_dataset import LabelledDataset, add_to_dataset
from langchain_sutro.evaluation.label_file import write_label_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike
    from uuid import UUID

    from langsmith import Client

__all__ = ["HumanLabels"]

_log = logging.getLogger(__name__)


@exported_from("langchain_sutro")
class HumanLabels:
    """The labels that people gave to judged runs, as `reviewed` returns them.

    Iteration gives a `HumanLabel` for each run and person: a run that several people have labelled
    occurs several times.

    Args:
        labels: The labels, those of one run together, the oldest first.
        judges: The feedback keys of the judges.
        client: LangSmith's client, for `to_dataset`.
        has_inputs: Whether input fields were asked for.
    """

    def __init__(
        self,
        labels: Sequence[HumanLabel],
        judges: Sequence[str],
        *,
        client: Client | None = None,
        has_inputs: bool = False,
    ) -> None:
        self._labels = list(labels)
        self.judges = list(judges)
        self._client = client
        self._has_inputs = has_inputs

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[HumanLabel]:
        return iter(self._labels)

    @overload
    def __getitem__(self, index: int) -> HumanLabel: ...

    @overload
    def __getitem__(self, index: slice) -> list[HumanLabel]: ...

    def __getitem__(self, index: int | slice) -> HumanLabel | list[HumanLabel]:
        return self._labels[index]

    def __repr__(self) -> str:
        runs = len({one.run_id for one in self._labels})
        return f"<HumanLabels: {len(self):,} labels of {runs:,} runs>"

    @property
    def conflicts(self) -> list[HumanLabel]:
        """All labels of the runs that people have labelled differently."""
        return [one for one in self._labels if one.conflict]

    @property
    def audited(self) -> HumanLabels:
        """Only the labels of the random audit, which may be used for statistics.

        Raises:
            SutroInputError: `reviewed` was called without `audit`.
        """
        if any(one.audit is None for one in self._labels):
            raise SutroInputError(
                "Which labels are of the audit is not known: pass audit= to reviewed, the "
                "audit_share of what send_for_review returned."
            )
        return HumanLabels(
            [one for one in self._labels if one.audit],
            self.judges,
            client=self._client,
            has_inputs=self._has_inputs,
        )

    def resolved(self, resolve: Resolve = "agreed") -> list[HumanLabel]:
        """One label for each run.

        Args:
            resolve: What becomes of runs with several labels: `"agreed"` leaves out those with a
                conflict, `"majority"` those without a label that more than half of the people gave,
                and `"latest"` takes the last label of any person.
        """
        return resolved(self._labels, resolve)

    def by_run(self, resolve: Resolve = "agreed") -> dict[UUID, Any]:
        """The label of each run, such as for `ExperimentResults.summary`.

        Args:
            resolve: As for `resolved`.

        Returns:
            By the run's id: True or False if the label's score is 1 or 0, else what people said.
        """
        found = self.resolved(resolve)
        return {one.run_id: bool(one.score) if one.score in (0, 1) else one.label for one in found}

    def pairs(
        self, judge: str | None = None, *, resolve: Resolve = "agreed"
    ) -> tuple[list[float], list[float]]:
        """The scores of people and of a judge for the same runs, such as for `judge_rates`.

        Runs to which either gave no score are left out.

        Args:
            judge: The judge's feedback key; may be omitted if there is only one.
            resolve: As for `resolved`.

        Returns:
            The people's scores, and the judge's, in the same order.

        Raises:
            SutroInputError: The judge is not clear.
        """
        found = self._scored(judge, resolve)
        return [people for people, _, _ in found], [said for _, said, _ in found]

    def correctness(
        self, judge: str | None = None, *, resolve: Resolve = "agreed"
    ) -> tuple[list[float], list[bool]]:
        """How sure a judge was, and whether people agree, such as for `guaranteed_threshold`.

        Runs without a confidence, or to which either gave no score, are left out.

        Args:
            judge: As for `pairs`.
            resolve: As for `resolved`.

        Returns:
            The judge's confidences, and whether its verdict is the people's, in the same order.

        Raises:
            SutroInputError: The judge is not clear.
        """
        found = [
            (confidence, people == said)
            for people, said, confidence in self._scored(judge, resolve)
            if confidence is not None
        ]
        return [one for one, _ in found], [right for _, right in found]

    def _scored(
        self, judge: str | None, resolve: Resolve
    ) -> list[tuple[float, float, float | None]]:
        if judge is None and len(self.judges) == 1:
            judge = self.judges[0]
        if judge not in self.judges:
            raise SutroInputError(
                f"judge must be one of {', '.join(self.judges) or 'none'}, not {judge!r}."
            )
        found = []
        for one in self.resolved(resolve):
            answer = one.answers.get(judge)
            if answer is not None and answer.score is not None and one.score is not None:
                found.append((one.score, answer.score, answer.confidence))
        return found

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row for each run and person.

        Returns:
            Columns `run_id`, `inputs.*`, `label`, `label_score`, for each judge `verdict.*`,
            `score.*` and `confidence.*`, then `reviewer`, `time`, `comment`, `correction`, `audit`,
            `conflict` and `error`.
        """
        import pandas as pd  # noqa: PLC0415

        return pd.DataFrame(self._records(), columns=self._columns())

    def to_arrow(self) -> Any:
        """The same as a `pyarrow.Table`; columns with values of several types are strings."""
        return records_table(self._records(), self._columns())

    def write_labels(
        self,
        path: str | PathLike[str],
        *,
        resolve: Resolve = "agreed",
        for_spreadsheets: bool = False,
    ) -> int:
        """Write the labels as training data for a Function: each run once.

        A row has the input fields that `reviewed` was asked for, and `label`. Nothing else of the
        run is written, and nobody's name.

        Args:
            path: A local path or fsspec URL that ends with `.csv` or `.jsonl`. The file is there
                whole or not at all.
            resolve: As for `resolved`.
            for_spreadsheets: In a CSV file, put an apostrophe before strings that a spreadsheet
                would take for a formula. Training data should not have it.

        Returns:
            The number of rows. Runs whose input fields could not be made are left out, with a
            warning in the log.

        Raises:
            SutroInputError: No input fields were asked for, one of them is called `label`, or the
                path ends with something else.
            OSError: The file cannot be written.
        """
        rows = self._usable(resolve)
        write_label_file(path, rows, for_spreadsheets=for_spreadsheets)
        return len(rows)

    async def awrite_labels(
        self,
        path: str | PathLike[str],
        *,
        resolve: Resolve = "agreed",
        for_spreadsheets: bool = False,
    ) -> int:
        """The asynchronous form of `write_labels`."""
        write = partial(self.write_labels, resolve=resolve, for_spreadsheets=for_spreadsheets)
        return await in_thread(write, path)

    def to_dataset(
        self,
        name: str,
        *,
        resolve: Resolve = "agreed",
        description: str | None = None,
        client: Client | None = None,
    ) -> LabelledDataset:
        """Add the labels to a data set of LangSmith, as an example for each run.

        An example's inputs are the input fields that `reviewed` was asked for, its reference
        outputs `{"label": …}`. Its id follows from the data set and the run, so repeated calls add
        each run once, and give a run that was labelled anew its new label.

        Args:
            name: The data set's name. It is created if there is none.
            resolve: As for `resolved`.
            description: That of a data set that is created.
            client: LangSmith's client; by default that of `reviewed`.

        Raises:
            SutroInputError: No input fields were asked for.
            LangSmithError: LangSmith cannot be asked.
        """
        return add_to_dataset(
            self._usable(resolve), name, description=description, client=client or self._client
        )

    async def ato_dataset(
        self,
        name: str,
        *,
        resolve: Resolve = "agreed",
        description: str | None = None,
        client: Client | None = None,
    ) -> LabelledDataset:
        """The asynchronous form of `to_dataset`."""
        add = partial(self.to_dataset, resolve=resolve, description=description, client=client)
        return await in_thread(add, name)

    def _usable(self, resolve: Resolve) -> list[HumanLabel]:
        if not self._has_inputs:
            raise SutroInputError(
                "The input fields of these labels are not known: pass fields= to reviewed, or the "
                "SutroEvaluator as judges=."
            )
        rows = self.resolved(resolve)
        made = [one for one in rows if one.error is None]
        if len(made) < len(rows):
            first = next(one.error for one in rows if one.error is not None)
            _log.warning(
                "%s of %s labelled runs are left out, because their input fields could not be "
                "made. The first: %s",
                f"{len(rows) - len(made):,}",
                f"{len(rows):,}",
                first,
            )
        return made

    def _columns(self) -> list[str]:
        fields = dict.fromkeys(name for one in self._labels for name in one.inputs)
        said = [f"{part}.{key}" for key in self.judges for part in _SAID]
        return [
            "run_id",
            *(f"inputs.{name}" for name in fields),
            "label",
            "label_score",
            *said,
            *_ABOUT,
        ]

    def _records(self) -> list[dict[str, Any]]:
        return [_record(one) for one in self._labels]

    def _repr_html_(self) -> str:
        """The first labels."""
        titles = ["inputs", "label", *self.judges, "reviewer", "comment", "conflict"]
        preview = [
            [
                one.inputs,
                one.label,
                *(_verdict(one, key) for key in self.judges),
                one.reviewer,
                one.comment,
                one.conflict,
            ]
            for one in self._labels[:PREVIEW]
        ]
        runs = len({one.run_id for one in self._labels})
        return f"<p>{len(self):,} labels of {runs:,} runs</p>{html_table(titles, preview)}"


_SAID = ("verdict", "score", "confidence")
_ABOUT = ("reviewer", "time", "comment", "correction", "audit", "conflict", "error")


def _record(one: HumanLabel) -> dict[str, Any]:
    record = {"run_id": str(one.run_id), "label": one.label, "label_score": one.score}
    record |= {f"inputs.{name}": value for name, value in one.inputs.items()}
    for key, answer in one.answers.items():
        record |= {f"{part}.{key}": getattr(answer, part) for part in _SAID}
    return record | {name: getattr(one, name) for name in _ABOUT}


def _verdict(one: HumanLabel, key: str) -> Any:
    answer = one.answers.get(key)
    return None if answer is None else answer.verdict
