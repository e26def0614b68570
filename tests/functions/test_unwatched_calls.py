"""A call that no callback and no trace watches is made without a run of LangChain's."""

import pytest
from langchain_core.callbacks import BaseCallbackManager

from langchain_sutro import SutroFunction
from langchain_sutro.errors import SutroAPIError
from tests.support.calls import LEAD, call, modes
from tests.support.tasks import tasks_made
from tests.support.watching import Watching, runs_begun


@pytest.fixture(autouse=True)
def _untraced(monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


def made(deployment, name="lead-qualifier"):
    return SutroFunction(name, api_url=deployment.url, api_key=deployment.api_key)


@modes
@pytest.mark.parametrize("callbacks", [None, [], BaseCallbackManager([])])
async def test_the_answer_is_that_of_a_watched_call(mode, callbacks, deployment, monkeypatch):
    watching, begun = Watching(), runs_begun(monkeypatch)
    function = made(deployment)
    watched = await call(mode, function, "invoke", LEAD, {"callbacks": [watching]})
    alone = await call(mode, function, "invoke", LEAD, {"callbacks": callbacks})
    assert watching.seen == ["start", "end"]
    assert begun == ["llm"]
    assert alone["output"] == watched["output"]


@modes
async def test_the_error_is_that_of_a_watched_call(mode, deployment):
    watching = Watching()
    function = made(deployment, "nobody-published-this")
    with pytest.raises(SutroAPIError) as watched:
        await call(mode, function, "invoke", LEAD, {"callbacks": [watching]})
    with pytest.raises(SutroAPIError) as alone:
        await call(mode, function, "invoke", LEAD)
    assert watching.seen == ["start", "error"]
    assert type(alone.value) is type(watched.value)
    assert str(alone.value) == str(watched.value)


async def test_an_unwatched_call_over_a_kept_connection_makes_no_task(deployment):
    function = made(deployment)
    await function.ainvoke(LEAD)
    with tasks_made() as tasks:
        await function.ainvoke(LEAD)
    assert not tasks
