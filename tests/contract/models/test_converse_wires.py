"""Answers and failures of Bedrock's Converse, streamed and not, over HTTP.

Cases are in `wires_converse.py`; those of `test_every_client.py` and of
`tests/integration/models/test_bedrock_faults.py` complete them.
"""

from typing import Any

import pytest
from pydantic import BaseModel
from tests.contract.models.wires import ADD, ASK, CONVERSE, AnswerCase, connected, served
from tests.contract.models.wires_checks import check_answer
from tests.contract.models.wires_converse import ANSWERS, FAILURES
from tests.support.model_replies import Reply, ToolCall

from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from teamrun.models import ChatCompletionClient

CASES = (*ANSWERS, *FAILURES)
WHOLE = [case for case in CASES if case.whole is not None]
STREAMED = [case for case in CASES if case.stream is not None]
MODELS = [
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-sonnet-5-v1:0",
    "us.amazon.nova-pro-v1:0",
    "openai.gpt-oss-120b-1:0",
    "mistral.mistral-large-2407-v1:0",
]
PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\n" + b"x")


class Verdict(BaseModel):
    approved: bool


async def answer_of(model: ChatCompletionClient, *, stream: bool, **asked: Any) -> CreateResult:
    messages = asked.pop("messages", ASK)
    if not stream:
        return await model.create(messages, **asked)
    *pieces, result = [piece async for piece in model.create_stream(messages, **asked)]
    assert isinstance(result, CreateResult)
    if isinstance(result.content, str):
        assert "".join(map(str, pieces)) == result.content
    return result


@pytest.mark.parametrize("client", CONVERSE)
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
async def test_a_whole_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.whole, status=case.status, media_type=case.whole_type)
    await check_answer(client, case, reply, streamed=False)


@pytest.mark.parametrize("client", CONVERSE)
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
async def test_a_streamed_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.stream, status=case.status, media_type=case.stream_type)
    await check_answer(client, case, reply, streamed=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", MODELS)
async def test_an_answer_of_a_type_is_json_for_each_kind_of_model(name: str, stream: bool) -> None:
    said = Reply(content='{"approved": true}')
    async with served(said) as server, connected("bedrock", server, model=name) as model:
        result = await answer_of(model, stream=stream, json_output=Verdict)
    assert Verdict.model_validate_json(str(result.content)).approved
    assert (result.finish_reason, result.thought) == ("stop", None)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_before_an_answer_of_a_type(stream: bool) -> None:
    calls = [ToolCall(name="add", arguments={"a": 1}), ToolCall(name="structured_answer")]
    said = Reply(tool_calls=calls)
    async with served(said) as server, connected("bedrock", server) as model:
        result = await answer_of(model, stream=stream, tools=[ADD], json_output=Verdict)
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["add"]
    assert result.finish_reason == "function_calls"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["meta.llama3-3-70b-instruct-v1:0", "cohere.command-r-v1:0"])
async def test_a_conversation_with_tools_is_accepted_and_its_text_streamed_or_not(
    name: str, stream: bool
) -> None:
    messages: list[LLMMessage] = [
        *ASK,
        AssistantMessage(
            content=[FunctionCall(id="call|1", arguments='{"a": 1}', name="add")], source="a"
        ),
        FunctionExecutionResultMessage(
            content=[
                FunctionExecutionResult(content="", name="add", call_id="call|1", is_error=True)
            ]
        ),
        UserMessage(content="So?", source="user"),
    ]
    said = Reply(content="One of them.")
    async with served(said) as server, connected("bedrock", server, model=name) as model:
        result = await answer_of(model, stream=stream, messages=messages, tools=[ADD])
        path = server.requests[0]["path"]
    assert result.content == "One of them."
    assert path.endswith("/converse")


async def test_a_stream_that_the_service_refuses_is_asked_for_at_once_from_then_on() -> None:
    refused = Reply(status=400, content="This model doesn't support tool use in streaming mode.")
    said = Reply(content="One of them.")
    async with served(refused, said) as server, connected("bedrock", server) as model:
        for _ in range(2):
            result = await answer_of(model, stream=True, tools=[ADD])
            assert result.content == "One of them."
        await answer_of(model, stream=True)
        ways = [request["path"].rpartition("/")[2] for request in server.requests]
    assert ways == ["converse-stream", "converse", "converse", "converse-stream"]


async def test_an_image_arrives_as_its_bytes() -> None:
    asked = [UserMessage(content=["What is it?", PNG], source="user")]
    async with served(Reply(content="A dot.")) as server, connected("bedrock", server) as model:
        await model.create(asked)
        [message] = server.requests[0]["body"]["messages"]
    image = {"format": "png", "source": {"bytes": PNG.to_base64()}}
    assert message["content"] == [{"text": "What is it?"}, {"image": image}]


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_goes_back_with_the_calls_to_the_same_family_only(stream: bool) -> None:
    thinks = Reply(reasoning="Hm.", tool_calls=[ToolCall(name="add", arguments={"a": 1})])
    async with served(thinks, Reply(content="x")) as server, connected("bedrock", server) as model:
        result = await answer_of(model, stream=stream, tools=[ADD])
        assert isinstance(result.content, list)
        turn = AssistantMessage(
            content=result.content,
            source="a",
            thought=result.thought,
            provider_data=result.provider_data,
        )
        stored = AssistantMessage.model_validate_json(turn.model_dump_json())
        outcome = FunctionExecutionResult(content="1", name="add", call_id=result.content[0].id)
        history = [*ASK, stored, FunctionExecutionResultMessage(content=[outcome])]
        await answer_of(model, stream=stream, messages=history, tools=[ADD])
        async with connected("bedrock", server, model="amazon.nova-lite-v1:0") as other:
            await answer_of(other, stream=stream, messages=history, tools=[ADD])
        own, foreign = (request["body"]["messages"][1] for request in server.requests[1:])
    signed = {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}
    assert own["content"][0] == {"reasoningContent": signed}
    assert [*map(list, own["content"])] == [["reasoningContent"], ["toolUse"]]
    assert [*map(list, foreign["content"])] == [["text"], ["toolUse"]]
