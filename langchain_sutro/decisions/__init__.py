"""Functions as decision models: LangChain's own slot for judges, which langchain-core 1.8 added.

Names are loaded at first use.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if find_spec("langchain_core.decisions") is None:
    raise ImportError(
        "Decision models need langchain-core 1.8 or newer, and this is langchain-core "
        f"{version('langchain-core')}: pip install -U langchain-core"
    )

if TYPE_CHECKING:
    from langchain_sutro.decisions.config import (
        AskedByLangSmith,
        DecisionConfig,
        DecisionModelConfig,
        DecisionQuestionConfig,
        load_decision_models,
        read_decision_config,
    )
    from langchain_sutro.decisions.decision_function import DecisionFunction
    from langchain_sutro.decisions.model import SutroDecisionModel

__all__ = [
    "AskedByLangSmith",
    "DecisionConfig",
    "DecisionFunction",
    "DecisionModelConfig",
    "DecisionQuestionConfig",
    "SutroDecisionModel",
    "load_decision_models",
    "read_decision_config",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AskedByLangSmith": "config",
        "DecisionConfig": "config",
        "DecisionModelConfig": "config",
        "DecisionQuestionConfig": "config",
        "load_decision_models": "config",
        "read_decision_config": "config",
        "DecisionFunction": "decision_function",
        "SutroDecisionModel": "model",
    },
)
