"""Middleware for LangChain agents; needs the extra `agents`."""

from langchain_sutro.agents import GuardrailAction, GuardrailDecision, SutroGuardrail

__all__ = ["GuardrailAction", "GuardrailDecision", "SutroGuardrail"]
