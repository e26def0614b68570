"""Streams, traces, secrets, the event loop, and how it is made."""

import subprocess
import sys

import pytest
from langchain.agents.middleware import AgentMiddleware
from langgraph.checkpoint.memory import InMemorySaver

from langchain_sutro import SutroFunction
from langchain_sutro.errors import SutroAuthenticationError, SutroConfigurationError
from langchain_sutro.middleware import SutroGuardrail
from tests.agents.guardrail.scene import (
    ACTIONS,
    PROMPT,
    TEXT,
    THREAD,
    Scene,
    both_ways,
    places,
    resume,
)
from tests.support.blocking_calls import guard


async def streamed(agent, given, *, sync):
    if sync:
        return list(agent.stream(given, THREAD, stream_mode="updates"))
    return [one async for one in agent.astream(given, THREAD, stream_mode="updates")]


@both_ways
async def test_a_stream_of_updates_has_results_of_tools_only_as_they_were_judged(safety, sync):
    scene = Scene("tool_result", "a rude thing", safety, saver=InMemorySaver())
    parts = await streamed(scene.agent(), {"messages": [("user", "hello")]}, sync=sync)
    assert "rude thing" not in str(parts)


@both_ways
async def test_a_stream_of_updates_shows_what_was_decided_before_a_human_is_asked(safety, sync):
    scene = Scene("input", "an odd thing", safety, saver=InMemorySaver())
    parts = await streamed(scene.agent(), {"messages": [("user", scene.said)]}, sync=sync)
    [shown] = [one for one in parts if "SutroGuardrail[message-safety].judge" in one]
    [(_, update)] = shown.items()
    assert update.keys() == {"sutro_decisions"}
    assert update["sutro_decisions"][0]["action"] == "interrupt"


class TestTraces:
    @both_ways
    @places
    @pytest.mark.parametrize("text", ["all is well", "an odd thing"])
    async def test_each_decision_is_one_llm_run_in_the_agents_trace(
        self, safety, langsmith_recorder, place, text, sync
    ):
        scene = Scene(place, text, safety, saver=InMemorySaver())
        state = await scene.run(sync=sync)
        if "__interrupt__" in state:
            await scene.run(resume({"type": "approve"}), sync=sync)
        langsmith_recorder.wait()
        judged = langsmith_recorder.by_name("message-safety")
        assert [run["run_type"] for run in judged] == ["llm"]
        root = langsmith_recorder.by_name("LangGraph")[0]
        assert judged[0]["trace_id"] == root["id"]
        above, runs = [], langsmith_recorder.runs
        parent = judged[0]["parent_run_id"]
        while parent:
            above.append(runs[parent]["name"])
            parent = runs[parent].get("parent_run_id")
        node = {
            "input": "SutroGuardrail[message-safety].before_model",
            "output": "SutroGuardrail[message-safety].after_model",
            "tool_result": "tools",
        }[place]
        assert node in above
        metadata = judged[0]["extra"]["metadata"]
        own = [run for run in runs.values() if run["name"].startswith("SutroGuardrail")]
        assert {f"SutroGuardrail[message-safety].{'' if sync else 'a'}wrap_tool_call"} <= {
            run["name"] for run in own
        } or place == "input"
        # An older LangChain knows no such policy, whatever LangGraph has.
        if hasattr(AgentMiddleware, "trace_policy"):
            assert text not in str([[run["inputs"], run.get("outputs")] for run in own])
        assert metadata["ls_provider"] == "sutro"
        assert metadata["sutro_confidence"] == 0.95
        assert metadata["thread_id"] == "t"
        assert PROMPT not in str(list(runs.values()))


@both_ways
@places
@pytest.mark.parametrize("generation", ["deployment", "hosted"])
async def test_neither_key_nor_prompt_are_in_anything_that_is_kept(
    deployment, safety, place, generation, sync, caplog
):
    function = SutroFunction(
        "message-safety",
        api_url=deployment.url,
        api_key=deployment.api_key,
        generation=generation,
        max_retries=0,
    )
    saver = InMemorySaver()
    scene = Scene(place, "an odd thing", function, saver=saver, on_error="interrupt")
    kept = [await scene.run(sync=sync)]
    kept.append(await scene.run(resume({"type": "approve"}), sync=sync))
    deployment.faults.add("*", status=401, times=9)
    scene.saver = InMemorySaver()
    scene.model.seen.clear()
    with pytest.raises(SutroAuthenticationError) as raised:
        await scene.run(sync=sync)
    kept.append(f"{raised.value!r}{raised.value.__dict__}")
    history = [*scene.agent().get_state_history(THREAD)]
    text = (
        f"{kept}{history}{saver.storage}{saver.writes}{saver.blobs}{caplog.text}{scene.agent()!r}"
    )
    assert "odd" in text
    assert PROMPT not in text
    assert deployment.api_key not in text


class TestNeverBlocks:
    @places
    async def test_an_event_loop(self, safety, place):
        # LangGraph reads files when it is first used.
        await Scene(place, "all is well", safety).run(sync=False)
        for text in ("all is well", "a rude thing"):
            scene = Scene(place, text, safety)
            with guard():
                await scene.run(sync=False)

    async def test_an_event_loop_while_a_human_is_asked(self, safety):
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        await scene.run(sync=False)
        scene = Scene("output", "an odd thing", safety, saver=InMemorySaver())
        with guard():
            await scene.run(sync=False)
            state = await scene.run(resume({"type": "approve"}), sync=False)
        assert state["messages"][-1].text == "done"


class TestConstruction:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"actions": {"safe": "pass"}}, r"actions\['safe'\] must be .*'allow'.* not 'pass'"),
            ({"actions": ["safe"]}, "a dict .* or a callable .* not list"),
            ({"actions": {"a": "allow", "A": "end"}}, "differ only in case"),
            ({"actions": {"unsafe": "end"}}, 'No message could pass: .* otherwise="allow"'),
            ({"otherwise": "stop"}, "otherwise must be"),
            ({"on_error": "ignore"}, "on_error must be one of .*'raise', not 'ignore'"),
            ({"min_confidence": 80}, "between 0 and 1, not 80"),
            ({"on_low_confidence": "allow"}, "no effect without min_confidence"),
            ({"min_confidence": 0.5, "on_low_confidence": "x"}, "on_low_confidence must be"),
            ({"apply_to_input": False}, "nothing to judge: set apply_to_input"),
            ({"apply_to_tool_results": "look"}, r"apply_to_tool_results=\['look'\]"),
            ({"fields": None}, "Which field of 'message-safety'"),
            ({"fields": 3}, "not int"),
            ({"fields": lambda m, n: {}}, "a single parameter, the text, or take any of text"),
            ({"fields": lambda text, m: {}}, "any of text, message, state, by these names"),
            ({"fields": dict}, "a single parameter"),
            ({"apply_to_tool_calls": "look"}, r"apply_to_tool_calls=\['look'\]"),
            ({"on_unreadable": "skip"}, "on_unreadable must be one of"),
            ({"question": {"x": 1}}, "for decision models only"),
            ({"name": "a:b"}, "no '|' or ':' in 'a:b'"),
        ],
    )
    def test_errors_say_what_to_correct(self, options, says):
        with pytest.raises(SutroConfigurationError, match=says):
            SutroGuardrail("message-safety", **{"actions": ACTIONS, "fields": "text", **options})

    def test_a_threshold_needs_a_function_that_scores(self):
        function = SutroFunction("message-safety", confidence_scoring=False)
        with pytest.raises(SutroConfigurationError, match="confidence_scoring=False"):
            SutroGuardrail(function, actions=ACTIONS, fields="text", min_confidence=0.5)

    def test_something_else_than_a_function_is_refused(self):
        with pytest.raises(SutroConfigurationError, match="not dict"):
            SutroGuardrail({}, actions=ACTIONS, fields="text")

    def test_the_only_field_of_a_schema_gets_the_text(self):
        function = SutroFunction("message-safety", args_schema=TEXT)
        SutroGuardrail(function, actions=ACTIONS)
        two = {"type": "object", "properties": {"a": {}, "b": {}}}
        with pytest.raises(SutroConfigurationError, match="Which field"):
            SutroGuardrail(SutroFunction("x", args_schema=two), actions=ACTIONS)

    def test_nothing_is_sent_or_read(self, deployment):
        SutroGuardrail("message-safety", actions=ACTIONS, fields="text")
        assert deployment.requests == []


def test_without_the_extra_it_is_named():
    code = """
import sys
sys.modules["langchain"] = None
try:
    import langchain_sutro.middleware
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "langchain-sutro[agents]" in done.stdout
