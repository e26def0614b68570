"""The Functions that a local deployment publishes by default, and leads to try them on."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_sutro.local.functions import from_examples
from langchain_sutro.local.samples.any_question import any_question
from langchain_sutro.local.samples.extractor import lead_extractor

if TYPE_CHECKING:
    from langchain_sutro.local.functions import LocalFunction

__all__ = ["sample_functions", "sample_leads"]

_FOLDER = Path(__file__).parent


def sample_leads() -> Path:
    """A CSV of some two hundred leads: `query`, `region`, and the right `label` to compare with.

    They are not among the rows that `lead-qualifier` learned from.
    """
    return _FOLDER / "leads.csv"


def sample_functions() -> list[LocalFunction]:
    """`lead-qualifier`, a classifier, `lead-extractor`, and `any-question`, a general judge.

    All answer from their input. The classifier is fitted at its first call, once per process.
    """
    return [_lead_qualifier(), lead_extractor(), any_question()]


@cache
def _lead_qualifier() -> LocalFunction:
    return from_examples(
        _training_rows,
        inputs=["query", "region"],
        labels=["not_qualified", "qualified"],
        name="lead-qualifier",
        description="Judges whether a sales lead is worth a call: qualified or not_qualified.",
        prompt=(
            "Judge whether this lead is worth a call by sales. Qualified leads have a company, a "
            "need that fits and a way to buy. Students, job seekers, vendors, support requests "
            "and idle curiosity are not qualified."
        ),
    )


def _training_rows() -> list[dict[str, str]]:
    with (_FOLDER / "training.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
