"""Functions as Runnables: `SutroFunction`, and what composes it in pipelines and as a tool.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.functions.assign import SutroAssign
    from langchain_sutro.functions.call_by_name import named_arguments
    from langchain_sutro.functions.function import SutroFunction
    from langchain_sutro.functions.interface import (
        answer_form,
        check_row,
        input_schema,
        payload_function,
    )
    from langchain_sutro.functions.judge import Judge
    from langchain_sutro.functions.retry import SutroRetry
    from langchain_sutro.functions.router import SutroRouter
    from langchain_sutro.functions.row_batch import PROGRESS_EVENT, event
    from langchain_sutro.functions.row_outcomes import RowOutcomes
    from langchain_sutro.functions.settings import client_settings
    from langchain_sutro.functions.tool import SutroTool
    from langchain_sutro.functions.tool_base import TracedTool, correctable_errors, short_answer
    from langchain_sutro.functions.tool_names import marked_name, tool_name
    from langchain_sutro.functions.verdicts import by_verdict, result_verdict, verdict_key

__all__ = [
    "PROGRESS_EVENT",
    "Judge",
    "RowOutcomes",
    "SutroAssign",
    "SutroFunction",
    "SutroRetry",
    "SutroRouter",
    "SutroTool",
    "TracedTool",
    "answer_form",
    "by_verdict",
    "check_row",
    "client_settings",
    "correctable_errors",
    "event",
    "input_schema",
    "marked_name",
    "named_arguments",
    "payload_function",
    "result_verdict",
    "short_answer",
    "tool_name",
    "verdict_key",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "SutroAssign": "assign",
        "named_arguments": "call_by_name",
        "SutroFunction": "function",
        "answer_form": "interface",
        "check_row": "interface",
        "input_schema": "interface",
        "payload_function": "interface",
        "Judge": "judge",
        "SutroRetry": "retry",
        "SutroRouter": "router",
        "PROGRESS_EVENT": "row_batch",
        "event": "row_batch",
        "RowOutcomes": "row_outcomes",
        "client_settings": "settings",
        "SutroTool": "tool",
        "TracedTool": "tool_base",
        "correctable_errors": "tool_base",
        "short_answer": "tool_base",
        "marked_name": "tool_names",
        "tool_name": "tool_names",
        "by_verdict": "verdicts",
        "result_verdict": "verdicts",
        "verdict_key": "verdicts",
    },
)
