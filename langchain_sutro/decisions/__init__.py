"""Functions as decision models: LangChain's own slot for judges, which langchain-core 1.8 added.

Names are loaded at first use.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_sutro._exports import lazy_exports

if find_spec("langchain_core.decisions") is None:
    raise ImportError(
        "Decision models need langchain-core 1.8 or newer, and this is langchain-core "
        f"{version('langchain-core')}: pip install -U langchain-core"
    )

if TYPE_CHECKING:
    from langchain_sutro.decisions.decision_function import DecisionFunction
    from langchain_sutro.decisions.model import SutroDecisionModel

__all__ = ["DecisionFunction", "SutroDecisionModel"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {"DecisionFunction": "decision_function", "SutroDecisionModel": "model"},
)
