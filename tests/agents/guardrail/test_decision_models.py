"""A decision model of LangChain judges in the place of a Function."""

import pytest
from langchain.agents import create_agent
from langchain_core.exceptions import ModelAPIError, ModelAuthenticationError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import SecretStr

from langchain_sutro import SutroFunction
from langchain_sutro.agents.guardrail.judges import judge_of
from langchain_sutro.errors import SutroConfigurationError
from langchain_sutro.middleware import SutroGuardrail
from tests.agents.guardrail.scene import REFUSED, REMOVED, Script, both_ways, calls, texts

decisions = pytest.importorskip("langchain_core.decisions")

RISKY = {"is_risky": decisions.Noul(instructions="Would this be risky?")}
TOPIC = {
    "topic": decisions.Choice(instructions="What is it?", criteria={"fine": None, "odd": None})
}
ANGER = {"anger": decisions.Score(instructions="How angry?", criteria=["calm", "cross", "furious"])}


class Judge(decisions.BaseDecisionModel):
    """Finds whatever has the word "unsafe" in it risky, odd and furious."""

    model: str = "judges"
    key: SecretStr = SecretStr("sk-judge")
    asked: list = []
    error: object = None

    @property
    def _provider(self):
        return "test"

    def _classify(self, state, questions):
        self.asked.append((state, dict(questions)))
        if self.error is not None:
            raise self.error
        text = str(state.get("tool_call") if isinstance(state, dict) else state)
        sure = 0.6 if "perhaps" in text else 0.9
        yes = "unsafe" in text
        answers = {}
        for name, question in questions.items():
            if question.type == "noul":
                answers[name] = decisions.NoulAnswer(type="noul", noul=sure if yes else 1 - sure)
            elif question.type == "choice":
                found = {"odd": sure if yes else 1 - sure, "fine": 1 - sure if yes else sure}
                answers[name] = decisions.ChoiceAnswer(
                    type="choice",
                    choice="odd" if yes else "fine",
                    probabilities=found,
                    confidence=sure,
                )
            else:
                answers[name] = decisions.ScoreAnswer(
                    type="score",
                    score=1.9 if yes else 0.2,
                    legend={0: "calm", 1: "cross", 2: "furious"},
                    probabilities={0: 0.1, 1: 0.1, 2: 0.8},
                    confidence=sure,
                )
        return decisions.ClassifierResponse(model=self.model, answers=answers)


NOULS = {True: "end", False: "allow"}


async def run(guardrail, text, *lines, sync, tools=(), middleware=()):
    model = Script(lines=[*lines, AIMessage("done")], seen=[])
    agent = create_agent(model, list(tools), middleware=[*middleware, guardrail])
    given = {"messages": [HumanMessage(text)]}
    return agent.invoke(given) if sync else await agent.ainvoke(given)


@both_ways
@pytest.mark.parametrize(
    ("question", "actions", "answer"),
    [
        (RISKY, NOULS, True),
        (TOPIC, {"odd": "end", "fine": "allow"}, "odd"),
        (ANGER, lambda result: "end" if result.answer > 1.5 else "allow", 1.9),
    ],
    ids=["noul", "choice", "score"],
)
async def test_each_kind_of_question_decides(question, actions, answer, sync):
    judge = Judge(asked=[])
    guardrail = SutroGuardrail(judge, question=question, actions=actions)
    assert texts(await run(guardrail, "all is well", sync=sync)) == ["all is well", "done"]
    state = await run(guardrail, "an unsafe thing", sync=sync)
    assert texts(state) == [REMOVED, REFUSED]
    [decision] = state["sutro_decisions"]
    assert (decision["guardrail"], decision["function"]) == ("SutroGuardrail[judges]", "judges")
    assert (decision["answer"], decision["confidence"]) == (answer, 0.9)
    assert judge.asked == [("all is well", question), ("an unsafe thing", question)]


@both_ways
async def test_a_threshold_is_kept(sync):
    guardrail = SutroGuardrail(
        Judge(), question=RISKY, actions=NOULS, min_confidence=0.8, on_low_confidence="replace"
    )
    assert texts(await run(guardrail, "perhaps fine", sync=sync)) == [REMOVED, "done"]


@both_ways
async def test_it_judges_tool_calls_and_shares_its_state_with_auto_mode(sync):
    middleware = pytest.importorskip("langchain.agents.middleware.auto_mode")
    sent = []

    @tool
    def send(note: str) -> str:
        """Send a note."""
        sent.append(note)
        return "sent"

    judge = Judge(asked=[])
    guardrail = SutroGuardrail(
        judge,
        question=RISKY,
        actions={True: "block", False: "allow"},
        apply_to_input=False,
        apply_to_tool_calls=["send"],
    )
    auto = middleware.AutoModeMiddleware(tools=["send"], classifier=judge)
    lines = [calls("send", note="an unsafe one"), calls("send", call_id="2", note="fine")]
    state = await run(guardrail, "hello", *lines, sync=sync, tools=[send], middleware=[auto])
    assert sent == ["fine"]
    [blocked, done] = [one for one in state["messages"] if isinstance(one, ToolMessage)]
    assert (blocked.status, done.status) == ("error", "success")
    first = judge.asked[0][0]
    assert first["tool_call"] == {"id": "call-1", "name": "send", "args": {"note": "an unsafe one"}}
    assert [one.text for one in first["messages"]] == ["hello", ""]


@both_ways
async def test_a_callable_makes_the_state(sync):
    judge = Judge(asked=[])
    guardrail = SutroGuardrail(
        judge,
        question=RISKY,
        actions=NOULS,
        fields=lambda message: {"said": message.text, "tool_call": None},
    )
    await run(guardrail, "hello", sync=sync)
    assert judge.asked[0][0] == {"said": "hello", "tool_call": None}


@both_ways
async def test_outages_have_an_action_and_faults_are_raised(sync):
    def guardrail(error):
        return SutroGuardrail(Judge(error=error), question=RISKY, actions=NOULS)

    for outage in (ModelAPIError("down"), OSError("down"), TimeoutError()):
        assert texts(await run(guardrail(outage), "hello", sync=sync)) == [REMOVED, REFUSED]
    for fault in (ModelAuthenticationError("key"), SutroConfigurationError("x"), KeyError("x")):
        with pytest.raises(type(fault)):
            await run(guardrail(fault), "hello", sync=sync)


@both_ways
async def test_a_response_without_the_answer_is_an_outage(sync):
    class Silent(Judge):
        def _classify(self, state, questions):
            return decisions.ClassifierResponse(model="judges", answers={})

    guardrail = SutroGuardrail(Silent(), question=RISKY, actions=NOULS)
    assert texts(await run(guardrail, "hello", sync=sync)) == [REMOVED, REFUSED]


@pytest.mark.parametrize(
    ("judge", "options", "says"),
    [
        (Judge(), {}, "needs question="),
        (Judge(), {"question": {}}, "needs question="),
        (Judge(), {"question": RISKY | TOPIC}, "one question"),
        (Judge(), {"question": {"x": decisions.Box(instructions="Where?")}}, "a Noul, a Choice or"),
        (Judge(), {"question": {"x": "Is it?"}}, "not str"),
        (Judge(), {"question": RISKY, "fields": "text"}, "not the name of a field"),
        (Judge(), {"question": RISKY, "min_confidence": 3}, "between 0 and 1"),
        (Judge(), {"question": ANGER}, "callable"),
        ("message-safety", {"question": RISKY}, "for decision models only"),
        (SutroFunction("message-safety"), {"question": RISKY}, "for decision models only"),
        (object(), {"question": RISKY}, "langchain-core 1.8"),
    ],
)
def test_errors_say_what_to_change(judge, options, says):
    with pytest.raises(SutroConfigurationError, match=says):
        SutroGuardrail(judge, **{"actions": NOULS, **options})


def test_processes_with_the_same_key_recognize_each_others_decisions():
    def secret(judge):
        return judge_of(judge, RISKY, None).secret()

    assert secret(Judge()) == secret(Judge())
    assert secret(Judge()) != secret(Judge(key="sk-other"))


def test_also_where_the_judge_asks_functions_by_name(monkeypatch):
    from langchain_sutro.decisions import SutroDecisionModel

    monkeypatch.setenv("SUTRO_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SUTRO_API_KEY", "sk-of-the-environment")
    named = SutroDecisionModel(model="judges", functions={"is_risky": "message-safety"})
    made = SutroFunction("message-safety")
    other = SutroDecisionModel(model="judges", functions={"is_risky": made})
    secrets = {judge_of(one, RISKY, None).secret() for one in (named, other)}
    assert secrets == {b"sk-of-the-environment"}
