"""Rows: any table as rows of JSON, checked against a schema, and spooled to disk if large."""

from langchain_sutro._core.rows.columns import Columns, Fields, without_surplus
from langchain_sutro._core.rows.dumped_models import MASK, SECRETS, model_values
from langchain_sutro._core.rows.file_set import (
    FileSet,
    TableFile,
    file_rows,
    files_of,
    identify,
    parts_of,
)
from langchain_sutro._core.rows.input_tables import (
    FileRows,
    InputRows,
    count_rows,
    schema_of_inputs,
)
from langchain_sutro._core.rows.json_cells import kind_name, loaded
from langchain_sutro._core.rows.json_rows import dump_row, encode_row
from langchain_sutro._core.rows.json_schema import schema_problems
from langchain_sutro._core.rows.model_names import incoming_names
from langchain_sutro._core.rows.object_store import file_system, in_object_store, store_errors
from langchain_sutro._core.rows.remote import RemoteTable, remote_table
from langchain_sutro._core.rows.schema import ExtraFields, InputSchema, model_of
from langchain_sutro._core.rows.spool import SpooledRows, split_rows, spool_rows
from langchain_sutro._core.rows.table_files import PLAIN_ENDINGS, file_columns
from langchain_sutro._core.rows.tables import check_no_fields, open_table, table_for

__all__ = [
    "MASK",
    "PLAIN_ENDINGS",
    "SECRETS",
    "Columns",
    "ExtraFields",
    "Fields",
    "FileRows",
    "FileSet",
    "InputRows",
    "InputSchema",
    "RemoteTable",
    "SpooledRows",
    "TableFile",
    "check_no_fields",
    "count_rows",
    "dump_row",
    "encode_row",
    "file_columns",
    "file_rows",
    "file_system",
    "files_of",
    "identify",
    "in_object_store",
    "incoming_names",
    "kind_name",
    "loaded",
    "model_of",
    "model_values",
    "open_table",
    "parts_of",
    "remote_table",
    "schema_of_inputs",
    "schema_problems",
    "split_rows",
    "spool_rows",
    "store_errors",
    "table_for",
    "without_surplus",
]
