"""What a deployment publishes: Functions, from Python code or examples, and their input fields."""

from __future__ import annotations

from langchain_sutro.local.functions.examples import from_examples
from langchain_sutro.local.functions.fields import Fields, as_text
from langchain_sutro.local.functions.function import Answer, LocalFunction, Schema
from langchain_sutro.local.functions.registry import Registry, from_signature

__all__ = [
    "Answer",
    "Fields",
    "LocalFunction",
    "Registry",
    "Schema",
    "as_text",
    "from_examples",
    "from_signature",
]
