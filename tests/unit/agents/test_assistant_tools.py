"""Turns of an assistant with tools: the loop, summaries, reflection, handovers."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.agents import AssistantAgent, Handoff
from teamrun.core import CancellationToken
from teamrun.messages import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    HandoffMessage,
    RequestUsage,
    StructuredMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from teamrun.models import ModelInfo
from teamrun.testing import ScriptedModel
from teamrun.tools import (
    AgentTool,
    FunctionTool,
    StaticWorkbench,
    TextResultContent,
    ToolOverride,
    ToolResult,
    ToolSchema,
    Workbench,
)

HELLO = TextMessage(content="hello", source="user")
USAGE = RequestUsage(5, 6)


async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


async def fail() -> None:
    raise ValueError("no luck")


def ask(*calls: tuple[str, Mapping[str, Any]], **step: Any) -> Mapping[str, Any]:
    """A step in which the model requests tools."""
    return {"tool_calls": [{"name": n, "arguments": dict(a)} for n, a in calls], **step}


def raw(name: str, arguments: str) -> CreateResult:
    call = FunctionCall(id="c1", arguments=arguments, name=name)
    return CreateResult(finish_reason="function_calls", content=[call], usage=USAGE)


async def turn(agent: AssistantAgent, token: CancellationToken | None = None) -> list[Any]:
    return [item async for item in agent.on_messages_stream([HELLO], token)]


def kinds(items: Sequence[Any]) -> list[str]:
    return [type(item).__name__ for item in items]


def results(items: Sequence[Any]) -> list[tuple[str, bool | None]]:
    executed = next(item for item in items if type(item).__name__ == "ToolCallExecutionEvent")
    return [(result.content, result.is_error) for result in executed.content]


@pytest.mark.behaviour(
    "message.model_messages",
    "assistant.reflect.default",
    "assistant.tools.events",
    "assistant.tools.summary",
)
async def test_without_reflection_the_answer_is_a_summary_of_the_results() -> None:
    model = ScriptedModel(
        [
            ask(
                ("add", {"a": 1, "b": 2}),
                ("add", {"a": 3, "b": 4}),
                usage={"prompt_tokens": 5, "completion_tokens": 6},
                thought="sum up",
            )
        ],
        record=True,
    )
    agent = AssistantAgent("ada", model, tools=[add])

    items = await turn(agent)

    assert kinds(items) == [
        "ThoughtEvent",
        "ToolCallRequestEvent",
        "ToolCallExecutionEvent",
        "Response",
    ]
    *inner, response = items
    assert response.inner_messages == inner
    assert inner[1].models_usage == USAGE
    summary = response.chat_message
    assert isinstance(summary, ToolCallSummaryMessage)
    assert (summary.content, summary.models_usage) == ("3\n7", None)
    assert summary.tool_calls == inner[1].content
    assert summary.results == inner[2].content
    assert model.calls[0].tools[0]["name"] == "add"
    context = await agent.model_context.get_messages()
    assert context[1:] == [
        AssistantMessage(content=inner[1].content, source="ada", thought="sum up"),
        FunctionExecutionResultMessage(content=inner[2].content),
    ]


async def test_a_result_carries_the_name_and_the_id_of_its_call() -> None:
    agent = AssistantAgent("ada", ScriptedModel([raw("add", '{"a":1,"b":1}')]), tools=[add])

    response = (await turn(agent))[-1]

    assert response.chat_message.results == [
        FunctionExecutionResult(content="2", name="add", call_id="c1", is_error=False)
    ]


@pytest.mark.behaviour("assistant.tools.summary")
async def test_a_summary_is_written_by_a_format_or_a_function() -> None:
    steps = [ask(("add", {"a": 1, "b": 2}), ("fail", {}))]

    def write(call: FunctionCall, result: FunctionExecutionResult) -> str:
        return f"{call.name} -> {result.content}"

    by_format = AssistantAgent(
        "ada",
        ScriptedModel(steps),
        tools=[add, fail],
        tool_call_summary_format="{tool_name}({arguments}) = {result} {is_error}",
    )
    by_function = AssistantAgent(
        "ada", ScriptedModel(steps), tools=[add, fail], tool_call_summary_formatter=write
    )

    assert (await turn(by_format))[-1].chat_message.content == (
        'add({"a": 1, "b": 2}) = 3 False\nfail({}) = no luck True'
    )
    assert (await turn(by_function))[-1].chat_message.content == "add -> 3\nfail -> no luck"


@pytest.mark.behaviour("assistant.tools.iterations")
async def test_the_model_is_asked_at_most_so_often() -> None:
    model = ScriptedModel([ask(("add", {"a": n, "b": 0})) for n in range(3)], record=True)

    items = await turn(AssistantAgent("ada", model, tools=[add], max_tool_iterations=2))

    assert len(model.calls) == 2
    assert str(items[-1]) == "1"


@pytest.mark.behaviour("assistant.tools.iterations")
async def test_the_model_is_asked_again_until_it_answers() -> None:
    model = ScriptedModel(
        [ask(("add", {"a": 1, "b": 2})), ask(("add", {"a": 3, "b": 4})), "done"], record=True
    )
    agent = AssistantAgent("ada", model, tools=[add], max_tool_iterations=3)

    items = await turn(agent)

    assert kinds(items) == [
        *["ToolCallRequestEvent", "ToolCallExecutionEvent"] * 2,
        "Response",
    ]
    assert str(items[-1]) == "done"
    assert kinds(model.calls[2].messages[2:]) == [
        *["AssistantMessage", "FunctionExecutionResultMessage"] * 2
    ]
    assert all(call.tools for call in model.calls)


@pytest.mark.behaviour("assistant.tools.summary")
async def test_after_the_last_iteration_only_the_last_results_are_summed_up() -> None:
    model = ScriptedModel([ask(("add", {"a": 1, "b": 2})), ask(("add", {"a": 3, "b": 4}))])
    agent = AssistantAgent("ada", model, tools=[add], max_tool_use_attempts=2)

    assert str((await turn(agent))[-1]) == "7"


@pytest.mark.behaviour("assistant.tools.reflection", "assistant.tools.reflection.tools")
async def test_reflection_may_call_no_tools_and_has_the_results_in_sight() -> None:
    model = ScriptedModel(
        [ask(("add", {"a": 1, "b": 2})), {"content": "It is 3.", "thought": "hm"}], record=True
    )
    agent = AssistantAgent("ada", model, tools=[add], reflect_on_tool_use=True)

    items = await turn(agent)

    assert kinds(items) == [
        "ToolCallRequestEvent",
        "ToolCallExecutionEvent",
        "ThoughtEvent",
        "Response",
    ]
    assert str(items[-1]) == "It is 3."
    assert (model.calls[1].tools, model.calls[1].tool_choice) == (model.calls[0].tools, "none")
    last = (await agent.model_context.get_messages())[-1]
    assert last == AssistantMessage(content="It is 3.", source="ada", thought="hm")


@pytest.mark.behaviour("assistant.stream")
async def test_streamed_chunks_belong_to_the_reflection_they_are_part_of() -> None:
    agent = AssistantAgent(
        "ada",
        ScriptedModel([ask(("add", {"a": 1, "b": 2})), "It is"]),
        tools=[add],
        reflect_on_tool_use=True,
        model_client_stream=True,
    )

    items = await turn(agent)

    assert kinds(items[2:]) == [*["ModelClientStreamingChunkEvent"] * 2, "Response"]
    assert {chunk.full_message_id for chunk in items[2:4]} == {items[-1].chat_message.id}
    assert kinds(items[-1].inner_messages) == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]


class Chatty(ScriptedModel):
    """Streams text beside its tool calls, too."""

    async def create_stream(
        self, messages: Any, **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield "let me see "
        yield await self.create(messages, **options)


@pytest.mark.behaviour("assistant.stream")
async def test_chunks_beside_tool_calls_are_not_part_of_the_answer() -> None:
    agent = AssistantAgent(
        "ada",
        Chatty([ask(("add", {"a": 1, "b": 2})), "It is 3."]),
        tools=[add],
        max_tool_iterations=2,
        model_client_stream=True,
    )

    items = await turn(agent)

    first, second = (item for item in items if "Chunk" in type(item).__name__)
    assert second.full_message_id == items[-1].chat_message.id
    assert first.full_message_id != second.full_message_id


def insisting(content: Any = None, **options: Any) -> AssistantAgent:
    """An agent whose model also requests a tool in its reflection."""
    call = ask(("add", {"a": 1, "b": 2}))
    again = call if content is None else {**call, "content": content}
    return AssistantAgent(
        "ada", ScriptedModel([call, again]), tools=[add], reflect_on_tool_use=True, **options
    )


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_reflection_that_asks_for_tools_ends_with_the_text_beside_them(
    streamed: bool,
) -> None:
    agent = insisting("It is 3.", model_client_stream=streamed)

    items = [item for item in await turn(agent) if "Chunk" not in type(item).__name__]

    assert kinds(items) == ["ToolCallRequestEvent", "ToolCallExecutionEvent", "Response"]
    answer = items[-1].chat_message
    assert type(answer) is TextMessage
    assert answer.content == "It is 3."
    assert answer.models_usage is not None


async def test_a_reflection_that_asks_for_tools_without_a_word_ends_with_the_results() -> None:
    answer = (await turn(insisting()))[-1].chat_message

    assert type(answer) is ToolCallSummaryMessage
    assert answer.content == "3"
    assert answer.models_usage is not None


@pytest.mark.parametrize(
    ("text", "kind"), [('{"total": 3}', "StructuredMessage"), ("Three.", "ToolCallSummaryMessage")]
)
async def test_the_text_beside_them_counts_only_if_it_fits_the_output_type(
    text: str, kind: str
) -> None:
    agent = insisting(text, output_content_type=Total)

    assert (await turn(agent))[-1].chat_message.type.startswith(kind)


async def test_after_such_a_reflection_the_context_is_one_that_models_take() -> None:
    agent = insisting("It is 3.")
    await agent.run(task="add")
    assert [type(message).__name__ for message in await agent.model_context.get_messages()] == [
        "UserMessage",
        "AssistantMessage",
        "FunctionExecutionResultMessage",
        "AssistantMessage",
    ]


class Total(BaseModel):
    total: int


@pytest.mark.behaviour("assistant.reflect.default")
async def test_structured_output_reflects_by_default() -> None:
    steps = [ask(("add", {"a": 1, "b": 2})), {"content": {"total": 3}}]
    reflecting = AssistantAgent("ada", ScriptedModel(steps), tools=[add], output_content_type=Total)
    summing_up = AssistantAgent(
        "ada",
        ScriptedModel(steps),
        tools=[add],
        output_content_type=Total,
        reflect_on_tool_use=False,
    )

    message = (await turn(reflecting))[-1].chat_message
    assert type(message) is StructuredMessage[Total]
    assert message.content == Total(total=3)
    assert type((await turn(summing_up))[-1].chat_message) is ToolCallSummaryMessage


@pytest.mark.behaviour("assistant.tools.errors")
async def test_a_failure_of_a_call_is_reported_to_the_model() -> None:
    cases = [
        (
            raw("add", "{"),
            "Error: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (raw("add", "[1]"), "Error: the arguments must be a JSON object, not '[1]'"),
        (raw("none", "{}"), "Error: tool 'none' not found in any workbench"),
        (raw("fail", "{}"), "no luck"),
        (raw("fail", ""), "no luck"),
    ]
    for step, text in cases:
        agent = AssistantAgent("ada", ScriptedModel([step]), tools=[add, fail])

        assert results(await turn(agent)) == [(text, True)]


@pytest.mark.behaviour("assistant.tools.concurrent")
async def test_parallel_calls_overlap_and_keep_their_order() -> None:
    met = asyncio.Barrier(2)

    async def meet(name: str, slow: bool) -> str:
        await met.wait()  # hangs unless both are under way
        if slow:
            await asyncio.sleep(0)
        return name

    model = ScriptedModel(
        [ask(("meet", {"name": "a", "slow": True}), ("meet", {"name": "b", "slow": False}))]
    )
    assert results(await turn(AssistantAgent("ada", model, tools=[meet]))) == [
        ("a", False),
        ("b", False),
    ]


async def test_a_single_call_is_awaited_in_the_agents_own_task() -> None:
    seen: list[Any] = []

    async def look() -> None:
        seen.append(asyncio.current_task())

    agent = AssistantAgent("ada", ScriptedModel([ask(("look", {}))]), tools=[look])
    await turn(agent)
    assert seen == [asyncio.current_task()]


class Changing(Workbench):
    """Has another tool after each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any] | None, str | None]] = []

    async def list_tools(self) -> Sequence[ToolSchema]:
        return [ToolSchema(name=f"tool{len(self.calls)}")]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        self.calls.append((name, arguments, call_id))
        return ToolResult(name=name, result=[TextResultContent(content="ok")], is_error=True)


@pytest.mark.behaviour("assistant.tools.workbench")
async def test_a_workbench_is_asked_for_its_tools_before_each_model_call() -> None:
    bench = Changing()
    model = ScriptedModel([raw("tool0", '{"a":1}'), raw("tool0", "{}"), "done"], record=True)
    agent = AssistantAgent("ada", model, workbench=bench, max_tool_iterations=2)

    items = await turn(agent)

    assert [call.tools for call in model.calls] == [
        ({"name": "tool0"},),
        ({"name": "tool1"},),
    ]
    assert results(items) == [("ok", True)]
    assert results(items[2:]) == [("Error: tool 'tool0' not found in any workbench", True)]
    assert bench.calls == [("tool0", {"a": 1}, "c1")]


@pytest.mark.behaviour("assistant.tools.workbench")
async def test_fixed_workbenches_may_be_several() -> None:
    model = ScriptedModel([ask(("plus", {"a": 1, "b": 1}), ("fail", {}))], record=True)
    agent = AssistantAgent(
        "ada",
        model,
        workbench=[
            StaticWorkbench([FunctionTool(add, "d")], {"add": ToolOverride(name="plus")}),
            StaticWorkbench([FunctionTool(fail, "d")]),
        ],
    )

    assert results(await turn(agent)) == [("2", False), ("no luck", True)]
    assert [tool["name"] for tool in model.calls[0].tools] == ["plus", "fail"]


@pytest.mark.behaviour("assistant.tools.inner_events")
async def test_an_agent_as_a_tool_reports_what_it_does() -> None:
    inner = AssistantAgent(
        "helper", ScriptedModel([ask(("add", {"a": 1, "b": 2}))]), tools=[add], description="Adds."
    )
    model = ScriptedModel([ask(("helper", {"task": "1+2?"}), ("add", {"a": 5, "b": 5}))])
    agent = AssistantAgent("ada", model, tools=[AgentTool(inner), add])

    items = await turn(agent)

    assert kinds(items) == [
        "ToolCallRequestEvent",
        "TextMessage",
        "ToolCallRequestEvent",
        "ToolCallExecutionEvent",
        "ToolCallSummaryMessage",
        "ToolCallExecutionEvent",
        "Response",
    ]
    assert [item.source for item in items[:-1]] == ["ada", "user", *["helper"] * 3, "ada"]
    assert items[1].to_text() == "1+2?"
    assert [result.content for result in items[5].content] == ["helper: 3", "10"]
    assert items[-1].inner_messages == items[:-1]


@pytest.mark.behaviour("assistant.tools.inner_events")
async def test_chunks_of_an_agent_tool_are_streamed_but_not_kept() -> None:
    inner = AssistantAgent("helper", ScriptedModel(["one two"]), model_client_stream=True)
    model = ScriptedModel([ask(("helper", {"task": "go"}))])
    agent = AssistantAgent(
        "ada", model, tools=[AgentTool(inner, return_value_as_last_message=True)]
    )

    items = await turn(agent)

    assert "ModelClientStreamingChunkEvent" in kinds(items)
    assert "ModelClientStreamingChunkEvent" not in kinds(items[-1].inner_messages)
    assert str(items[-1]) == "one two"


@pytest.mark.behaviour("assistant.tool_choice")
async def test_tool_choice_is_passed_on_and_required_only_at_first() -> None:
    steps = [ask(("add", {"a": 1, "b": 2})), "done"]
    seen: dict[str, list[Any]] = {}
    for choice in ("auto", "required", "none"):
        model = ScriptedModel(steps, record=True)
        agent = AssistantAgent("ada", model, tools=[add], tool_choice=choice, max_tool_iterations=2)
        await turn(agent)
        seen[choice] = [call.tool_choice for call in model.calls]

    assert seen == {
        "auto": ["auto", "auto"],
        "required": ["required", "auto"],
        "none": ["none", "none"],
    }


async def test_tool_choice_without_tools_is_not_sent() -> None:
    model = ScriptedModel(["x"], record=True)

    await turn(AssistantAgent("ada", model, tool_choice="required"))

    assert model.calls[0].tool_choice == "auto"


async def test_the_model_sees_its_own_messages_unchanged() -> None:
    arguments = '{"a": 1,\n "b": 2}'
    agent = AssistantAgent("ada", ScriptedModel([raw("add", arguments)]), tools=[add])

    await turn(agent)
    said: Any = (await agent.model_context.get_messages())[1]

    assert said.content[0].arguments == arguments
    assert json.loads(arguments) == {"a": 1, "b": 2}


@pytest.mark.behaviour("assistant.arguments")
def test_arguments_that_do_not_fit_together_are_refused() -> None:
    model = ScriptedModel([])
    mute = ScriptedModel(
        [],
        model_info=ModelInfo(
            vision=False,
            function_calling=False,
            json_output=False,
            family="x",
            structured_output=False,
        ),
    )
    odd: Any = 3
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tools": [add, add]}, "Tool names must be unique: ['add', 'add']"),
        ({"tools": [odd]}, "Unsupported tool type: <class 'int'>"),
        ({"tools": [add], "workbench": Changing()}, "Tools cannot be used with a workbench."),
        ({"handoffs": ["bob", "bob"]}, "Handoff names must be unique"),
        ({"handoffs": [odd]}, "Unsupported handoff type: <class 'int'>"),
        (
            {"tools": [add], "handoffs": [Handoff(target="bob", name="add")]},
            "Handoff names must be unique from tool names. "
            "Handoff names: ['add']; tool names: ['add']",
        ),
        ({"max_tool_iterations": 0}, "max_tool_iterations "),
        ({"max_tool_iterations": 2, "max_tool_use_attempts": 2}, "max_tool_use_attempts "),
        ({"tools": [add], "model_client": mute}, "The model does not support function calling."),
        (
            {"handoffs": ["bob"], "model_client": mute},
            "The model does not support function calling, which is needed for handoffs.",
        ),
    ]
    for options, autogen in cases:
        with pytest.raises(ValueError) as raised:
            AssistantAgent("ada", options.pop("model_client", model), **options)
        assert str(raised.value).startswith(autogen)


@pytest.mark.behaviour("assistant.produced")
def test_an_agent_declares_the_messages_that_it_may_produce() -> None:
    model = ScriptedModel([])

    assert AssistantAgent("ada", model).produced_message_types == [TextMessage]
    assert AssistantAgent("ada", model, tools=[add], handoffs=["bob"]).produced_message_types == [
        TextMessage,
        ToolCallSummaryMessage,
        HandoffMessage,
    ]
    assert AssistantAgent("ada", model, workbench=Changing()).produced_message_types == [
        TextMessage,
        ToolCallSummaryMessage,
    ]
