"""How the Functions of a file are called."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from langchain_sutro._core.exports import exported_from

__all__ = ["ManifestSettings"]


@exported_from("langchain_sutro.manifest")
class ManifestSettings(BaseModel):
    """How Functions are called; each is a field of `SutroFunction`. Keys and URLs are not."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    timeout: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Seconds until a read times out."
    )
    max_retries: int = Field(default=3, ge=0, description="Maximum number of retries.")
    confidence_scoring: bool = Field(default=True, description="False skips the scoring.")
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, description="Refuse answers with a lower confidence."
    )
    job_priority: Literal[0, 1] = Field(default=0, description="0 prototyping, 1 production.")
    batch_mode: Literal["job", "realtime"] = Field(
        default="job", description="Whether a batch is one job or many runs at once."
    )
    forward_trace_context: bool = Field(
        default=True, description="Add the active trace's metadata and tags to the runs."
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Added to every run.")
    tags: list[str] | None = Field(default=None, description="Added to every run.")
