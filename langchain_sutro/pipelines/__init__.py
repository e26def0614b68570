"""Pipelines of any shape whose batch makes one job for each Function.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.pipelines.chain import OneJob, one_job
    from langchain_sutro.pipelines.plan import FunctionPlan

__all__ = ["FunctionPlan", "OneJob", "one_job"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "OneJob": "chain",
        "one_job": "chain",
        "FunctionPlan": "plan",
    },
)
