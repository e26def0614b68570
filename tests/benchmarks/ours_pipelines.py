"""Pipelines beside what `one_job` makes of them, without a network."""

import time

from langchain_core.runnables import Runnable, RunnableLambda

from tests.benchmarks.worker import once, serve


class Judged(Runnable):
    """Stands in for a Function: a `batch` of its own, with a run for each row."""

    def invoke(self, row, config=None, **kwargs):
        return self._call_with_config(dict, row, config)

    def batch(self, rows, config=None, *, return_exceptions=False, **kwargs):
        return self._batch_with_config(
            lambda inputs: [dict(row) for row in inputs],
            rows,
            config,
            return_exceptions=return_exceptions,
        )


def pipeline(whole):
    """A plain sequence, as it is or as `one_job` returns it."""
    from langchain_sutro import one_job

    chain = RunnableLambda(dict) | Judged() | RunnableLambda(dict)
    return one_job(chain) if whole else chain


def batch(rows, whole):
    chain = pipeline(whole)
    chain.batch([{"query": "warm"}] * 100)
    data = [{"query": str(number)} for number in range(rows)]
    measured = once(lambda: chain.batch(data))
    assert len(measured.pop("result")) == rows
    return measured


def invoke(number):
    """Seconds of a call of each, in turns, so that both have the same circumstances."""
    plain, whole = pipeline(whole=False), pipeline(whole=True)
    row = {"query": "one"}
    seconds = {"plain": [], "whole": []}
    for _ in range(number):
        for name, chain in (("plain", plain), ("whole", whole)):
            start = time.perf_counter()
            chain.invoke(row)
            seconds[name].append(time.perf_counter() - start)
    return {name: sorted(values)[len(values) // 2] for name, values in seconds.items()}


if __name__ == "__main__":
    serve({"batch": batch, "invoke": invoke})
