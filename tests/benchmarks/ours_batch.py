"""The package with large tables: one case is measured in one process."""

import os
from pathlib import Path

import orjson

from langchain_sutro import BatchResults
from langchain_sutro._core.jobs import fetch_results
from langchain_sutro._core.rows import spool_rows
from tests.benchmarks.data import WARM_UP, load
from tests.benchmarks.ours import client, function
from tests.benchmarks.worker import once, saved, serve

CHUNK_ROWS = 10_000


def submit(url, table, rows, folder):
    send = function(url).submit
    send(load(table, f"{folder}/{WARM_UP}"))
    data = load(table, f"{folder}/{rows}")
    measured = once(lambda: send(data).job_id)
    assert measured.pop("result") == f"job-{rows}"
    return measured


def encode(table, rows, folder):
    """All of a submission but the sending: checked, hashed, and kept to be sent again."""
    spool_rows(load(table, f"{folder}/{WARM_UP}")).close()
    data = load(table, f"{folder}/{rows}")
    measured = once(lambda: spool_rows(data))
    assert len(measured.pop("result")) == rows
    return measured


def encode_plainly(table, rows, folder):
    """The same JSON, written once into a stream that keeps nothing."""
    write = PLAINLY[table]
    with Path(os.devnull).open("wb") as stream:
        write(load(table, f"{folder}/{WARM_UP}"), stream)
        data = load(table, f"{folder}/{rows}")
        measured = once(lambda: write(data, stream))
    del measured["result"]
    return measured


def _write_list(rows, stream):
    for start in range(0, len(rows), CHUNK_ROWS):
        stream.write(orjson.dumps(rows[start : start + CHUNK_ROWS]))


def _write_polars(frame, stream):
    frame.write_ndjson(stream)


def _write_parquet(path, stream):
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(CHUNK_ROWS):
        stream.write(orjson.dumps(batch.to_pylist()))


PLAINLY = {"list": _write_list, "polars": _write_polars, "parquet": _write_parquet}


def results(url, how, unpack, rows):
    fetch = FETCH[how]
    fetch(url, f"job-{WARM_UP}", unpack)
    measured = once(lambda: fetch(url, f"job-{rows}", unpack))
    assert len(measured.pop("result")) == rows
    return measured


def _frame(url, job_id, unpack):
    return client(url).get_job_results(job_id, unpack_json=unpack)


def _arrow(url, job_id, unpack):
    return fetch_results(client(url), job_id).to_arrow(unpack=unpack)


def _polars(url, job_id, unpack):
    return fetch_results(client(url), job_id).to_polars(unpack=unpack)


def _file(url, job_id, unpack):
    return fetch_results(client(url), job_id)


FETCH = {"frame": _frame, "arrow": _arrow, "polars": _polars, "file": _file}


def download(url, rows):
    return saved(client(url), WARM_UP, rows)


def read(path, warm_up, how):
    """A file of results that is there already, read in one of several ways."""
    READ[how](warm_up)
    measured = once(lambda: READ[how](path))
    del measured["result"]
    return measured


def _ours_raw(path):
    return BatchResults.from_parquet(path).to_arrow(unpack=False)


def _ours_unpacked(path):
    return BatchResults.from_parquet(path).to_arrow()


def _parquet(path):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path)


def _parquet_and_json(path):
    """What Arrow makes of the outputs, right or not."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json

    table = _parquet(path)
    outputs = table["outputs"].cast(pa.large_string()).combine_chunks()
    newline, nothing = (pa.scalar(text, pa.large_string()) for text in ("\n", ""))
    lines = pc.binary_join_element_wise(outputs, newline, nothing).buffers()[2]
    fields = pa.json.read_json(pa.BufferReader(lines))
    return fields.append_column("confidence_score", table["confidence_score"])


READ = {
    "ours raw": _ours_raw,
    "ours unpacked": _ours_unpacked,
    "parquet": _parquet,
    "parquet and json": _parquet_and_json,
}


if __name__ == "__main__":
    serve(
        {
            "submit": submit,
            "results": results,
            "download": download,
            "read": read,
            "encode": encode,
            "encode_plainly": encode_plainly,
        }
    )
