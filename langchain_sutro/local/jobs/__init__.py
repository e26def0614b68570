"""Batch jobs: the store of them, the worker that runs them, and the files that they leave."""

from __future__ import annotations

from langchain_sutro.local.jobs.artifacts import InputWriter, JobFiles, Variant
from langchain_sutro.local.jobs.quotas import Quota, Quotas
from langchain_sutro.local.jobs.store import ENDED, Job, Store, now
from langchain_sutro.local.jobs.tokens import cost_usd, count_tokens
from langchain_sutro.local.jobs.worker import Worker

__all__ = [
    "ENDED",
    "InputWriter",
    "Job",
    "JobFiles",
    "Quota",
    "Quotas",
    "Store",
    "Variant",
    "Worker",
    "cost_usd",
    "count_tokens",
    "now",
]
