"""Functions as Runnables: `SutroFunction`, and what composes it in pipelines and as a tool.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.functions.assign import SutroAssign, assigned_input
    from langchain_sutro.functions.batch_job import PROGRESS_EVENT, BatchJob, event
    from langchain_sutro.functions.call_by_name import named_arguments
    from langchain_sutro.functions.checked_rows import rows_of_batch
    from langchain_sutro.functions.contents import held, makes_functions, references
    from langchain_sutro.functions.function import CALL_SIGNATURE, SutroFunction
    from langchain_sutro.functions.gathered import SutroGatheredFunction
    from langchain_sutro.functions.interface import (
        answer_form,
        check_row,
        input_schema,
        payload_function,
        table_schema,
    )
    from langchain_sutro.functions.judge import Judge
    from langchain_sutro.functions.paths import ABSENT, holds, inside
    from langchain_sutro.functions.portable import Portable
    from langchain_sutro.functions.retry import (
        SutroRetry,
        retry_pause,
        retrying,
        worth_retrying,
    )
    from langchain_sutro.functions.router import SutroRouter, chosen_branch
    from langchain_sutro.functions.row_outcomes import RowOutcomes
    from langchain_sutro.functions.runs import CallRuns, is_watched
    from langchain_sutro.functions.settings import client_settings, without_secrets_of_typos
    from langchain_sutro.functions.tool import SutroTool
    from langchain_sutro.functions.tool_base import (
        TracedTool,
        child_config,
        correctable_errors,
        runs_of_tool,
        short_answer,
    )
    from langchain_sutro.functions.tool_names import marked_name, tool_name
    from langchain_sutro.functions.untraced import arun_once, run_once, scoped, untraced_job
    from langchain_sutro.functions.verdicts import by_verdict, result_verdict, verdict_key
    from langchain_sutro.functions.whole_batch import (
        WholeBatch,
        abatch_with_runs,
        batch_with_runs,
    )

__all__ = [
    "ABSENT",
    "CALL_SIGNATURE",
    "PROGRESS_EVENT",
    "BatchJob",
    "CallRuns",
    "Judge",
    "Portable",
    "RowOutcomes",
    "SutroAssign",
    "SutroFunction",
    "SutroGatheredFunction",
    "SutroRetry",
    "SutroRouter",
    "SutroTool",
    "TracedTool",
    "WholeBatch",
    "abatch_with_runs",
    "answer_form",
    "arun_once",
    "assigned_input",
    "batch_with_runs",
    "by_verdict",
    "check_row",
    "child_config",
    "chosen_branch",
    "client_settings",
    "correctable_errors",
    "event",
    "held",
    "holds",
    "input_schema",
    "inside",
    "is_watched",
    "makes_functions",
    "marked_name",
    "named_arguments",
    "payload_function",
    "references",
    "result_verdict",
    "retry_pause",
    "retrying",
    "rows_of_batch",
    "run_once",
    "runs_of_tool",
    "scoped",
    "short_answer",
    "table_schema",
    "tool_name",
    "untraced_job",
    "verdict_key",
    "without_secrets_of_typos",
    "worth_retrying",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "SutroAssign": "assign",
        "BatchJob": "batch_job",
        "PROGRESS_EVENT": "batch_job",
        "event": "batch_job",
        "assigned_input": "assign",
        "named_arguments": "call_by_name",
        "rows_of_batch": "checked_rows",
        "held": "contents",
        "makes_functions": "contents",
        "references": "contents",
        "CALL_SIGNATURE": "function",
        "SutroFunction": "function",
        "SutroGatheredFunction": "gathered",
        "answer_form": "interface",
        "check_row": "interface",
        "input_schema": "interface",
        "payload_function": "interface",
        "table_schema": "interface",
        "Judge": "judge",
        "ABSENT": "paths",
        "holds": "paths",
        "inside": "paths",
        "Portable": "portable",
        "SutroRetry": "retry",
        "retrying": "retry",
        "retry_pause": "retry",
        "worth_retrying": "retry",
        "SutroRouter": "router",
        "chosen_branch": "router",
        "RowOutcomes": "row_outcomes",
        "CallRuns": "runs",
        "is_watched": "runs",
        "client_settings": "settings",
        "without_secrets_of_typos": "settings",
        "SutroTool": "tool",
        "TracedTool": "tool_base",
        "child_config": "tool_base",
        "correctable_errors": "tool_base",
        "short_answer": "tool_base",
        "runs_of_tool": "tool_base",
        "marked_name": "tool_names",
        "tool_name": "tool_names",
        "arun_once": "untraced",
        "run_once": "untraced",
        "scoped": "untraced",
        "untraced_job": "untraced",
        "by_verdict": "verdicts",
        "result_verdict": "verdicts",
        "verdict_key": "verdicts",
        "WholeBatch": "whole_batch",
        "abatch_with_runs": "whole_batch",
        "batch_with_runs": "whole_batch",
    },
)
