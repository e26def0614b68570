"""Tables of clusters: parts that workers write and the driver commits, and their results."""

from langchain_sutro._core.staging.joined import CONFIDENCE, ERROR, OUTPUT, OutputColumns
from langchain_sutro._core.staging.parts import CommittedParts, PartWriter, StagedPart, committed
from langchain_sutro._core.staging.reader import PartReader
from langchain_sutro._core.staging.stage import Stage, open_stage
from langchain_sutro._core.staging.submitted import (
    judged_parts,
    manifest_path,
    staged_parts,
    submit_parts,
)

__all__ = [
    "CONFIDENCE",
    "ERROR",
    "OUTPUT",
    "CommittedParts",
    "OutputColumns",
    "PartReader",
    "PartWriter",
    "Stage",
    "StagedPart",
    "committed",
    "judged_parts",
    "manifest_path",
    "open_stage",
    "staged_parts",
    "submit_parts",
]
