"""Small things that AutoGen's agents and tools accept or refuse."""

from collections.abc import Sequence
from typing import Any

import pytest

from teamrun.agents import AssistantAgent, Handoff
from teamrun.context import ChatCompletionContext
from teamrun.memory import ListMemory, MemoryContent
from teamrun.messages import LLMMessage
from teamrun.models import ModelFamily, OpenAIChatCompletionClient
from teamrun.testing import ScriptedModel
from teamrun.tools import (
    AgentTool,
    FunctionTool,
    StaticWorkbench,
    ToolOverride,
    ToolResult,
    ToolSchema,
    Workbench,
)


def look_up(word: str) -> str:
    """Look a word up."""
    return word


@pytest.mark.behaviour("assistant.arguments")
def test_a_handoff_to_the_name_of_a_tool_is_refused() -> None:
    with pytest.raises(ValueError, match="'look_up' has the name of a tool"):
        AssistantAgent("a", ScriptedModel([]), tools=[look_up], handoffs=["look_up"])


@pytest.mark.behaviour("assistant.memory.none", "memory.interface")
async def test_a_memory_may_return_nothing() -> None:
    class Silent(ListMemory):
        async def update_context(self, model_context: ChatCompletionContext) -> Any:
            return None

    agent = AssistantAgent("a", ScriptedModel(["hi"]), memory=[Silent()])

    assert (await agent.run(task="go")).messages[-1].to_text() == "hi"


@pytest.mark.behaviour("assistant.memory.none")
async def test_a_context_may_keep_its_messages_elsewhere() -> None:
    class Own(ChatCompletionContext):
        def __init__(self) -> None:  # no super().__init__(): AutoGen tolerates it
            self.kept: list[LLMMessage] = []

        async def add_message(self, message: LLMMessage) -> None:
            self.kept.append(message)

        async def get_messages(self) -> list[LLMMessage]:
            return self.kept

    context = Own()
    agent = AssistantAgent("a", ScriptedModel(["hi"]), model_context=context)

    await agent.run(task="go")

    assert [message.content for message in context.kept] == ["go", "hi"]


@pytest.mark.behaviour("assistant.tools.workbench.keyword")
async def test_a_workbench_is_called_by_keyword() -> None:
    asked: list[Any] = []

    class Own(Workbench):
        async def list_tools(self) -> Sequence[ToolSchema]:
            return [FunctionTool(look_up).schema]

        async def call_tool(self, **asked_for: Any) -> ToolResult:  # pyright: ignore[reportIncompatibleMethodOverride]
            asked.append(asked_for)
            return ToolResult(name="look_up", result=[])

    call = {"tool_calls": [{"name": "look_up", "arguments": {"word": "tea"}, "id": "1"}]}
    await AssistantAgent("a", ScriptedModel([call]), workbench=Own()).run(task="go")

    assert asked[0]["name"] == "look_up"
    assert asked[0]["arguments"] == {"word": "tea"}
    assert (asked[0]["call_id"], "cancellation_token" in asked[0]) == ("1", True)


@pytest.mark.behaviour("workbench.overrides.own_name")
async def test_an_overridden_tool_keeps_its_own_name_as_well() -> None:
    bench = StaticWorkbench([FunctionTool(look_up)], {"look_up": ToolOverride(name="find")})

    results = [await bench.call_tool(name, {"word": "tea"}) for name in ("find", "look_up", "x")]

    assert [result.is_error for result in results] == [False, False, True]
    assert [schema["name"] for schema in await bench.list_tools()] == ["find"]


@pytest.mark.behaviour("agent_tool.events", "agent_tool.class", "tool.classes")
async def test_an_agent_as_a_tool_is_strict_and_shows_its_task() -> None:
    tool = AgentTool(AssistantAgent("inner", ScriptedModel(["done"])))
    assert tool.schema.get("strict") is True
    assert tool.schema.get("parameters", {}).get("additionalProperties") is False
    assert tool.state_type() is None
    call = {"tool_calls": [{"name": "inner", "arguments": {"task": "look"}}]}

    result = await AssistantAgent("outer", ScriptedModel([call]), tools=[tool]).run(task="go")

    assert [(m.source, m.to_text()) for m in result.messages[2:4]] == [
        ("user", "look"),
        ("inner", "done"),
    ]


@pytest.mark.behaviour(
    "message.memory_content", "assistant.handoff.defaults", "model.families", "model.openai.legacy"
)
def test_names_that_programs_use() -> None:
    defaults: Any = Handoff.set_defaults
    assert defaults({"target": "b"})["name"] == "transfer_to_b"
    assert MemoryContent(content="x", mime_type="a/b").serialize_mime_type("a/b") == "a/b"
    assert ModelFamily.CLAUDE_4_SONNET == "claude-4-sonnet"
    assert ModelFamily.is_claude(ModelFamily.CLAUDE_3_5_HAIKU)
    assert ModelFamily.is_gemini(ModelFamily.GEMINI_2_5_PRO)
    assert ModelFamily.is_llama(ModelFamily.LLAMA_4_SCOUT)
    assert ModelFamily.is_mistral(ModelFamily.CODESRAL)
    assert not ModelFamily.is_mistral(ModelFamily.GPT_45)
    client = OpenAIChatCompletionClient.create_from_config({"model": "gpt-4o", "api_key": "k"})
    assert client.model_info["family"] == "gpt-4o"
