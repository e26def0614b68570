"""The package with large tables: one case is measured in one process."""

from langchain_sutro._core.jobs import fetch_results
from tests.benchmarks.data import WARM_UP, load
from tests.benchmarks.ours import client, function
from tests.benchmarks.worker import once, serve


def submit(url, table, rows, folder):
    send = function(url).submit
    send(load(table, f"{folder}/{WARM_UP}"))
    data = load(table, f"{folder}/{rows}")
    measured = once(lambda: send(data).job_id)
    assert measured.pop("result") == f"job-{rows}"
    return measured


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


def read_parquet(path, warm_up):
    """What reading a file that is there already takes."""
    import pyarrow.parquet

    pyarrow.parquet.read_table(warm_up)
    measured = once(lambda: pyarrow.parquet.read_table(path))
    del measured["result"]
    return measured


if __name__ == "__main__":
    serve({"submit": submit, "results": results, "read_parquet": read_parquet})
