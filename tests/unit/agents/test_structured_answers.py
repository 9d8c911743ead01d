"""Assistants that answer in the form of a class, with models of every kind."""

import copy
from typing import Any

import pytest
from pydantic import BaseModel, Field

from teamrun.agents import AssistantAgent
from teamrun.conditions import TokenUsageTermination
from teamrun.errors import UnfitOutput
from teamrun.messages import (
    ModelClientStreamingChunkEvent,
    StructuredMessage,
    ToolCallSummaryMessage,
)
from teamrun.models.base import ModelInfo
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel


class Price(BaseModel):
    euros: int = Field(ge=1)


def model(*steps: Any, **info: Any) -> ScriptedModel:
    able: dict[str, Any] = {**ScriptedModel([]).model_info, **info}
    return ScriptedModel([*steps], record=True, model_info=ModelInfo(**able))


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def look_up(word: str) -> str:
    """Look a price up."""
    return f"{word}: 3"


def seller(client: ScriptedModel, **options: Any) -> AssistantAgent:
    return AssistantAgent("ada", client, output_content_type=Price, **options)


async def answer(agent: AssistantAgent, task: str = "Tea?") -> Any:
    return (await agent.run(task=task)).messages[-1]


@pytest.mark.behaviour("assistant.structured.unfit")
async def test_an_answer_that_does_not_fit_is_corrected_and_not_remembered() -> None:
    client = model('{"euros": 0}', "Three", '{"euros": 3}', '{"euros": 4}')
    agent = seller(client)

    message = await answer(agent)

    assert type(message) is StructuredMessage[Price]
    assert message.content == Price(euros=3)
    repair = client.calls[2].messages
    assert repair[-4].content == '{"euros": 0}'
    assert "'euros' must be at least 1" in str(repair[-3].content)
    assert repair[-2].content == "Three"
    assert client.calls[2].json_output is Price
    await answer(agent, "Coffee?")
    assert [each.content for each in client.calls[3].messages[1:]] == [
        "Tea?",
        '{"euros": 3}',
        "Coffee?",
    ]


async def test_the_tokens_of_repairs_count_for_conditions() -> None:
    used = {"prompt_tokens": 40, "completion_tokens": 10}
    client = model({"content": "Three", "usage": used}, {"content": '{"euros": 3}', "usage": used})
    condition = TokenUsageTermination(max_total_token=60)
    team = RoundRobinGroupChat([seller(client)], termination_condition=condition, max_turns=5)
    assert (await team.run(task="Tea?")).stop_reason == (
        "Token usage limit reached, total token count: 100, prompt token count: 80, completion "
        "token count: 20."
    )


@pytest.mark.parametrize("repairs", [0, 1, None])
async def test_an_answer_that_never_fits_is_an_error_with_the_text_and_the_problems(
    repairs: int | None,
) -> None:
    texts = [f'{{"euros": -{n}}}' for n in range(5)]
    client = model(*texts)
    agent = seller(client, **({} if repairs is None else {"output_repairs": repairs}))

    with pytest.raises(UnfitOutput) as raised:
        await agent.run(task="Tea?")

    made = 3 if repairs is None else repairs + 1
    assert len(client.calls) == made
    assert (raised.value.code, raised.value.text) == ("output_schema", texts[made - 1])
    assert [each["pointer"] for each in raised.value.problems] == ["/euros"]
    again = copy.copy(raised.value)
    assert (again.text, again.problems, again.retryable) == (texts[made - 1], again.problems, True)
    assert await agent.model_context.get_messages() == []  # the turn is undone


async def test_a_model_without_structured_output_calls_a_tool_to_answer() -> None:
    client = model(
        call("look_up", word="tea"), call("structured_answer", euros=3), structured_output=False
    )
    message = await answer(seller(client, tools=[look_up], max_tool_iterations=3))
    assert message.content == Price(euros=3)
    asked = client.calls[1]
    assert asked.json_output is None
    assert [tool["name"] for tool in asked.tools] == ["look_up", "structured_answer"]
    assert asked.tool_choice == "required"


async def test_the_reflection_of_such_a_model_is_forced() -> None:
    client = model(
        call("look_up", word="tea"), call("structured_answer", euros=3), structured_output=False
    )
    message = await answer(seller(client, tools=[look_up]))
    assert message.content == Price(euros=3)
    choice = client.calls[1].tool_choice
    assert isinstance(choice, dict)
    assert choice["name"] == "structured_answer"


async def test_without_tools_the_model_is_instructed_and_repaired() -> None:
    client = model(
        "Three", '```json\n{"euros": 3}\n```', structured_output=False, function_calling=False
    )
    message = await answer(seller(client))
    assert message.content == Price(euros=3)
    assert [each.json_output for each in client.calls] == [True, True]
    assert "JSON Schema" in str(client.calls[1].messages[1].content)


async def test_a_streaming_agent_corrects_without_chunks_under_a_new_id() -> None:
    client = model("Three euros", '{"euros": 3}')
    agent = seller(client, model_client_stream=True)
    items: list[Any] = [item async for item in agent.run_stream(task="Tea?")]
    chunks = [item for item in items if isinstance(item, ModelClientStreamingChunkEvent)]
    assert "".join(chunk.content for chunk in chunks) == "Three euros"
    message = items[-1].messages[-1]
    assert message.content == Price(euros=3)
    assert message.id not in {chunk.full_message_id for chunk in chunks}


async def test_a_refused_reflection_still_ends_with_the_results() -> None:
    steps = [call("look_up", word="tea"), call("look_up", word="milk")]
    message = await answer(seller(model(*steps, structured_output=False), tools=[look_up]))
    assert type(message) is ToolCallSummaryMessage


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), ("1", TypeError)])
def test_the_number_of_repairs_is_checked(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="output_repairs"):
        seller(model(), output_repairs=wrong)


@pytest.mark.parametrize("repairs", [0, 2, 5])
def test_the_number_is_part_of_the_component(repairs: int) -> None:
    component = seller(model(), output_repairs=repairs).dump_component()
    assert component.config.get("output_repairs") == (None if repairs == 2 else repairs)
