"""How often each answer came, if answers are labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["LabelCounts"]

_MOST_LABELS = 50


class LabelCounts:
    """Counts answers for as long as they are labels: at most 50 different strings or booleans."""

    def __init__(self) -> None:
        self._counts: Counter[str | bool] | None = Counter()

    @property
    def countable(self) -> bool:
        """Whether every answer so far was a label."""
        return self._counts is not None

    def add(self, answer: Any) -> None:
        """Count one answer."""
        if self._counts is None:
            return
        if isinstance(answer, str | bool):
            self._counts[answer] += 1
        if not isinstance(answer, str | bool) or len(self._counts) > _MOST_LABELS:
            self._counts = None

    def counts(self) -> dict[str | bool, int] | None:
        """The number of answers for each label, the most frequent first; None if not labels."""
        return None if self._counts is None else dict(self._counts.most_common())
