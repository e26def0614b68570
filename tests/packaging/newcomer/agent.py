"""An agent that has a Function as its tool, written by someone who has read the README."""

from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage

from langchain_sutro import SutroToolkit


class ScriptedModel(FakeMessagesListChatModel):
    def bind_tools(self, tools, **kwargs):
        return self


lead = {"query": "We need 200 seats by Friday", "region": "APAC"}
call = {"name": "lead-qualifier", "args": lead, "id": "1"}
model = ScriptedModel(responses=[AIMessage("", tool_calls=[call]), AIMessage("It is qualified.")])
agent = create_agent(model, tools=SutroToolkit.from_manifest("functions.yaml").get_tools())
state = agent.invoke({"messages": [("user", "Is this lead worth a call?")]})
print(state["messages"][-2].content)
print(state["messages"][-1].content)
