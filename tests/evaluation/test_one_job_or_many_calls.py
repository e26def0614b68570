"""One job compared with one call for each example: time and requests."""

import time

import pytest
from langsmith import Client, evaluate

from langchain_sutro.evaluation.dataset import evaluate_dataset
from tests.support.experiments import (
    dataset,
    one_by_one,
)

# LangSmith's older clients know no other word for an example's reference outputs.
pytestmark = pytest.mark.filterwarnings("ignore:'outputs' is deprecated")


@pytest.mark.slow
@pytest.mark.parametrize("count", [200])
def test_one_job_beside_one_call_for_each_example(smith, service, count):
    """The service answers after 200 ms; time and requests are printed, requests are checked."""
    print(compare(smith, service, count))


def compare(smith, service, count):
    """Time and requests of both ways, over a data set of that many examples."""
    dataset(smith.smith, "many", count)
    service.deployment.faults.add("*", delay=0.2)
    client = Client(api_url=smith.url, api_key="lsv2_test")
    start, before = time.perf_counter(), len(service.deployment.requests)
    evaluate(
        one_by_one(service.function),
        data="many",
        evaluators=[service.judge],
        client=client,
        max_concurrency=10,
    ).wait()
    client.flush()
    smith.violations[:] = [one for one in smith.violations if "version 7" not in one]
    singles = (time.perf_counter() - start, len(service.deployment.requests) - before)
    start, before = time.perf_counter(), len(service.deployment.requests)
    evaluate_dataset(service.function, "many", evaluators=[service.judge], client=client)
    client.flush()
    jobs = (time.perf_counter() - start, len(service.deployment.requests) - before)
    assert singles[1] == 2 * count
    assert jobs[1] < 60
    assert service.jobs() == 2
    return (
        f"{count:,} examples: one call for each {singles[0]:.1f} s, {singles[1]:,} requests; "
        f"one job {jobs[0]:.1f} s, {jobs[1]} requests"
    )
