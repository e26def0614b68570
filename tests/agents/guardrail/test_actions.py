"""What passes, what is replaced, what ends the run, and by which rule."""

import logging

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field

from langchain_sutro import SutroFunction
from langchain_sutro.errors import (
    SutroAuthenticationError,
    SutroConfigurationError,
    SutroInputError,
    SutroNotFoundError,
    SutroServerError,
    SutroValidationError,
)
from tests.agents.guardrail.scene import (
    REFUSED,
    REMOVED,
    TEXT,
    THREAD,
    Scene,
    asked,
    at,
    both_ways,
    calls,
    check_calls,
    places,
    resume,
    seen_by,
    texts,
)


@both_ways
@places
async def test_what_is_allowed_stays_as_it_is(safety, deployment, place, sync):
    scene = Scene(place, "all is well", safety)
    state = await scene.run(sync=sync)
    assert at(place, state).text == "all is well"
    assert state["messages"][-1].text == "done"
    [decision] = state["sutro_decisions"]
    assert decision == {
        "guardrail": "SutroGuardrail[message-safety]",
        "function": "message-safety",
        "apply_to": place,
        "message_id": at(place, state).id,
        "answer": "safe",
        "confidence": 0.95,
        "rationale": "It reads safe.",
        "action": "allow",
        "decided_by": "function",
        "error": None,
        "sha256": decision["sha256"],
    }
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
@places
async def test_what_is_replaced_is_seen_by_nobody_and_the_agent_goes_on(
    safety, deployment, place, sync
):
    scene = Scene(place, "a rude thing", safety)
    state = await scene.run(sync=sync)
    message = at(place, state)
    assert message.text == REMOVED
    assert state["messages"][-1].text == "done"
    assert "rude" not in seen_by(scene.model) + str(state["messages"])
    assert state["sutro_decisions"][0]["action"] == "replace"
    assert state["sutro_decisions"][0]["message_id"] == message.id
    assert scene.looked == ([] if place == "input" else [scene.text])
    assert len(state["messages"]) == (2 if place == "input" else 4)
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])


@both_ways
@places
async def test_what_ends_the_run_leaves_a_conversation_that_can_go_on(
    safety, deployment, place, sync
):
    saver = InMemorySaver()
    scene = Scene(place, "an unsafe thing", safety, saver=saver)
    state = await scene.run(sync=sync)
    assert state["messages"][-1].text == REFUSED
    assert isinstance(state["messages"][-1], AIMessage)
    assert "unsafe" not in str(state["messages"])
    assert state["sutro_decisions"][0]["action"] == "end"
    assert len(asked(deployment)) == 1
    check_calls(state["messages"])
    assert scene.looked == ([scene.text] if place == "tool_result" else [])
    assert len(scene.model.seen) == (0 if place == "input" else 1)
    assert len(state["messages"]) == {"input": 2, "output": 2, "tool_result": 4}[place]
    # The next turn has nothing of it either.
    scene.model.lines = [*scene.model.lines[: len(scene.model.seen)], AIMessage("done")]
    state = await scene.run({"messages": [HumanMessage("hello again")]}, sync=sync)
    assert state["messages"][-1].text == "done"
    assert "unsafe" not in seen_by(scene.model)
    check_calls(state["messages"])


async def test_an_answer_that_ends_the_run_keeps_its_id_and_what_it_cost(safety):
    scene = Scene("output", "an unsafe thing", safety, saver=InMemorySaver())
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    answer = calls("look", scene.text)
    answer.id, answer.usage_metadata = "answer", usage
    answer.additional_kwargs = {"reasoning_content": "unsafe"}
    scene.model.lines = [answer]
    state = await scene.run(sync=True)
    [_, last] = state["messages"]
    assert (last.id, last.text, last.usage_metadata) == ("answer", REFUSED, usage)
    assert (last.tool_calls, last.additional_kwargs) == ([], {})


class TestRules:
    @places
    @pytest.mark.parametrize("text", ["perhaps all is well", "unscored, but well"])
    async def test_an_answer_of_too_little_confidence_has_its_own_action(self, safety, place, text):
        options = {"min_confidence": 0.8, "on_low_confidence": "replace"}
        state = await Scene(place, text, safety, **options).run(sync=True)
        assert at(place, state).text == REMOVED
        [decision] = state["sutro_decisions"]
        assert decision["answer"] == "safe"
        assert decision["confidence"] == (0.4 if "perhaps" in text else None)

    async def test_also_one_that_would_be_ended(self, safety):
        options = {"min_confidence": 0.8, "on_low_confidence": "allow"}
        state = await Scene("input", "perhaps unsafe", safety, **options).run(sync=True)
        assert texts(state) == ["perhaps unsafe", "done"]

    async def test_low_confidence_ends_the_run_unless_something_else_is_said(self, safety):
        scene = Scene("input", "perhaps all is well", safety, min_confidence=0.8)
        assert texts(await scene.run(sync=True)) == [REMOVED, REFUSED]

    async def test_the_functions_own_threshold_is_the_default(self, safety):
        scene = Scene("input", "perhaps all is well", safety.require_confidence(0.8))
        state = await scene.run(sync=True)
        assert texts(state) == [REMOVED, REFUSED]
        [decision] = state["sutro_decisions"]
        assert (decision["answer"], decision["decided_by"]) == ("safe", "function")

    async def test_enough_confidence_is_enough(self, safety):
        scene = Scene("input", "all is well", safety, min_confidence=0.95)
        assert texts(await scene.run(sync=True)) == ["all is well", "done"]

    @pytest.mark.parametrize(("otherwise", "last"), [("end", REFUSED), ("allow", "done")])
    async def test_answers_that_are_not_named_have_an_action(self, safety, otherwise, last):
        scene = Scene("input", "something new", safety, otherwise=otherwise)
        assert texts(await scene.run(sync=True))[-1] == last

    async def test_the_case_of_an_answer_does_not_matter(self, safety):
        actions = {"SAFE": "allow", "Unsafe": "replace"}
        scene = Scene("input", "an unsafe thing", safety, actions=actions)
        assert texts(await scene.run(sync=True)) == [REMOVED, "done"]

    async def test_an_answer_may_be_a_boolean(self, deployment, safety):
        deployment.publish(
            "is-safe",
            lambda row: "unsafe" not in row["text"],
            input_schema=TEXT,
            output_schema={"type": "boolean"},
        )
        settings = {"api_url": deployment.url, "api_key": deployment.api_key}
        is_safe = SutroFunction("is-safe", args_schema=TEXT, **settings)
        options = {"actions": {True: "allow", False: "end"}, "fields": None}
        for text, last in (("well", "done"), ("unsafe", REFUSED)):
            state = await Scene("input", text, is_safe, **options).run(sync=True)
            assert texts(state)[-1] == last

    @both_ways
    async def test_a_callable_makes_the_action_of_the_whole_result(self, safety, deployment, sync):
        given = []

        def decide(result):
            given.append((result.answer, result.confidence, result.usage))
            return "interrupt"

        saver = InMemorySaver()
        scene = Scene("input", "all is well", safety, actions=decide, saver=saver)
        assert "__interrupt__" in await scene.run(sync=sync)
        state = await scene.run(resume({"type": "approve"}), sync=sync)
        assert texts(state)[-1] == "done"
        [(answer, confidence, usage)] = given
        assert (answer, confidence) == ("safe", 0.95)
        assert usage["input_tokens"]
        assert len(asked(deployment)) == 1

    async def test_a_callable_that_gives_no_action_is_told(self, safety):
        scene = Scene("input", "all is well", safety, actions=lambda result: "stop")
        with pytest.raises(SutroConfigurationError, match=r"'allow', 'replace'.*not 'stop'"):
            await scene.run(sync=True)

    async def test_an_answer_of_several_fields_needs_a_callable(self, deployment, safety):
        settings = {"api_url": deployment.url, "api_key": deployment.api_key}
        extract = SutroFunction("lead-extractor", **settings)
        with pytest.raises(SutroConfigurationError, match=r"company, .* must be a callable"):
            await Scene("input", "all is well", extract).run(sync=True)

    async def test_texts_are_the_users(self, safety):
        options = {"replacement": "(gone)", "end_message": "Non."}
        scene = Scene("tool_result", "unsafe", safety, **options)
        assert texts(await scene.run(sync=True))[-2:] == ["(gone)", "Non."]


class TestWhenTheFunctionCannotBeAsked:
    @both_ways
    @places
    @pytest.mark.parametrize("on_error", ["end", "allow", "replace"])
    async def test_it_fails_closed_or_open(self, safety, deployment, place, on_error, sync, caplog):
        deployment.faults.add("functions/message-safety/run", status=503, times=9)
        scene = Scene(place, "all is well", safety, on_error=on_error)
        with caplog.at_level(logging.WARNING, logger="langchain_sutro"):
            state = await scene.run(sync=sync)
        passed = on_error == "allow"
        assert ("all is well" in texts(state)) is passed
        assert (state["messages"][-1].text == REFUSED) is (on_error == "end")
        [decision] = state["sutro_decisions"]
        assert (decision["action"], decision["decided_by"]) == (on_error, "error")
        assert decision["error"].startswith("SutroServerError: HTTP 503")
        assert decision["answer"] is None
        assert "SutroGuardrail[message-safety] could not ask" in caplog.text
        check_calls(state["messages"])

    @both_ways
    @places
    async def test_a_human_may_decide(self, safety, deployment, place, sync):
        deployment.faults.add("functions/message-safety/run", status=503)
        scene = Scene(place, "all is well", safety, on_error="interrupt", saver=InMemorySaver())
        [paused] = (await scene.run(sync=sync))["__interrupt__"]
        assert "could not be asked" in paused.value["action_requests"][0]["description"]
        state = await scene.run(resume({"type": "approve"}), sync=sync)
        assert state["messages"][-1].text == "done"
        assert len(asked(deployment)) == 1

    @both_ways
    @places
    async def test_or_the_run_fails_and_is_taken_up_later(self, safety, deployment, place, sync):
        deployment.faults.add("functions/message-safety/run", status=503)
        scene = Scene(place, "all is well", safety, on_error="raise", saver=InMemorySaver())
        with pytest.raises(SutroServerError):
            await scene.run(sync=sync)
        agent = scene.agent()
        state = agent.invoke(None, THREAD) if sync else await agent.ainvoke(None, THREAD)
        assert state["messages"][-1].text == "done"
        assert state["sutro_decisions"][0]["answer"] == "safe"

    @both_ways
    @pytest.mark.parametrize("text", ["a text of far too many words", "half a \ud800 character"])
    async def test_a_text_that_the_function_refuses_is_such_a_case(self, safety, text, sync):
        class Short(BaseModel):
            text: str = Field(max_length=25)

        checked = safety.model_copy(update={"args_schema": Short})
        state = await Scene("input", text, checked).run(sync=sync)
        assert texts(state) == [REMOVED, REFUSED]
        assert "SutroInputError" in state["sutro_decisions"][0]["error"]

    async def test_errors_of_the_users_own_code_are_raised(self, safety):
        scene = Scene("input", "all is well", safety, fields=lambda state: state["nothing"])
        with pytest.raises(KeyError):
            await scene.run(sync=True)


class TestFaultsOfTheConfiguration:
    """They are the developer's: a user who is refused for them would learn nothing."""

    @both_ways
    @places
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, SutroValidationError),
            (401, SutroAuthenticationError),
            (403, SutroAuthenticationError),
            (404, SutroNotFoundError),
            (422, SutroValidationError),
        ],
    )
    async def test_are_raised_whatever_on_error_says(
        self, safety, deployment, place, status, error, sync
    ):
        deployment.faults.add("functions/message-safety/run", status=status, times=9)
        scene = Scene(place, "all is well", safety, on_error="allow")
        with pytest.raises(error):
            await scene.run(sync=sync)

    async def test_also_a_function_that_is_not_there(self, safety):
        nothing = safety.model_copy(update={"function": "nothing"})
        with pytest.raises(SutroNotFoundError):
            await Scene("input", "all is well", nothing).run(sync=True)

    @pytest.mark.parametrize("options", [{"fields": "query"}, {"fields": lambda text: {"text": 3}}])
    async def test_and_a_row_with_wrong_fields(self, safety, options):
        checked = safety.model_copy(update={"args_schema": TEXT})
        with pytest.raises(SutroInputError):
            await Scene("input", "all is well", checked, **options).run(sync=True)

    async def test_and_a_field_that_only_the_service_knows_to_be_wrong(self, safety):
        with pytest.raises(SutroValidationError):
            await Scene("input", "all is well", safety, fields="query").run(sync=True)

    async def test_and_a_missing_key(self, safety, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("SUTRO_API_KEY", raising=False)
        keyless = SutroFunction("message-safety", api_url="http://127.0.0.1:9")
        with pytest.raises(SutroConfigurationError):
            await Scene("input", "all is well", keyless).run(sync=True)

    async def test_an_input_that_is_too_large_is_not_one(self, safety, deployment):
        deployment.faults.add("functions/message-safety/run", status=413, times=9)
        state = await Scene("input", "all is well", safety).run(sync=True)
        assert texts(state) == [REMOVED, REFUSED]
