"""Functions as Runnables: `SutroFunction`, and what composes it in pipelines and as a tool.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.functions.call_by_name import named_arguments
    from langchain_sutro.functions.compose import SutroAssign, SutroRetry
    from langchain_sutro.functions.function import SutroFunction
    from langchain_sutro.functions.router import SutroRouter
    from langchain_sutro.functions.row_batch import PROGRESS_EVENT, event
    from langchain_sutro.functions.row_outcomes import RowOutcomes
    from langchain_sutro.functions.tool import SutroTool
    from langchain_sutro.functions.tool_base import TracedTool, mendable, short_answer
    from langchain_sutro.functions.tool_names import marked_name, tool_name
    from langchain_sutro.functions.verdicts import verdict_key

__all__ = [
    "PROGRESS_EVENT",
    "RowOutcomes",
    "SutroAssign",
    "SutroFunction",
    "SutroRetry",
    "SutroRouter",
    "SutroTool",
    "TracedTool",
    "event",
    "marked_name",
    "mendable",
    "named_arguments",
    "short_answer",
    "tool_name",
    "verdict_key",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "SutroAssign": "compose",
        "SutroRetry": "compose",
        "SutroFunction": "function",
        "SutroRouter": "router",
        "PROGRESS_EVENT": "row_batch",
        "event": "row_batch",
        "RowOutcomes": "row_outcomes",
        "SutroTool": "tool",
        "TracedTool": "tool_base",
        "mendable": "tool_base",
        "short_answer": "tool_base",
        "marked_name": "tool_names",
        "tool_name": "tool_names",
        "named_arguments": "call_by_name",
        "verdict_key": "verdicts",
    },
)
