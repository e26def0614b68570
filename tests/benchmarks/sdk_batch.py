"""The official SDK with large tables: one case is measured in one process."""

from tests.benchmarks.data import WARM_UP, load
from tests.benchmarks.sdk import NAME, client
from tests.benchmarks.worker import once, saved, serve


def submit(url, table, rows, folder):
    def send(data):
        return client(url).batch_run_function(NAME, data)

    send(load(table, f"{folder}/{WARM_UP}"))
    data = load(table, f"{folder}/{rows}")
    measured = once(lambda: send(data))
    assert measured.pop("result") == f"job-{rows}"
    return measured


def results(url, unpack, rows):
    def fetch(job_id):
        # Its cache would be written besides, which is left out in its favour.
        return client(url).get_job_results(job_id, unpack_json=unpack, disable_cache=True)

    fetch(f"job-{WARM_UP}")
    measured = once(lambda: fetch(f"job-{rows}"))
    assert len(measured.pop("result")) == rows
    return measured


def download(url, rows):
    return saved(client(url), WARM_UP, rows)


if __name__ == "__main__":
    serve({"submit": submit, "results": results, "download": download})
