"""What an evaluation says if everything in it failed: the first reason, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.redaction import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langsmith.evaluation import EvaluationResult

__all__ = ["failure_warnings"]

_QUOTED = 300


def failure_warnings(
    errors: Sequence[str | None], feedback: Sequence[Sequence[EvaluationResult]]
) -> list[str]:
    """A warning if all rows failed, and one for each feedback key that no row could get.

    Args:
        errors: For each row why it failed; None if it did not.
        feedback: The feedback of each row.
    """
    found = []
    if errors and errors[0] is not None and None not in errors:
        found.append(
            f"All {len(errors):,} rows failed, the first with: {shown(errors[0], most=_QUOTED)} "
            "Check the Function's name, and pass fields= if its input fields have other names "
            "than the examples' inputs."
        )
    failures: dict[str, list[str]] = {}
    for one in (one for given in feedback for one in given):
        reasons = failures.setdefault(one.key, [])
        if (one.extra or {}).get("error"):
            reasons.append(one.comment or "an unknown error")
    quoted: set[str] = set()
    for key, reasons in failures.items():
        # A judge that failed has given neither its verdict nor its confidence.
        if reasons and len(reasons) == len(errors) and reasons[0] not in quoted:
            quoted.add(reasons[0])
            found.append(
                f"{key!r} could not be judged for any row, the first time because of: "
                f"{shown(reasons[0], most=_QUOTED)} Check the evaluator, and for a judge its "
                "fields= and score=."
            )
    return found
