"""Tables behind a download URL: uncompressed CSV or Parquet, fetched once when the job starts."""

from __future__ import annotations

import csv
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["SourceError", "Table", "download", "open_table"]

_TIMEOUT = httpx.Timeout(30.0)
# For the download as a whole: its seconds, and its bytes after decompression.
_SECONDS, _LARGEST = 600.0, 2**31


class SourceError(Exception):
    """The table cannot be fetched or read. The message never carries the URL's query."""


class Table:
    """A table on disk.

    Attributes:
        schema: Its columns; those of a CSV are text.
    """

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self.schema = schema
        self._batches = batches

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, read batch by batch.

        Raises:
            SourceError: They cannot be read.
        """
        try:
            for batch in self._batches():
                yield from batch.to_pylist()
        # Arrow's errors are ValueErrors, those of damaged pages OSErrors; a time that Python cannot
        # hold overflows.
        except (ValueError, OSError, OverflowError) as error:
            raise SourceError(f"The table cannot be read: {type(error).__name__}.") from None


def download(url: str, path: Path, stopped: Callable[[], bool]) -> None:
    """Fetch a table with one GET, which is not repeated.

    Args:
        url: http or https.
        path: Where to.
        stopped: Whether to give up, asked between pieces.

    Raises:
        SourceError: It is not there, too large or too slow, or redirects: another host is not what
            the user named.
    """
    end = time.monotonic() + _SECONDS
    shown = url.partition("?")[0]
    try:
        request = httpx.Request("GET", url, extensions={"timeout": _TIMEOUT.as_dict()})
        # Proxies and netrc of this machine are nobody's business but its own. A client would log
        # the whole URL, which may be presigned.
        with (
            httpx.HTTPTransport(trust_env=False) as transport,
            closing(transport.handle_request(request)) as response,
            path.open("wb") as file,
        ):
            if response.is_redirect:
                raise SourceError(f"GET {shown} redirects, which is not followed.")
            if response.status_code != 200:
                raise SourceError(f"GET {shown} was answered with {response.status_code}.")
            for piece in response.iter_bytes(1 << 20):
                if file.tell() + len(piece) > _LARGEST:
                    raise SourceError(f"GET {shown} gave more than {_LARGEST:,} bytes.")
                if time.monotonic() > end:
                    raise SourceError(f"GET {shown} took longer than {_SECONDS:g} s.")
                file.write(piece)
                if stopped():
                    return
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"GET {shown} failed: {type(error).__name__}.") from None


def open_table(path: Path) -> Table:
    """Open a downloaded table.

    Raises:
        SourceError: It is neither Parquet nor CSV.
    """
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    try:
        return _parquet(path) if is_parquet else _csv(path)
    except (pa.ArrowException, UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise SourceError(f"The table cannot be read: {type(error).__name__}.") from None


def _parquet(path: Path) -> Table:
    file = pq.ParquetFile(path)
    return Table(file.schema_arrow, lambda: file.iter_batches(batch_size=4000))


def _csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file))
    schema = pa.schema([(name, pa.string()) for name in names])
    # Cells stay what they are: 00123 is not a number, and an empty cell is an empty string.
    convert = pyarrow.csv.ConvertOptions(column_types=schema, strings_can_be_null=False)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return Table(
        schema,
        lambda: iter(pyarrow.csv.open_csv(path, convert_options=convert, parse_options=parse)),
    )
