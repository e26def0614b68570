"""Branches by a Function's answer: one job for a batch, and each branch once."""

import pytest
from langchain_core.runnables import RunnableLambda
from langsmith import tracing_context

from langchain_sutro import SutroFunction, SutroRouter
from langchain_sutro.errors import (
    LowConfidenceError,
    SutroConfigurationError,
    SutroNotFoundError,
)

GOOD = {"query": "We need 200 seats by Friday, budget approved", "region": "APAC"}
BAD = {"query": "please unsubscribe me", "region": "EMEA"}


class Branch(RunnableLambda):
    """Says its name, and counts its batches."""

    def __init__(self, name):
        super().__init__(lambda row: f"{name}: {row['query'][:6]}")
        self.batches = []

    def batch(self, inputs, *args, **kwargs):
        self.batches.append(len(inputs))
        return super().batch(inputs, *args, **kwargs)

    async def abatch(self, inputs, *args, **kwargs):
        self.batches.append(len(inputs))
        return await super().abatch(inputs, *args, **kwargs)


@pytest.fixture
def qualify(deployment):
    return SutroFunction("lead-qualifier", api_url=deployment.url, api_key=deployment.api_key)


@pytest.fixture
def router(qualify):
    return SutroRouter(
        judge=qualify.assign_as("verdict"),
        branches={"qualified": Branch("offer"), "not_qualified": Branch("thanks")},
    )


async def run(router, rows, how, **options):
    if how == "invoke":
        return [router.invoke(row, **options) for row in rows]
    if how == "ainvoke":
        return [await router.ainvoke(row, **options) for row in rows]
    if how == "batch":
        return router.batch(rows, **options)
    return await router.abatch(rows, **options)


hows = pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch"])
batches = pytest.mark.parametrize("how", ["batch", "abatch"])


@hows
async def test_each_row_goes_to_the_branch_of_its_answer(router, how):
    outputs = await run(router, [GOOD, BAD, GOOD], how)
    assert outputs == ["offer: We nee", "thanks: please", "offer: We nee"]


@batches
async def test_a_batch_is_one_job_and_each_branch_runs_once(deployment, router, how):
    await run(router, [GOOD, BAD, GOOD, BAD, GOOD], how)
    assert len(deployment.jobs) == 1
    assert router.branches["qualified"].batches == [3]
    assert router.branches["not_qualified"].batches == [2]


@hows
async def test_what_is_not_certain_enough_goes_to_the_fallback(router, how):
    careful = router.model_copy(update={"min_confidence": 1.0, "fallback": Branch("human")})
    assert await run(careful, [GOOD, BAD], how) == ["human: We nee", "human: please"]


@hows
async def test_without_a_fallback_a_low_confidence_is_an_error(router, how):
    careful = router.model_copy(update={"min_confidence": 1.0})
    with pytest.raises(LowConfidenceError):
        await run(careful, [GOOD], how)


@hows
async def test_an_answer_without_a_branch_is_an_error_or_for_the_fallback(router, how):
    half = router.model_copy(update={"branches": {"qualified": Branch("offer")}})
    with pytest.raises(SutroConfigurationError, match="not_qualified"):
        await run(half, [BAD], how)
    whole = half.model_copy(update={"fallback": Branch("other")})
    assert await run(whole, [BAD, GOOD], how) == ["other: please", "offer: We nee"]


@batches
async def test_rows_without_an_answer_go_to_the_fallback(deployment, router, how):
    deployment.faults.add_job(null_rows=[1])
    safe = router.model_copy(update={"fallback": Branch("human")})
    outputs = await run(safe, [GOOD, BAD, GOOD], how)
    assert outputs == ["offer: We nee", "human: please", "offer: We nee"]


@hows
async def test_a_service_that_refuses_is_an_error_also_with_a_fallback(deployment, how):
    unknown = SutroFunction("no-such", api_url=deployment.url, api_key=deployment.api_key)
    router = SutroRouter(judge=unknown.assign_as("verdict"), branches={}, fallback=Branch("human"))
    with pytest.raises(SutroNotFoundError):
        await run(router, [GOOD], how)


@batches
async def test_a_branch_that_fails_spoils_only_its_own_rows(router, how):
    def fail(row):
        raise ValueError("no")

    router.branches["not_qualified"] = RunnableLambda(fail)
    outputs = await run(router, [GOOD, BAD, GOOD], how, return_exceptions=True)
    assert outputs[0] == outputs[2] == "offer: We nee"
    assert isinstance(outputs[1], ValueError)
    with pytest.raises(ValueError, match="no"):
        await run(router, [GOOD, BAD], how)


@hows
async def test_judge_and_branch_nest_under_one_run_for_each_row(router, langsmith_recorder, how):
    await run(router, [GOOD, BAD], how)
    langsmith_recorder.wait()
    roots = [run for run in langsmith_recorder.ordered() if run.get("parent_run_id") is None]
    assert [root["name"] for root in roots] == ["SutroRouter", "SutroRouter"]
    for root in roots:
        assert len(langsmith_recorder.children(root)) == 2


@hows
async def test_runs_that_are_to_stay_local_are_not_uploaded(router, langsmith_recorder, how):
    with tracing_context(enabled="local"):
        await run(router, [GOOD, BAD], how)
    langsmith_recorder.wait()
    assert langsmith_recorder.ordered() == []


@hows
async def test_yes_and_no_are_branches_too(deployment, how):
    deployment.publish(
        "is-question",
        lambda row: {"verdict": row["query"].endswith("?")},
        input_schema={"type": "object", "properties": {"query": {"type": "string"}}},
        output_schema={"type": "object", "properties": {"verdict": {"type": "boolean"}}},
    )
    judge = SutroFunction("is-question", api_url=deployment.url, api_key=deployment.api_key)
    router = SutroRouter(
        judge=judge.assign_as("asked"), branches={True: Branch("yes"), False: Branch("no")}
    )
    rows = [{"query": "Who?"}, {"query": "Me."}]
    assert await run(router, rows, how) == ["yes: Who?", "no: Me."]


@batches
async def test_an_empty_batch_makes_no_job(deployment, router, how):
    assert await run(router, [], how) == []
    assert not deployment.requests


def test_a_router_composes(deployment, router):
    chain = RunnableLambda(lambda row: row) | router | RunnableLambda(str.upper)
    assert chain.batch([GOOD, BAD]) == ["OFFER: WE NEE", "THANKS: PLEASE"]
    assert len(deployment.jobs) == 1
