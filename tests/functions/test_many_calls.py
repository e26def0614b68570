"""A batch that is about to make many real-time calls says so, before most of them are made."""

import asyncio
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.runnables import (
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from langchain_sutro import SutroFunction, one_job
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.local import LocalDeployment

LEADS = [{"query": f"We need {n} seats by Friday", "region": "APAC"} for n in range(12)]


@pytest.fixture(scope="module")
def deployment():
    """One for all: nothing here counts what arrived there."""
    with LocalDeployment() as running:
        yield running


@pytest.fixture
def judge(deployment):
    return SutroFunction(
        "lead-qualifier", api_url=deployment.url, api_key=deployment.api_key, many_calls=10
    )


def graph(judge):
    from langgraph.graph import START, StateGraph

    async def anode(state):
        return {"verdict": await judge.ainvoke(state)}

    def node(state):
        return {"verdict": judge.invoke(state)}

    node = RunnableLambda(node, anode)
    return StateGraph(dict).add_node("judge", node).add_edge(START, "judge").compile()


def calling(judge):
    holder = {"judge": judge}

    def call(row):
        return getattr(next(iter(holder.values())), "invoke")(row)  # noqa: B009 - hidden on purpose

    return RunnableLambda(call)


SHAPES = {
    "RunnableParallel<a,b>": lambda fn: RunnableParallel(a=fn, b=RunnableLambda(str)),
    "RunnableAssign<v>": lambda fn: RunnablePassthrough.assign(v=fn),
    "RunnableBranch": lambda fn: RunnableBranch((lambda row: True, fn), fn),
    "RunnableParallel<v>": lambda fn: RunnablePassthrough() | {"v": fn},
    "RouterRunnable": lambda fn: (
        RunnableLambda(lambda row: {"key": "a", "input": row}) | RouterRunnable({"a": fn})
    ),
    "chooses": lambda fn: RunnableLambda(lambda row: fn, name="chooses"),
    "LangGraph": graph,
    "call": calling,
}


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "real time" in record.getMessage()]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_warning_names_the_shape_and_one_job(judge, shape, asynchronous, caplog):
    caplog.set_level(logging.WARNING)
    chain = SHAPES[shape](judge)
    if asynchronous:
        asyncio.run(chain.abatch(LEADS))
    else:
        chain.batch(LEADS)
    [warning] = warnings(caplog)
    assert warning.startswith(
        "A batch of 12 rows calls 'lead-qualifier' once for each row, in real time, because "
        f"{shape} does so."
    )
    assert "one_job" in warning


def making(judge):
    """Makes for each row a step that no other row can use."""
    return RunnableLambda(lambda row: RunnableLambda(lambda _: row) | judge, name="makes")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("make", "name"), [(calling, "call"), (making, "makes")])
def test_the_warning_comes_also_where_one_job_cannot_help(judge, make, name, asynchronous, caplog):
    leads = [LEADS[number % 12] | {"region": str(number)} for number in range(20)]
    whole = one_job(RunnableParallel(a=make(judge)))
    outputs = asyncio.run(whole.abatch(leads)) if asynchronous else whole.batch(leads)
    assert len(outputs) == len(leads)
    [warning] = warnings(caplog)
    assert f"because {name} does so" in warning


@pytest.mark.parametrize("asynchronous", [False, True])
def test_it_can_be_an_error_before_any_call(deployment, judge, asynchronous):
    strict = judge.model_copy(update={"on_many_calls": "error"})
    before = len(deployment.requests)
    chain = RunnableParallel(a=strict)
    with pytest.raises(SutroConfigurationError, match="one_job"):
        asyncio.run(chain.abatch(LEADS)) if asynchronous else chain.batch(LEADS)
    assert len(deployment.requests) == before
    time.sleep(0.1)  # so long the calls of the same moment are refused
    assert len(chain.batch(LEADS[:10])) == 10


def test_it_can_be_turned_off(judge, caplog):
    RunnableParallel(a=judge.model_copy(update={"on_many_calls": "ignore"})).batch(LEADS)
    assert not warnings(caplog)


def test_nothing_is_said_of_what_makes_jobs_or_few_calls(judge, caplog):
    chain = RunnableParallel(a=judge)
    chain.batch(LEADS[:10])
    one_job(chain).batch(LEADS)
    (RunnableLambda(dict) | judge).batch(LEADS)
    judge.model_copy(update={"batch_mode": "realtime"}).batch(LEADS)
    for lead in LEADS:
        chain.invoke(lead)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(chain.invoke, LEADS))
    # A batch of something else, in which the Function has no part.
    RunnableLambda(lambda row: row).batch(LEADS)
    assert not warnings(caplog)


def test_a_gathered_function_is_not_called_in_real_time(judge, caplog):
    RunnableParallel(a=judge.gathered(quiet=0.05)).batch(LEADS, {"max_concurrency": 12})
    assert not warnings(caplog)


def test_the_frames_of_running_threads_are_read_in_one_step():
    """Between two steps a thread may leave its frame, and Python 3.11 can crash on that one."""
    alone, beside_others = output_of(EVENTS).split()
    assert beside_others == alone


def test_batches_are_found_while_threads_come_and_go():
    assert output_of(CHURN) == "done\n"


def output_of(program):
    """What a program prints in a process of its own, which has no threads of other tests."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Prints how often Python calls, returns or resumes anything while the frames are read.
EVENTS = """
import sys, threading
from langchain_sutro.functions.many_calls import batches_in_progress

def deep(frames):
    if frames:
        deep(frames - 1)
    else:
        ready.wait()
        going_on.wait()

def events_of_a_look():
    events = []
    sys.setprofile(lambda _frame, event, _argument: events.append(event))
    list(batches_in_progress())
    sys.setprofile(None)
    return len(events)

list(batches_in_progress())
alone = events_of_a_look()
ready, going_on = threading.Barrier(9), threading.Event()
for _ in range(8):
    threading.Thread(target=deep, args=(100,), daemon=True).start()
ready.wait()
print(alone, events_of_a_look())
going_on.set()
"""

CHURN = """
import socket, sys, threading, time
from langchain_core.runnables import RunnableLambda
from langchain_sutro.functions.many_calls import batches_in_progress

sys.setswitchinterval(1e-5)
going_on = True

def work(_):
    kept = socket.socket()

def churn():
    while going_on:
        RunnableLambda(work).batch([1, 2, 3])

threads = [threading.Thread(target=churn) for _ in range(4)]
for thread in threads:
    thread.start()
end, found = time.monotonic() + 2, 0
while time.monotonic() < end or not found:
    found += sum(inputs == [1, 2, 3] for _, inputs in batches_in_progress())
going_on = False
for thread in threads:
    thread.join()
print("done")
"""
