"""A batch of requests: one job for each Function, and each request with its own outcome."""

import asyncio
import threading

import pytest
from langchain_core.decisions import Choice, Noul, Score

from langchain_sutro import SutroFunction
from langchain_sutro.decisions import DecisionFunction, SutroDecisionModel
from langchain_sutro.errors import (
    SutroConflictError,
    SutroDecisionError,
    SutroInputError,
    SutroJobFailedError,
    SutroRowError,
    SutroServerError,
)
from langchain_sutro.local import Answer
from tests.decisions.conftest import LABEL, OPEN, TEXT, department, runs
from tests.support.amounts import amount
from tests.support.calls import auntil, modes, until, waited_for

DEPT = Choice(instructions="Which?", criteria={"billing": None, "technical": None})
RISKY = Noul(instructions="Is it risky?")


def requests(count, *, more=()):
    words = ["delete it", "the app crashes", "an invoice"]
    states = [*more, *(f"{words[n % 3]} {n}" for n in range(count))]
    return [{"state": state, "questions": {"dept": DEPT, "is_risky": RISKY}} for state in states]


async def batch(mode, model, *arguments, **options):
    if mode == "sync":
        return await asyncio.to_thread(model.batch, *arguments, **options)
    return await model.abatch(*arguments, **options)


@modes
async def test_a_batch_is_one_job_for_each_function(deployment, judges, new_jobs, mode):
    asked = requests(6)
    responses = await batch(mode, judges(), asked)
    assert sorted((job["model"], job["num_rows"]) for job in new_jobs()) == [
        ("department", 6),
        ("tool-risk", 6),
    ]
    assert runs(deployment) == []
    single = [judges().invoke(one) for one in asked]
    assert [one.answers for one in responses] == [one.answers for one in single]
    assert [one.choices["dept"].choice for one in responses[:3]] == [
        "billing",
        "technical",
        "billing",
    ]
    assert [one.nouls["is_risky"].noul for one in responses[:2]] == pytest.approx([0.9, 0.1])
    assert {one.usage for one in responses} == {None}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.timeout(amount(120, 600))
def test_many_requests_are_two_jobs_and_equal_single_calls(
    deployment, judges, new_jobs, langsmith_recorder
):
    count = amount(200, 1000)
    asked = requests(count)
    responses = judges().batch(asked)
    langsmith_recorder.wait()
    assert [job["num_rows"] for job in new_jobs()] == [count, count]
    found = langsmith_recorder.by_name("judges")
    assert len(found) == len(langsmith_recorder.runs) == count
    assert {run["run_type"] for run in found} == {"llm"}
    assert not any(run.get("error") for run in found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGSMITH_TRACING", "false")
        single = judges(batch_mode="realtime").batch(asked, {"max_concurrency": 16})
    assert len(new_jobs()) == 2
    assert [one.answers for one in responses] == [one.answers for one in single]


@modes
async def test_bad_requests_keep_their_errors_and_their_places(judges, new_jobs, mode):
    unknown = {"state": "x", "questions": {"other": RISKY}}
    labels = {"state": "x", "questions": {"is_risky": RISKY, "dept": DEPT}}
    asked = [unknown, *requests(1, more=["bad"]), labels]
    outcomes = await batch(mode, judges(), asked, return_exceptions=True)
    assert isinstance(outcomes[0], SutroInputError)
    assert isinstance(outcomes[1], SutroRowError)
    assert (outcomes[1].row_index, outcomes[1].question) == (1, "dept")
    assert "Question 'dept'" in str(outcomes[1])
    assert outcomes[2].nouls["is_risky"].noul == pytest.approx(0.9)
    assert outcomes[3].choices["dept"].choice == "billing"
    assert [job["num_rows"] for job in new_jobs()] == [3, 3]


@modes
async def test_without_return_exceptions_nothing_is_sent_for_a_bad_request(judges, new_jobs, mode):
    asked = [*requests(2), {"state": "x", "questions": {"other": RISKY}}]
    with pytest.raises(SutroInputError, match="'other'"):
        await batch(mode, judges(), asked)
    assert new_jobs() == []
    with pytest.raises(SutroRowError, match="Question 'dept'"):
        await batch(mode, judges(), requests(1, more=["bad"]))


@modes
async def test_a_job_that_fails_fails_the_requests_that_need_it(deployment, judges, new_jobs, mode):
    asked = [*requests(1), {"state": "x", "questions": {"is_risky": RISKY}}]
    deployment.faults.add_job("department", fail="out of luck")
    outcomes = await batch(mode, judges(), asked, return_exceptions=True)
    assert isinstance(outcomes[0], SutroJobFailedError)
    assert str(outcomes[0]).startswith("Question 'dept': ")
    assert outcomes[1].nouls["is_risky"].noul == pytest.approx(0.1)
    deployment.faults.add_job("department", fail="out of luck")
    deployment.faults.add_job("tool-risk", rows_per_second=0.5)
    with pytest.raises(SutroJobFailedError) as caught:
        await batch(mode, judges(), asked)
    # The other job goes on, and is paid for.
    assert [job["job_id"] in caught.value.__notes__[0] for job in new_jobs()[-2:]].count(True) == 1


@modes
async def test_a_null_confidence_of_a_row_is_an_error_of_its_request(deployment, judges, mode):
    deployment.faults.add_job("department", null_confidences=[1])
    outcomes = await batch(mode, judges(), requests(3), return_exceptions=True)
    assert [isinstance(one, SutroDecisionError) for one in outcomes] == [False, True, False]


@modes
async def test_a_batch_of_the_hosted_generation_lacks_what_its_single_calls_have(
    judges, new_jobs, mode
):
    three = Choice(instructions="?", criteria={"billing": None, "technical": None, "sales": None})
    asked = [{"state": "an invoice", "questions": {"dept": three}}]
    model = judges("hosted")
    assert (await model.ainvoke(asked[0])).choices["dept"].probabilities["sales"] == 0.05
    with pytest.raises(SutroDecisionError, match="hosted generation"):
        await batch(mode, model, asked)
    realtime = judges("hosted", batch_mode="realtime")
    before = len(new_jobs())
    assert (await batch(mode, realtime, asked))[0].choices["dept"].choice == "billing"
    assert len(new_jobs()) == before


@modes
async def test_no_requests_are_no_jobs(judges, new_jobs, mode):
    assert await batch(mode, judges(), []) == []
    assert new_jobs() == []


async def test_batches_that_yield_are_one_job_for_each_function(judges, new_jobs):
    asked = requests(3)
    found = list(judges().batch_as_completed(asked))
    assert len(new_jobs()) == 2
    later = [one async for one in judges().abatch_as_completed(asked)]
    assert len(new_jobs()) == 4
    assert found == later
    assert [index for index, _ in found] == [0, 1, 2]
    model = judges(batch_mode="realtime")
    yielded = dict(model.batch_as_completed(asked))
    assert [yielded[n].answers for n in range(3)] == [one.answers for _, one in found]
    assert len([one async for one in model.abatch_as_completed(asked)]) == 3
    assert len(new_jobs()) == 4


def test_questions_of_one_function_share_its_calls_and_its_job(deployment, at, judges, new_jobs):
    same = [SutroFunction("department", **at["deployment"]) for _ in range(2)]
    functions = {
        "dept": DecisionFunction(same[0], fields="text"),
        "also": DecisionFunction(same[1], fields="text", yes=["billing"]),
        "other": DecisionFunction(same[1], fields=lambda state: {"text": "crash"}),
    }
    model = judges(functions=functions)
    questions = {"dept": DEPT, "also": RISKY, "other": DEPT}
    response = model.invoke({"state": "an invoice", "questions": questions})
    assert response.choices["dept"].choice == "billing"
    assert response.nouls["also"].noul == pytest.approx(0.8)
    assert response.choices["other"].choice == "technical"
    assert len(runs(deployment)) == 2
    assert len(model.batch([{"state": "x", "questions": questions}] * 3)) == 3
    assert [job["num_rows"] for job in new_jobs()] == [6]


def test_one_failing_question_fails_the_request_and_is_named(deployment, judges):
    with pytest.raises(SutroServerError, match=r"^Question 'dept': ") as caught:
        judges().invoke(requests(0, more=["bad"])[0])
    assert caught.value.question == "dept"
    with pytest.raises(SutroServerError, match=r"^Question 'dept': "):
        asyncio.run(judges().ainvoke(requests(0, more=["bad"])[0]))
    deployment.publish("department", None, input_schema={}, output_schema={})
    try:
        with pytest.raises(SutroConflictError, match="'dept'"):
            judges().invoke(requests(1)[0])
    finally:
        deployment.publish("department", department, input_schema=TEXT, output_schema=LABEL)


@modes
async def test_questions_are_asked_at_once_but_bounded(deployment, at, mode):
    lock, seen = threading.Lock(), []
    inside = 0
    together = threading.Barrier(3)

    def judge(row):
        nonlocal inside
        with lock:
            inside += 1
            seen.append(inside)
        together.wait(10)
        with lock:
            inside -= 1
        return {"label": "yes"}

    deployment.publish(
        "slow",
        lambda row: Answer(judge(row), confidence=0.9),
        input_schema=OPEN,
        output_schema={"type": "object"},
    )
    model = SutroDecisionModel(
        model="m",
        default=DecisionFunction("slow", fields={"id": "question_id"}),
        max_concurrency=3,
        **at["deployment"],
    )
    request = {"state": "x", "questions": {str(n): RISKY for n in range(9)}}
    if mode == "sync":
        response = await asyncio.to_thread(model.invoke, request)
    else:
        response = await model.ainvoke(request)
    assert len(response.answers) == len(seen) == 9
    assert max(seen) == 3


@modes
async def test_with_retry_repeats_the_requests_that_failed(deployment, judges, new_jobs, mode):
    deployment.faults.add_job("department", null_rows=[1])
    model = judges().with_retry(wait_exponential_jitter=False)
    responses = await batch(mode, model, requests(3))
    assert [one.choices["dept"].choice for one in responses] == ["billing", "technical", "billing"]
    assert [job["num_rows"] for job in new_jobs()] == [3, 3, 1, 1]


def test_a_fallback_answers_the_requests_that_failed(deployment, judges, new_jobs):
    deployment.faults.add_job("department", null_rows=[0, 2])
    model = judges().with_fallbacks([judges(batch_mode="realtime")])
    responses = model.batch(requests(3))
    assert [one.choices["dept"].choice for one in responses] == ["billing", "technical", "billing"]
    assert len(runs(deployment)) == 4


def test_ctrl_c_names_every_job(deployment, judges, press_ctrl_c):
    deployment.faults.add_job("*", times=2, rows_per_second=0.5)
    model = judges()
    before = waited_for(deployment)

    def press():
        # The first job is waited for when all have been submitted.
        until(lambda: waited_for(deployment) > before)
        press_ctrl_c()

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        model.batch(requests(5), return_exceptions=True)
    jobs = {job["job_id"] for job in deployment.jobs[-2:]}
    assert {note.split()[0] for note in caught.value.__notes__} == jobs


async def test_a_cancelled_batch_is_cancelled(deployment, at, judges, new_jobs):
    deployment.faults.add_job("*", times=2, rows_per_second=0.5)
    function = SutroFunction("department", on_interrupt="cancel", **at["deployment"])
    functions = {
        "dept": DecisionFunction(function, fields="text"),
        "is_risky": DecisionFunction("tool-risk", fields="text", yes=["risky"]),
    }
    before = waited_for(deployment)
    task = asyncio.ensure_future(judges(functions=functions).abatch(requests(5)))
    await auntil(lambda: waited_for(deployment) == before + 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    status = {job["model"]: job["status"] for job in new_jobs()}
    assert status["department"] in ("CANCELLING", "CANCELLED")
    assert status["tool-risk"] not in ("CANCELLING", "CANCELLED")


def test_levels_of_a_job_are_those_of_single_calls(judges, new_jobs):
    levels = Score(instructions="How bad?", criteria=["fine", "bad"])
    functions = {"q": DecisionFunction("tool-risk", fields="text", levels=["safe", "risky"])}
    model = judges(functions=functions)
    asked = [{"state": state, "questions": {"q": levels}} for state in ("delete", "read")]
    assert [one.answers for one in model.batch(asked)] == [
        model.invoke(one).answers for one in asked
    ]
    assert len(new_jobs()) == 1
