"""The rows of a table as they are sent."""

import json

from langchain_sutro._core.rows import spool_rows


def rows_of(data, **options) -> list:
    """The rows of any table, encoded and decoded.

    Args:
        data: The table.
        **options: Those of `spool_rows`.
    """
    spooled = spool_rows(data, **options)
    rows = json.loads(b"".join(spooled.pieces()))
    assert len(rows) == spooled.count
    return rows
