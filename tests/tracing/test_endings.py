"""Work at the end of a program, where no more threads start: nothing is lost and nothing hangs."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import asyncio, atexit, sys, threading, time
    from langchain_sutro import SutroFunction

    ROW = {"query": "hello", "region": "APAC"}
    LARGE = {"query": "x" * 300_000, "region": "APAC"}
    qualify = SutroFunction("lead-qualifier", poll_interval=0.1)

    def work():
        qualify.invoke(ROW)
        qualify.batch([ROW, LARGE])
        results = qualify.submit([LARGE] * 20).results()
        assert len(results.to_pandas()) == 20
        qualify.client.run_function("lead-qualifier", ROW)
        print("done", flush=True)

    async def awork():
        await qualify.ainvoke(ROW)
        await qualify.abatch([ROW, LARGE])
        results = await (await qualify.asubmit([LARGE] * 20)).aresults()
        assert len(results.to_pandas()) == 20
        print("done", flush=True)

    def late(work):
        threading.main_thread().join()
        time.sleep(0.2)
        work()

    async def in_a_shut_down_loop():
        await asyncio.get_running_loop().shutdown_default_executor()
        await awork()

    how = sys.argv[1]
    if how == "thread":
        threading.Thread(target=late, args=(work,)).start()
    elif how == "athread":
        threading.Thread(target=late, args=(lambda: asyncio.run(awork()),)).start()
    elif how == "atexit":
        atexit.register(work)
    elif how == "aatexit":
        atexit.register(lambda: asyncio.run(awork()))
    else:
        asyncio.run(in_a_shut_down_loop())
"""


@pytest.mark.timeout(330)
@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("how", ["thread", "athread", "atexit", "aatexit", "executor"])
def test_a_result_at_the_end_of_a_program_is_there(
    deployment, langsmith_recorder, monkeypatch, how, traced
):
    monkeypatch.setenv("SUTRO_API_URL", deployment.url)
    monkeypatch.setenv("SUTRO_API_KEY", deployment.api_key)
    if not traced:
        monkeypatch.setenv("LANGSMITH_TRACING", "false")
    # A hang, such as waiting for a sender that has ended, has no end.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), how],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "done" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    assert "cannot schedule" not in done.stderr
    # What LangSmith's own sender did not live to send is not the test's subject.
    langsmith_recorder.reset()
