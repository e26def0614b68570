"""What the runs of the guardrail's own hooks show in a trace."""

from __future__ import annotations

from typing import Any

__all__ = ["NO_PAYLOAD"]


def _no_payload() -> Any:
    try:
        from langgraph.types import TracePolicy, omit_payload  # noqa: PLC0415 - langchain 1.5
    except ImportError:
        return None
    return TracePolicy(process_inputs=omit_payload, process_outputs=omit_payload)


# The runs keep their times and their children, but not the conversation. None where LangChain has
# no such policy.
NO_PAYLOAD: Any = _no_payload()
