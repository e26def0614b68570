"""Jobs that an agent's model starts: what it may ask for, what it is told, what it never gets."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from langchain_sutro import SutroFunction, SutroJob
from langchain_sutro.agents.job_toolkit import SutroJobToolkit
from langchain_sutro.agents.jobs.known_jobs import KnownJobs
from langchain_sutro.errors import (
    SutroConfigurationError,
    SutroInputError,
    SutroJobError,
    SutroNotFoundError,
)
from tests.support.blocking_calls import guard
from tests.support.job_tools import (
    LEADS,
    Lead,
    as_call,
    both_ways,
    full_jobs,
    told,
    tools_of,
)


@pytest.fixture
def gate(deployment):
    """Lets the Function's jobs run on, once it is set."""
    opened = threading.Event()

    def judge(row):
        opened.wait(30)
        return "qualified"

    deployment.publish(
        "lead-qualifier",
        judge,
        input_schema=Lead.model_json_schema(),
        output_schema={"type": "string"},
    )
    yield opened
    opened.set()


class TestAJobsLife:
    @both_ways
    async def test_a_job_is_started_looked_at_and_read_page_by_page(
        self, qualify, deployment, sync
    ):
        tools = tools_of(qualify, page_rows=2)
        status, started = await told(tools, "start_job", sync=sync, rows=LEADS)
        assert (status, started["rows"]) == ("success", 3)
        job_id = started["job_id"]
        _, known = await told(tools, "job_status", sync=sync, job_id=job_id, wait_seconds=30)
        assert (known["status"], known["rows_done"], known["rows_total"]) == ("SUCCEEDED", 3, 3)
        _, page = await told(tools, "fetch_results", sync=sync, job_id=job_id, limit=50)
        assert [row["answer"] for row in page["rows"]] == ["qualified", "not_qualified"]
        assert page["rows"][0].keys() == {"row", "answer", "confidence", "rationale"}
        assert (page["rows_total"], page["next_offset"]) == (3, 2)
        _, rest = await told(tools, "fetch_results", sync=sync, job_id=job_id, offset=2)
        assert [row["row"] for row in rest["rows"]] == [2]
        assert rest["next_offset"] is None
        status, said = await told(tools, "fetch_results", sync=sync, job_id=job_id, offset=3)
        assert (status, said) == ("error", "offset must be below 3, the number of rows.")
        assert len(full_jobs(deployment)) == 1
        assert sum("job-results" in request.path for request in deployment.requests) == 1

    def test_code_gets_the_whole_payload_of_a_page(self, qualify):
        tools = tools_of(qualify)
        job = tools["start_job"].invoke(as_call(tools["start_job"], rows=LEADS)).artifact
        tools["job_status"].invoke({"job_id": job["job_id"], "wait_seconds": 30})
        page = tools["fetch_results"].invoke(as_call(tools["fetch_results"], job_id=job["job_id"]))
        assert page.artifact["rows"][0]["output"]["label"] == "qualified"

    @both_ways
    async def test_a_job_can_be_cancelled_and_has_no_results_before_its_end(
        self, qualify, gate, sync
    ):
        tools = tools_of(qualify)
        _, job = await told(tools, "start_job", sync=sync, rows=LEADS)
        status, said = await told(tools, "fetch_results", sync=sync, job_id=job["job_id"])
        assert status == "error"
        assert "later" in said
        _, known = await told(tools, "job_status", sync=sync, job_id=job["job_id"], wait_seconds=0)
        assert known["status"] in ("QUEUED", "STARTING", "RUNNING")
        _, asked = await told(tools, "cancel_job", sync=sync, job_id=job["job_id"])
        gate.set()
        assert asked == {"job_id": job["job_id"], "cancelling": True}
        _, known = await told(tools, "job_status", sync=sync, job_id=job["job_id"], wait_seconds=30)
        assert known["status"] == "CANCELLED"
        assert known["reason"]

    def test_a_look_never_waits_longer_than_it_may(self, qualify, gate):
        tools = tools_of(qualify, max_wait=0.2)
        job_id = json.loads(tools["start_job"].invoke({"rows": LEADS}))["job_id"]
        known = json.loads(tools["job_status"].invoke({"job_id": job_id, "wait_seconds": 10**6}))
        assert known["status"] != "SUCCEEDED"

    async def test_a_look_that_is_interrupted_leaves_the_job_alone(self, qualify, gate):
        tools = tools_of(qualify.model_copy(update={"on_interrupt": "cancel"}))
        _, job = await told(tools, "start_job", sync=False, rows=LEADS)
        look = told(tools, "job_status", sync=False, job_id=job["job_id"], wait_seconds=30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(look, 0.3)
        gate.set()
        _, known = await told(
            tools, "job_status", sync=False, job_id=job["job_id"], wait_seconds=30
        )
        assert known["status"] == "SUCCEEDED"

    @both_ways
    async def test_a_job_that_failed_tells_why(self, qualify, deployment, sync):
        tools = tools_of(qualify)
        deployment.faults.add_job(fail="the model provider is down")
        _, job = await told(tools, "start_job", sync=sync, rows=LEADS)
        _, known = await told(tools, "job_status", sync=sync, job_id=job["job_id"], wait_seconds=30)
        assert known["status"] == "FAILED"
        assert "the model provider is down" in known["reason"]
        status, said = await told(tools, "fetch_results", sync=sync, job_id=job["job_id"])
        assert (status, "FAILED" in said, "later" in said) == ("error", True, False)

    def test_a_row_without_answer_is_told_in_its_place(self, qualify, deployment):
        tools = tools_of(qualify)
        deployment.faults.add_job(null_rows=[1])
        job_id = json.loads(tools["start_job"].invoke({"rows": LEADS}))["job_id"]
        tools["job_status"].invoke({"job_id": job_id, "wait_seconds": 30})
        page = json.loads(tools["fetch_results"].invoke({"job_id": job_id}))
        assert ["error" in row for row in page["rows"]] == [False, True, False]

    def test_long_results_are_cut_to_fit(self, qualify, deployment):
        deployment.publish(
            "lead-qualifier",
            lambda row: row.query * 100,
            input_schema=Lead,
            output_schema={"type": "string"},
        )
        tools = tools_of(qualify, page_chars=300)
        rows = [{"query": "x" * size, "region": ""} for size in (1, 1, 1, 9)]
        job_id = json.loads(tools["start_job"].invoke({"rows": rows}))["job_id"]
        tools["job_status"].invoke({"job_id": job_id, "wait_seconds": 30})
        offset, seen = 0, []
        while offset is not None:
            text = tools["fetch_results"].invoke({"job_id": job_id, "offset": offset})
            page = json.loads(text)
            assert len(text) < 600
            seen.append([row["row"] for row in page["rows"]])
            offset = page["next_offset"]
        assert len(seen) > 1
        assert [row for page in seen for row in page] == [0, 1, 2, 3]
        assert page["rows"][-1]["cut"].endswith("…")


class TestLimits:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"rows": LEADS}, "1 to 2 rows, but there are more"),
            ({"rows": []}, "there are none"),
            ({}, "either rows or a file"),
            ({"rows": LEADS[:1], "file": "leads.csv"}, "either rows or a file"),
            ({"file": "leads.csv"}, "No files may be read here"),
            ({"rows": [{"query": "x", "area": "y"}]}, "'region': field required"),
            ({"rows": [LEADS[0], {"query": 1, "region": "x"}]}, "row 1 "),
            ({"rows": "all"}, "rows: Input should be a valid list"),
            ({"row": []}, "row: Extra inputs are not permitted"),
            ({"rows": LEADS[:1], "config": {}, "self": 1, "run_manager": 2}, "self: Extra inputs"),
        ],
    )
    @both_ways
    async def test_what_the_model_can_mend_is_told_before_anything_is_sent(
        self, unreachable, arguments, said, sync
    ):
        tools = tools_of(unreachable, max_rows=2)
        status, message = await told(tools, "start_job", sync=sync, **arguments)
        assert status == "error"
        assert said in message

    @both_ways
    async def test_a_job_above_the_cost_is_not_started(self, qualify, deployment, sync):
        tools = tools_of(qualify, max_cost=0.0)
        status, said = await told(tools, "start_job", sync=sync, rows=LEADS)
        assert status == "error"
        assert "estimated at $" in said
        assert [job["run_type"] for job in deployment.jobs] == ["ESTIMATE"]

    @both_ways
    async def test_equal_rows_are_estimated_once_also_by_another_process(
        self, qualify, deployment, sync
    ):
        for tools in (tools_of(qualify, max_cost=1.0), tools_of(qualify, max_cost=1.0)):
            _, estimate = await told(tools, "estimate_job", sync=sync, rows=LEADS)
            assert 0 < estimate["cost_usd"] < 1
            status, _ = await told(tools, "start_job", sync=sync, rows=LEADS)
            assert status == "success"
        assert [job["run_type"] for job in deployment.jobs] == ["ESTIMATE", "FULL", "FULL"]

    def test_a_job_without_an_estimate_is_not_started_and_that_is_raised(self, qualify, deployment):
        tools = tools_of(qualify, max_cost=1.0)
        # The second look, which would carry the estimate.
        deployment.faults.add("jobs/*", json={"job": {"job_id": "x", "status": "SUCCEEDED"}},
                              status=200)  # fmt: skip
        with pytest.raises(SutroJobError, match="gave no estimate for 3 rows"):
            tools["start_job"].invoke(as_call(tools["start_job"], rows=LEADS))
        assert full_jobs(deployment) == []

    def test_what_the_model_cannot_mend_is_raised(self, deployment):
        function = SutroFunction(
            "no-such-function", api_url=deployment.url, api_key=deployment.api_key
        )
        tools = tools_of(function)
        with pytest.raises(SutroNotFoundError):
            tools["start_job"].invoke(as_call(tools["start_job"], rows=LEADS))

    def test_code_gets_the_error_itself(self, qualify):
        with pytest.raises(SutroInputError) as caught:
            tools_of(qualify)["start_job"].invoke({"rows": [LEADS[0], {}]})
        assert caught.value.row_index == 1


class TestWhoseJob:
    @both_ways
    async def test_only_jobs_started_here_are_looked_at(self, qualify, deployment, sync):
        other = qualify.submit(LEADS).job_id
        tools = tools_of(qualify)
        asked = len(deployment.requests)
        for name in ("job_status", "fetch_results", "cancel_job"):
            status, said = await told(tools, name, sync=sync, job_id=other)
            assert status == "error"
            assert "No job has been started yet" in said
        assert len(deployment.requests) == asked
        _, mine = await told(tools, "start_job", sync=sync, rows=LEADS)
        _, said = await told(tools, "cancel_job", sync=sync, job_id=other)
        assert f"Jobs started here: {mine['job_id']}." in said

    def test_jobs_may_be_listed_while_others_start(self, qualify, deployment):
        class Scope(str):
            __slots__ = ()
            __hash__ = str.__hash__

            def __eq__(self, other):
                # Another thread starts jobs in the middle of the list.
                start_some()
                return str.__eq__(self, other)

        job, config = qualify.submit(LEADS), {}
        known = KnownJobs(qualify, None, any_job=False)
        known.add(job, config)

        def start_some():
            for number in range(20):
                known.add(SutroJob(f"job-{number}", client=qualify.client), config)

        assert known._listing(Scope("")) == f"Jobs started here: {job.job_id}."

    @both_ways
    async def test_jobs_of_a_scope_are_known_to_another_process(self, qualify, sync):
        _, job = await told(tools_of(qualify, scope="acme"), "start_job", sync=sync, rows=LEADS)
        asked = {"sync": sync, "job_id": job["job_id"], "wait_seconds": 30}
        status, known = await told(tools_of(qualify, scope="acme"), "job_status", **asked)
        assert (status, known["status"], known["rows_total"]) == ("success", "SUCCEEDED", 3)
        for others in ({"scope": "other"}, {}):
            status, said = await told(tools_of(qualify, **others), "job_status", **asked)
            assert (status, "no job" in said) == ("error", True)

    @both_ways
    async def test_threads_of_one_agent_do_not_see_each_others_jobs(self, qualify, sync):
        tools = tools_of(qualify, scope=lambda config: config["configurable"]["thread_id"])
        one, two = ({"configurable": {"thread_id": name}} for name in ("one", "two"))
        _, job = await told(tools, "start_job", sync=sync, config=one, rows=LEADS)
        for config, expected in ((one, "success"), (two, "error")):
            status, _ = await told(
                tools, "job_status", sync=sync, config=config, job_id=job["job_id"]
            )
            assert status == expected

    @both_ways
    async def test_a_job_of_one_scope_is_not_reused_for_another(self, qualify, deployment, sync):
        function = qualify.model_copy(update={"reuse_jobs": timedelta(hours=1)})
        started = [
            (await told(tools_of(function, **scope), "start_job", sync=sync, rows=LEADS))[1]
            for scope in ({"scope": "one"}, {"scope": "two"}, {}, {"scope": "one"})
        ]
        one, two, nobody, again = (job["job_id"] for job in started)
        assert again == one
        assert len({one, two, nobody}) == len(full_jobs(deployment)) == 3

    def test_a_scope_that_is_empty_is_an_error(self, qualify, deployment):
        tools = tools_of(qualify, scope=lambda config: None)
        with pytest.raises(SutroConfigurationError, match="scope"):
            tools["start_job"].invoke({"rows": LEADS})
        assert deployment.jobs == []

    @both_ways
    async def test_all_jobs_of_the_function_only_if_the_developer_says_so(self, qualify, sync):
        other = qualify.submit(LEADS).job_id
        tools = tools_of(qualify, any_job=True)
        status, known = await told(tools, "job_status", sync=sync, job_id=other, wait_seconds=30)
        assert (status, known["status"]) == ("success", "SUCCEEDED")
        status, _ = await told(tools, "job_status", sync=sync, job_id="job-none")
        assert status == "error"

    def test_a_job_of_another_function_is_never_looked_at(self, qualify):
        extract = SutroFunction("lead-extractor", api_url=qualify.api_url,
                                api_key=qualify.sutro_api_key)  # fmt: skip
        other = extract.submit([{"text": "Acme"}]).job_id
        with pytest.raises(SutroInputError, match="no job"):
            tools_of(qualify, any_job=True)["job_status"].invoke({"job_id": other})

    @pytest.mark.parametrize("job_id", ["../auth/check", "a/b", ".", "job?x=1", "\u0000"])
    def test_no_job_id_leads_to_another_endpoint(self, qualify, deployment, job_id):
        with pytest.raises(SutroInputError, match="no job"):
            tools_of(qualify, any_job=True)["cancel_job"].invoke({"job_id": job_id})
        assert all("/jobs/" in request.path for request in deployment.requests)


class TestWhatTheModelSees:
    def test_the_schema_has_the_functions_own_fields(self, unreachable, root):
        tools = tools_of(unreachable, max_rows=7)
        schema = convert_to_openai_tool(tools["start_job"])["function"]["parameters"]
        assert schema["required"] == ["rows"]
        assert schema["properties"]["rows"]["maxItems"] == 7
        assert "file" not in schema["properties"]
        found = tools_of(unreachable, root=root)["start_job"].tool_call_schema
        assert found["properties"]["rows"]["items"]["required"] == ["query", "region"]
        assert "file" in found["properties"]

    def test_references_of_the_fields_stay_true(self):
        class Part(BaseModel):
            size: int

        class Whole(BaseModel):
            parts: list[Part]

        schema = tools_of(SutroFunction("f", args_schema=Whole))["start_job"].args_schema
        assert "Part" in schema["$defs"]
        assert "$defs" not in schema["properties"]["rows"]["items"]

    def test_names_are_of_the_function_and_valid(self):
        for name in ("lead-qualifier", "x" * 100, "y" * 64, "éè"):
            toolkit = SutroJobToolkit(function=SutroFunction(name))
            names = [tool.name for tool in toolkit.get_tools()]
            assert len(set(names)) == 5
            assert all(len(name) <= 64 for name in names)
            assert toolkit.start_tool == names[0]
        assert SutroJobToolkit(function=SutroFunction("a"), prefix="leads").start_tool == (
            "leads_start_job"
        )

    def test_neither_key_nor_root_is_shown(self, unreachable, root):
        toolkit = SutroJobToolkit(function=unreachable, root=root)
        shown = json.dumps([convert_to_openai_tool(tool) for tool in toolkit.get_tools()])
        assert str(root) not in shown
        for text in (shown, repr(toolkit), repr(toolkit.get_tools())):
            assert "sk-local" not in text


async def test_no_job_tool_blocks_its_event_loop(qualify, root):
    toolkit = SutroJobToolkit(function=qualify, root=root, prefix="", max_cost=1.0)
    tools = {tool.name: tool for tool in toolkit.get_tools()}
    when = toolkit.needs_approval(rows=1, cost=1.0)
    with guard():
        assert when(SimpleNamespace(tool_call={"args": {"file": "leads.csv"}}))
        assert when(SimpleNamespace(tool_call={"args": {"rows": LEADS[:1]}}))
        for file in ("leads.csv", "sub/leads.parquet"):
            job = json.loads(await tools["start_job"].ainvoke({"file": file}))["job_id"]
            await tools["job_status"].ainvoke({"job_id": job, "wait_seconds": 30})
            page = json.loads(await tools["fetch_results"].ainvoke({"job_id": job}))
            assert len(page["rows"]) == 3
            await tools["cancel_job"].ainvoke({"job_id": job})


def test_threads_share_the_tools(qualify):
    tools = tools_of(qualify)
    start, status, fetch = (tools[name] for name in ("start_job", "job_status", "fetch_results"))

    def whole(number):
        rows = [{**LEADS[0], "region": f"{number}-{index}"} for index in range(number + 1)]
        job_id = json.loads(start.invoke({"rows": rows}))["job_id"]
        status.invoke({"job_id": job_id, "wait_seconds": 30})
        return json.loads(fetch.invoke({"job_id": job_id}))["rows_total"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(whole, range(8))) == list(range(1, 9))


@both_ways
@pytest.mark.parametrize("levels", [100, 600, 3000])
@pytest.mark.parametrize("name", ["start_job", "estimate_job", "job_status"])
async def test_arguments_of_many_levels_are_returned_to_the_model(unreachable, name, levels, sync):
    deep = "x"
    for _ in range(levels):
        deep = {"query": deep}
    arguments = {"job_id": deep} if name == "job_status" else {"rows": [{"query": deep}]}
    status, said = await told(tools_of(unreachable), name, sync=sync, **arguments)
    assert status == "error"
    assert len(said) < 2_000
