"""No asynchronous call holds up its event loop: files, tables and encoding go to threads."""

import csv
import json

import langsmith
import pytest
from blockbuster import BlockingError
from langchain_core.runnables import RunnableLambda

from langchain_sutro import SutroClient, SutroFunction, SutroJob, SutroJobGroup
from tests.support.blocking_calls import guard
from tests.support.calls import LEAD

ROWS = [{"query": f"Quote for {n} seats", "region": "APAC"} for n in range(6000)]


@pytest.fixture
def unblocked(deployment):
    """The settings of a deployment, under the guard."""
    with guard():
        yield {"api_url": deployment.url, "api_key": deployment.api_key}


async def test_the_guard_notices_a_blocking_call(unblocked):
    with pytest.raises(BlockingError):
        SutroClient(**unblocked).list_jobs()


async def test_a_run_does_not_block(unblocked):
    assert (await SutroFunction("lead-qualifier", **unblocked).ainvoke(LEAD)).answer
    assert (await SutroClient(**unblocked).arun_function("lead-qualifier", LEAD)).answer


async def test_reading_the_login_file_does_not_block(unblocked, tmp_path, monkeypatch):
    (tmp_path / ".sutro").mkdir()
    (tmp_path / ".sutro" / "config.json").write_text(json.dumps(unblocked))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await SutroFunction("lead-qualifier").ainvoke(LEAD)).answer


async def test_a_batch_does_not_block(unblocked):
    function = SutroFunction("lead-qualifier", **unblocked)
    assert len(await function.abatch(ROWS[:20])) == 20
    assert len(await function.abatch(ROWS)) == len(ROWS)


async def test_a_table_from_a_file_and_its_results_do_not_block(unblocked, tmp_path):
    path = tmp_path / "leads.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(LEAD))
        writer.writeheader()
        writer.writerows(ROWS)
    job = await SutroFunction("lead-qualifier", **unblocked).asubmit(path)
    results = await job.aresults()
    assert len(results) == len(ROWS)
    taken = SutroJob.from_id(job.job_id, client=SutroClient(**unblocked))
    assert await taken.astatus() == "SUCCEEDED"
    assert len(await SutroClient(**unblocked).aget_job_results(job.job_id)) == len(ROWS)


async def test_parts_and_reuse_do_not_block(unblocked, tmp_path):
    function = SutroFunction("lead-qualifier", **unblocked)
    group = await function.asubmit_in_parts(ROWS[:30], 10, checkpoint=tmp_path / "m.json")
    assert len(await group.aresults()) == 30
    assert (await group.awrite_results(tmp_path / "out"))["rows"] == 30


async def test_files_that_are_a_job_each_do_not_block(unblocked, tmp_path):
    paths = [tmp_path / f"{number}.csv" for number in range(2)]
    for path in paths:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(LEAD))
            writer.writeheader()
            writer.writerows(ROWS[:5])
    function = SutroFunction("lead-qualifier", poll_interval=0.05, **unblocked)
    place = tmp_path / "m.json"
    group = await function.asubmit_in_parts(paths, max_jobs=1, checkpoint=place)
    assert (await group.awrite_results(tmp_path / "out", inputs=True))["rows"] == 10
    assert (await SutroJobGroup.aresume(place, client=function.client)).rows == 10


async def test_a_traced_run_does_not_block(deployment, langsmith_recorder):
    # LangChain's tracer and LangSmith's client read files when they are first used.
    await RunnableLambda(lambda _: None, name="first").ainvoke(0)
    with langsmith.trace("second"):
        pass
    with guard():
        settings = {"api_url": deployment.url, "api_key": deployment.api_key}
        assert (await SutroFunction("lead-qualifier", **settings).ainvoke(LEAD)).answer
        assert (await SutroClient(**settings).arun_function("lead-qualifier", LEAD)).answer
    langsmith_recorder.wait()
    assert len(langsmith_recorder.by_name("lead-qualifier")) == 2
