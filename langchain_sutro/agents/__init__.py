"""Functions for LLM agents: toolkits, manifests, job tools and the guardrail.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.agents.guardrail.decisions import GuardrailAction, GuardrailDecision
    from langchain_sutro.agents.guardrail.middleware import SutroGuardrail
    from langchain_sutro.agents.job_toolkit import SutroJobToolkit
    from langchain_sutro.agents.manifest import (
        Manifest,
        ManifestFunction,
        ManifestSettings,
        dump_manifest,
        load_manifest,
        manifest_schema,
        manifest_skeleton,
    )
    from langchain_sutro.agents.toolkit import SutroToolkit

__all__ = [
    "GuardrailAction",
    "GuardrailDecision",
    "Manifest",
    "ManifestFunction",
    "ManifestSettings",
    "SutroGuardrail",
    "SutroJobToolkit",
    "SutroToolkit",
    "dump_manifest",
    "load_manifest",
    "manifest_schema",
    "manifest_skeleton",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "GuardrailAction": "guardrail.decisions",
        "GuardrailDecision": "guardrail.decisions",
        "SutroGuardrail": "guardrail.middleware",
        "SutroJobToolkit": "job_toolkit",
        "Manifest": "manifest",
        "ManifestFunction": "manifest",
        "ManifestSettings": "manifest",
        "dump_manifest": "manifest",
        "load_manifest": "manifest",
        "manifest_schema": "manifest",
        "manifest_skeleton": "manifest",
        "SutroToolkit": "toolkit",
    },
)
