"""Faults to order: what goes wrong with requests, jobs, progress streams and storage."""

from __future__ import annotations

from langchain_sutro.local.faults.faults import Faults
from langchain_sutro.local.faults.kinds import HttpFault, JobFault, ProgressFault, strikes

__all__ = [
    "Faults",
    "HttpFault",
    "JobFault",
    "ProgressFault",
    "strikes",
]
