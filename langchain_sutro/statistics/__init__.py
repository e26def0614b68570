"""Statistics of judges: how far their verdicts can be trusted, and what they measure.

Needs the extra `statistics` (SciPy and statsmodels). Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.statistics.comparison import Comparison, compare, examples_needed
    from langchain_sutro.statistics.intervals import Estimate, mean_score
    from langchain_sutro.statistics.judges import JudgeRates, PassRate, judge_rates, pass_rate
    from langchain_sutro.statistics.raters import Agreement, agreement
    from langchain_sutro.statistics.thresholds import GuaranteedThreshold, guaranteed_threshold

__all__ = [
    "Agreement",
    "Comparison",
    "Estimate",
    "GuaranteedThreshold",
    "JudgeRates",
    "PassRate",
    "agreement",
    "compare",
    "examples_needed",
    "guaranteed_threshold",
    "judge_rates",
    "mean_score",
    "pass_rate",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Agreement": "raters",
        "agreement": "raters",
        "Comparison": "comparison",
        "compare": "comparison",
        "examples_needed": "comparison",
        "Estimate": "intervals",
        "mean_score": "intervals",
        "JudgeRates": "judges",
        "PassRate": "judges",
        "judge_rates": "judges",
        "pass_rate": "judges",
        "GuaranteedThreshold": "thresholds",
        "guaranteed_threshold": "thresholds",
    },
)
