"""The package with every row traced."""

import time

from tests.benchmarks.data import load
from tests.benchmarks.ours import KEY, NAME
from tests.benchmarks.worker import LEAD, once, serve

LEADS = [LEAD] * 100


def job(url, rows, folder):
    """Submit a table and read its results, each row traced if the environment says so."""
    from langchain_sutro import SutroFunction

    function = SutroFunction(NAME, api_url=url, api_key=KEY, trace_rows=rows)
    function.submit(LEADS).results().to_arrow()
    _flush()
    data = load("list", f"{folder}/{rows}")

    def work():
        start, caller = time.perf_counter(), time.thread_time()
        results = function.submit(data).results()
        table = results.to_arrow()
        ready, caller = time.perf_counter() - start, time.thread_time() - caller
        _flush()
        return {"rows": len(table), "ready": ready, "caller": caller}

    measured = once(work)
    return measured | measured.pop("result")


def _flush():
    from langsmith import run_trees

    from langchain_sutro import wait_for_job_traces

    wait_for_job_traces()
    if run_trees._CLIENT is not None:
        run_trees._CLIENT.flush()


if __name__ == "__main__":
    serve({"job": job})
