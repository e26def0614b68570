"""Ray Data: a Function over a dataset of any size, whose rows stay in the cluster.

Needs the extra `ray`. Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.ray.datasink import StageDatasink
    from langchain_sutro.ray.datasource import ResultsDatasource
    from langchain_sutro.ray.run import run_function

__all__ = ["ResultsDatasource", "StageDatasink", "run_function"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "StageDatasink": "datasink",
        "ResultsDatasource": "datasource",
        "run_function": "run",
    },
)
