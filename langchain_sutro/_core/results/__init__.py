"""Results: the payload of one call, and the results of a job as rows or as a table."""

from langchain_sutro._core.results.batch import BatchResults, usd
from langchain_sutro._core.results.confidence import check_min_confidence, is_confident
from langchain_sutro._core.results.export import write_csv
from langchain_sutro._core.results.folder import Folder
from langchain_sutro._core.results.labels import LabelCounts
from langchain_sutro._core.results.model import AnsweringModel, model_warnings
from langchain_sutro._core.results.payload import FunctionResult, answer_fields, parse_output_model
from langchain_sutro._core.results.records import records_table
from langchain_sutro._core.results.sdk_frame import results_frame
from langchain_sutro._core.results.target import disk_errors, written
from langchain_sutro._core.results.written_parts import (
    PartsTable,
    WriteOptions,
    WrittenPart,
    parts_table,
    read_part,
    write_part,
)

__all__ = [
    "AnsweringModel",
    "BatchResults",
    "Folder",
    "FunctionResult",
    "LabelCounts",
    "PartsTable",
    "WriteOptions",
    "WrittenPart",
    "answer_fields",
    "check_min_confidence",
    "disk_errors",
    "is_confident",
    "model_warnings",
    "parse_output_model",
    "parts_table",
    "read_part",
    "records_table",
    "results_frame",
    "usd",
    "write_csv",
    "write_part",
    "written",
]
