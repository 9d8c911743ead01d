"""The actor that calls tools, and the loop of a model around it."""

import copy
from typing import Any

import pytest

from teamrun.core.actors import (
    AgentId,
    ClosureAgent,
    ClosureContext,
    MessageContext,
    SingleThreadedAgentRuntime,
)
from teamrun.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    UserMessage,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool
from teamrun.tools.tool_agent import (
    InvalidToolArgumentsException,
    ToolAgent,
    ToolException,
    ToolExecutionException,
    ToolNotFoundException,
    tool_agent_caller_loop,
)


def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


async def tool_runtime() -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime()
    tools = [FunctionTool(divide, "Divide.")]
    await ToolAgent.register(runtime, "tools", lambda: ToolAgent("Calls tools", tools))
    runtime.start()
    return runtime


@pytest.mark.behaviour("tool.agent")
async def test_a_function_call_is_answered_with_its_result() -> None:
    runtime = await tool_runtime()
    call = FunctionCall("c", '{"a": 3, "b": 2}', "divide")

    assert await runtime.send_message(call, AgentId("tools")) == FunctionExecutionResult(
        content="1.5", call_id="c", is_error=False, name="divide"
    )
    await runtime.stop()


@pytest.mark.behaviour("tool.agent")
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (FunctionCall("c", "{}", "no"), ToolNotFoundException, "Error: Tool not found: no"),
        (
            FunctionCall("c", "{", "divide"),
            InvalidToolArgumentsException,
            "Error: Invalid arguments: {",
        ),
        (
            FunctionCall("c", '{"a": 1, "b": 0}', "divide"),
            ToolExecutionException,
            "Error: division by zero",
        ),
    ],
)
async def test_a_failed_call_is_an_exception_that_names_the_call(
    call: FunctionCall, error: type[ToolException], text: str
) -> None:
    runtime = await tool_runtime()
    with pytest.raises(error) as raised:
        await runtime.send_message(call, AgentId("tools"))
    await runtime.stop()

    for each in (raised.value, copy.copy(raised.value)):
        assert (each.call_id, each.content, each.name) == ("c", text, call.name)
        assert str(each) == text


@pytest.mark.behaviour("tool.agent")
async def test_the_loop_ends_with_the_models_text() -> None:
    runtime = await tool_runtime()
    calls: list[dict[str, Any]] = [
        {"id": "1", "name": "divide", "arguments": {"a": 1, "b": 0}},
        {"id": "2", "name": "no", "arguments": {}},
    ]
    model = ScriptedModel([{"tool_calls": calls}, "done"], record=True)
    messages = await tool_agent_caller_loop(
        runtime,
        AgentId("tools"),
        model,
        [UserMessage(content="Divide.", source="user")],
        [FunctionTool(divide, "Divide.")],
        caller_source="me",
    )
    await runtime.stop()

    first, results, last = messages
    assert isinstance(first, AssistantMessage)
    assert first.source == "me"
    assert results == FunctionExecutionResultMessage(
        content=[
            FunctionExecutionResult(
                content="Error: division by zero", call_id="1", is_error=True, name="divide"
            ),
            FunctionExecutionResult(
                content="Error: Tool not found: no", call_id="2", is_error=True, name="no"
            ),
        ]
    )
    assert last == AssistantMessage(content="done", source="me")
    assert model.calls[1].messages[1:] == (first, results)
    assert [each["name"] for each in model.calls[1].tools] == ["divide"]


@pytest.mark.parametrize("value", ["text", RuntimeError("lost")])
async def test_an_agent_that_answers_otherwise_is_an_error(value: object) -> None:
    runtime = SingleThreadedAgentRuntime()

    async def other(agent: ClosureContext, message: FunctionCall, ctx: MessageContext) -> str:
        if isinstance(value, Exception):
            raise value
        return str(value)

    await ClosureAgent.register_closure(runtime, "tools", other)
    runtime.start()
    model = ScriptedModel([{"tool_calls": [{"id": "1", "name": "no", "arguments": {}}]}])
    text = "lost" if isinstance(value, Exception) else "FunctionExecutionResult, not str"
    with pytest.raises((RuntimeError, TypeError), match=text):
        await tool_agent_caller_loop(runtime, AgentId("tools"), model, [], [])
    await runtime.stop()
