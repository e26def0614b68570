"""How large a job may be, per priority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_sutro._core.exports import exported_from

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Quota", "Quotas"]


@exported_from("langchain_sutro.local")
@dataclass(frozen=True, slots=True)
class Quota:
    """What one job of a priority may have.

    Attributes:
        rows: Rows at most.
        tokens: Input tokens at most.
    """

    rows: int
    tokens: int = 1_000_000_000


# Wider than the hosted service's (1,000 and 1,000,000 rows), which would only be in the way here.
_DEFAULT = {0: Quota(rows=1_000_000), 1: Quota(rows=10_000_000)}


class Quotas:
    """The quotas of both priorities.

    Args:
        quotas: By priority: a `Quota`, or the number of rows.
    """

    def __init__(self, quotas: Mapping[int, Quota | int] | None = None) -> None:
        given = {p: Quota(q) if isinstance(q, int) else q for p, q in (quotas or {}).items()}
        self._quotas = {**_DEFAULT, **given}

    def excess(self, priority: int, rows: int, tokens: int) -> str | None:
        """Why a job is too large, or None."""
        quota = self._quotas[priority]
        if rows > quota.rows:
            return f"{rows} rows exceed the quota of {quota.rows} for priority {priority}."
        if tokens > quota.tokens:
            return f"{tokens} tokens exceed the quota of {quota.tokens} for priority {priority}."
        return None

    def public(self) -> list[dict[str, int]]:
        """As the service lists them."""
        return [
            {"priority": priority, "row_quota": quota.rows, "token_quota": quota.tokens}
            for priority, quota in sorted(self._quotas.items())
        ]
