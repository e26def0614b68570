"""An agent with a guardrail, and what its parts saw."""

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.types import Command

from langchain_sutro.local import Answer
from langchain_sutro.middleware import SutroGuardrail

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "rationale": {"type": "string"}},
}
PROMPT = "You are a secret prompt."
ACTIONS = {"safe": "allow", "unsafe": "end", "rude": "replace", "odd": "interrupt"}
REMOVED = "[Removed by a guardrail.]"
REFUSED = "I cannot help with that."
PLACES = {"input": "apply_to_input", "output": "apply_to_output", "tool_result": True}
THREAD = {"configurable": {"thread_id": "t"}}


def judge(row):
    """Answers with the first label that the text has, sure of it unless it says how sure."""
    text = row["text"]
    label = next((one for one in ("unsafe", "rude", "odd", "new") if one in text), "safe")
    sure = None if "unscored" in text else 0.4 if "perhaps" in text else 0.95
    return Answer(label, confidence=sure, rationale=f"It reads {label}.")


class Script(BaseChatModel):
    """Says its lines, one after the other, and remembers what it was given."""

    lines: list
    seen: list = []

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(messages)
        line = self.lines[len(self.seen) - 1]
        if isinstance(line, Exception):
            raise line
        return ChatResult(generations=[ChatGeneration(message=line.model_copy())])


def calls(name, said="", call_id="call-1", **args):
    return AIMessage(said, tool_calls=[{"name": name, "args": args, "id": call_id}])


def but_the_last(text):
    return None if text == "done" else {"text": text}


class Scene:
    """An agent in which one text stands at one place, and what its parts were given."""

    def __init__(self, place, text, function, *, saver=None, middleware=(), **options):
        self.place, self.text, self.saver = place, text, saver
        self.looked = []

        @tool
        def look() -> str:
            """Look."""
            self.looked.append(text)
            return text if place == "tool_result" else "fine"

        self.said = text if place == "input" else "hello"
        answers = {
            "input": [AIMessage("done")],
            "output": [calls("look", text), AIMessage("done")],
            "tool_result": [calls("look"), AIMessage("done")],
        }
        self.model = Script(lines=answers[place], seen=[])
        self.tools = [look]
        self.function = function
        fields = but_the_last if place == "output" else "text"
        self.options = {"actions": ACTIONS, "fields": fields, **options}
        self.middleware = middleware

    def agent(self):
        """The agent, as another process would make it anew."""
        places = {
            "apply_to_input": self.place == "input",
            "apply_to_output": self.place == "output",
            "apply_to_tool_results": self.place == "tool_result",
        }
        guardrail = SutroGuardrail(self.function, **{**places, **self.options})
        return create_agent(
            self.model,
            self.tools,
            middleware=[*self.middleware, guardrail],
            checkpointer=self.saver,
        )

    async def run(self, given=None, *, sync):
        given = {"messages": [HumanMessage(self.said, id="said")]} if given is None else given
        agent = self.agent()
        config = THREAD if self.saver else None
        if sync:
            return agent.invoke(given, config)
        return await agent.ainvoke(given, config)


def asked(deployment):
    """What the Function was asked."""
    return [one.body for one in deployment.requests if one.path.endswith("/run")]


def at(place, state):
    """The message at the place of a state."""
    kind = {"input": "human", "output": "ai", "tool_result": "tool"}[place]
    return next(one for one in state["messages"] if one.type == kind)


def texts(state):
    return [one.text for one in state["messages"]]


def check_calls(messages):
    """Every tool call has its result, and every result its call."""
    called = [one["id"] for m in messages if isinstance(m, AIMessage) for one in m.tool_calls]
    told = [m.tool_call_id for m in messages if isinstance(m, ToolMessage)]
    assert sorted(called) == sorted(told)


def seen_by(model):
    return " ".join(one.text for messages in model.seen for one in messages)


def resume(*decisions):
    return Command(resume={"decisions": list(decisions)})


def edit(text):
    return {"type": "edit", "edited_action": {"name": "x", "args": {"text": text}}}


both_ways = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
places = pytest.mark.parametrize("place", ["input", "output", "tool_result"])
