"""Calls as guides to AutoGen write them: each row works, or its error names the right form."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from teamrun import (
    AssistantAgent,
    FunctionTool,
    GraphFlow,
    MaxMessageTermination,
    Response,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
    TextMentionTermination,
    TextMessage,
    UserProxyAgent,
)
from teamrun.conditions import ComposedTermination
from teamrun.memory import ListMemory, MemoryContent
from teamrun.messages import (
    Image,
    MultimodalMessage,
    ToolCallMessage,
    ToolResultMessage,
)
from teamrun.teams import DiGraphBuilder
from teamrun.testing import ScriptedModel
from teamrun.tools import StaticWorkbench

PNG = b"\x89PNG\r\n\x1a\n0000"
HELLO = TextMessage(content="Hello, world", source="user")
RESPONSE = Response(chat_message=TextMessage(content="The answer is 4.", source="a"))


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


DOUBLE = FunctionTool(double)


def agent(name: str = "a", **options: Any) -> AssistantAgent:
    return AssistantAgent(name, ScriptedModel(["One", "Two", "Three"], record=True), **options)


def team(**options: Any) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([agent()], max_turns=1, **options)


async def texts_of(stream: Any) -> list[str]:
    return [str(item)[:40] for item in [each async for each in stream]]


CALLS: dict[str, Callable[[], Awaitable[Any]]] = {
    "on_messages": lambda: agent().on_messages([HELLO]),
    "on_messages_stream": lambda: texts_of(agent().on_messages_stream([HELLO])),
    "run": lambda: agent().run("Go"),
    "run_stream": lambda: texts_of(agent().run_stream("Go")),
    "run of a team": lambda: team().run("Go"),
    "run_stream of a team": lambda: texts_of(team().run_stream("Go")),
    "on_messages of a team": lambda: team().on_messages([HELLO]),
    "on_reset": lambda: agent().on_reset(),
    "on_pause": lambda: agent().on_pause(),
    "on_resume": lambda: agent().on_resume(),
    "on_reset of a person": lambda: UserProxyAgent("p").on_reset(),
    "a tool's run": lambda: DOUBLE.run(DOUBLE.args_type()(number=1)),
    "a tool's run_json": lambda: DOUBLE.run_json({"number": 1}),
    "a workbench": lambda: StaticWorkbench([DOUBLE]).call_tool("double", {"number": 1}),
    "a memory's query": lambda: ListMemory().query("x"),
    "a memory's add": lambda: ListMemory().add(MemoryContent(content="x", mime_type="text/plain")),
}


@pytest.mark.behaviour("agent.token.optional", "agent.task.position")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_token_is_optional_and_a_task_may_come_first(call: Callable[[], Any]) -> None:
    await call()


@pytest.mark.behaviour("events.on_messages")
async def test_a_team_responds_to_messages() -> None:
    response = await team().on_messages([HELLO])

    assert str(response) == "One"
    assert response.inner_messages == []


@pytest.mark.behaviour("message.from_response", "message.response", "message.response.join")
def test_a_response_is_used_as_its_text() -> None:
    assert f"{RESPONSE} {RESPONSE:.3}" == "The answer is 4. The"
    assert RESPONSE[:10] == "The answer"
    assert "answer is" in RESPONSE
    assert "\n".join([str(RESPONSE), "x"]) == "The answer is 4.\nx"
    assert TextMessage(content=RESPONSE, source="b").content == "The answer is 4."  # pyright: ignore[reportArgumentType] - converted
    with pytest.raises(TypeError, match=r"str\(response\)"):
        list(RESPONSE)  # pyright: ignore[reportArgumentType] - no sequence


@pytest.mark.behaviour("message.models_used")
def test_models_used_are_kept_with_a_message() -> None:
    message = TextMessage(content="x", source="a", models_used=["gpt-4o", "o3"])  # pyright: ignore[reportCallIssue] - another form

    assert message.metadata == {"models_used": "gpt-4o,o3"}


@pytest.mark.behaviour("team.agents_alias")
def test_agents_is_another_name_of_participants() -> None:
    a, b = agent(handoffs=["b"]), agent("b")
    graph = DiGraphBuilder().add_node(a).add_node(b).add_edge(a, b).build()
    made = [
        RoundRobinGroupChat(agents=[a, b]),
        Swarm(agents=[a, b]),
        GraphFlow(agents=[a, b], graph=graph),
        SelectorGroupChat(
            agents=[a, b], model_client=ScriptedModel([]), system_message="Of {participants}"
        ),
    ]

    assert [list(each.participants) for each in made] == [[a, b]] * 4


@pytest.mark.behaviour("condition.defaults", "condition.terminate")
async def test_conditions_have_defaults_and_are_asked_with_terminate() -> None:
    said = TextMessage(content="TERMINATE", source="a")

    assert await TextMentionTermination().terminate([HELLO]) is False
    assert await TextMentionTermination().terminate([said]) is True
    assert (
        await TextMentionTermination().terminate([TextMessage(content="terminate", source="a")])
        is False
    )
    assert await MaxMessageTermination().terminate([HELLO] * 99) is False
    assert await MaxMessageTermination().terminate([HELLO] * 100) is True
    both = ComposedTermination(TextMentionTermination(), MaxMessageTermination(2))
    assert await both.terminate([HELLO, HELLO]) is True


@pytest.mark.behaviour("assistant.tool_choice", "assistant.max_tool_use_attempts")
async def test_tool_choice_and_the_other_name_of_the_iterations() -> None:
    model = ScriptedModel(
        [{"tool_calls": [{"name": "double", "arguments": {"number": 2}}]}, "Four"], record=True
    )
    caller = AssistantAgent(
        "a", model, tools=[double], tool_choice="required", max_tool_use_attempts=3
    )

    result = await caller.run("Double 2")

    assert str(result.messages[-1].to_text()) == "Four"
    assert [call.tool_choice for call in model.calls] == ["required", "auto"]


@pytest.mark.behaviour("message.tool_fields")
def test_a_tool_call_and_its_result_by_their_fields() -> None:
    call = ToolCallMessage(tool_name="double", arguments={"number": 2}, source="a")  # pyright: ignore[reportCallIssue] - another form
    named = ToolCallMessage(tool_name="double", tool_arguments="{}", tool_use_id="7", source="a")  # pyright: ignore[reportCallIssue] - another form
    result = ToolResultMessage(tool_name="double", tool_result=4, tool_use_id="7", source="a")  # pyright: ignore[reportCallIssue] - another form
    failed = ToolResultMessage(tool_name="double", error="broken", tool_use_id="7", source="a")  # pyright: ignore[reportCallIssue] - another form

    assert [(c.name, c.arguments) for c in call.content] == [("double", '{"number": 2}')]
    assert (named.content[0].id, named.content[0].arguments) == ("7", "{}")
    assert [(r.call_id, r.content, r.is_error) for r in [*result.content, *failed.content]] == [
        ("7", "4", False),
        ("7", "broken", True),
    ]
    assert ToolCallMessage.load(call.dump()) == call
    with pytest.raises(ValidationError, match="name"):
        ToolCallMessage(arguments={}, source="a")  # pyright: ignore[reportCallIssue] - another form


@pytest.mark.behaviour("message.unknown_fields")
def test_a_message_of_text_images_and_documents() -> None:
    # Static types know the released form alone.
    described: Any = MultimodalMessage
    message = described(
        content="Look:",
        images=[PNG],
        documents=[{"name": "a.txt", "content": b"Snow"}, "Rain"],
        source="user",
    ).add_image(PNG)

    image = Image.from_bytes(PNG)
    assert message.content == ["Look:", image, "a.txt:\nSnow", "document:\nRain", image]
    with pytest.raises(ValidationError, match=r"'b.pdf' is not text.*images of its pages"):
        described(content="x", documents=[{"name": "b.pdf", "data": b"%PDF\xff"}], source="u")


def test_forms_are_used_together_in_a_script() -> None:
    async def script() -> str:
        helper = agent()
        response = await helper.on_messages([HELLO])
        await helper.on_messages([TextMessage(content=response, source="b")])  # pyright: ignore[reportArgumentType] - converted
        model = helper.model_context
        return str([message.content for message in await model.get_messages()])

    assert asyncio.run(script()) == "['Hello, world', 'One', 'One', 'Two']"
