"""Rows: any table as rows of JSON, checked against a schema, and spooled to disk if large."""

from langchain_sutro._rows.json_rows import dump_row, encode_row, kind_name, loaded
from langchain_sutro._rows.remote import RemoteTable
from langchain_sutro._rows.schema import InputSchema, model_of
from langchain_sutro._rows.spool import SpooledRows, split_rows, spool_rows
from langchain_sutro._rows.tables import open_table

__all__ = [
    "InputSchema",
    "RemoteTable",
    "SpooledRows",
    "dump_row",
    "encode_row",
    "kind_name",
    "loaded",
    "model_of",
    "open_table",
    "split_rows",
    "spool_rows",
]
