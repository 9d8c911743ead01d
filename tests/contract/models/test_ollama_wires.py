"""Answers and failures of Ollama, streamed and not, over HTTP, and the requests for them.

Cases of answers are in `wires_ollama.py`; what all services have in common is in
`test_every_service.py`.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from tests.contract.models.wires import ADD, ASK, AnswerCase, connected, served
from tests.contract.models.wires_checks import check_answer
from tests.contract.models.wires_ollama import ANSWERS, FAILURES
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer

from teamrun.errors import ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    UserMessage,
)
from teamrun.models import ChatCompletionClient, OllamaChatCompletionClient

CASES = (*ANSWERS, *FAILURES)
OK = Reply(content="all is well")


class Verdict(BaseModel):
    approved: bool


async def answer_of(model: ChatCompletionClient, *, stream: bool, **asked: Any) -> CreateResult:
    messages = asked.pop("messages", ASK)
    if not stream:
        return await model.create(messages, **asked)
    *_, result = [piece async for piece in model.create_stream(messages, **asked)]
    assert isinstance(result, CreateResult)
    return result


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.whole is not None], ids=lambda case: case.id
)
async def test_a_whole_answer_is_read_right(case: AnswerCase) -> None:
    reply = Reply(body=case.whole, status=case.status, media_type=case.whole_type)
    await check_answer("ollama", case, reply, streamed=False)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.stream is not None], ids=lambda case: case.id
)
async def test_a_streamed_answer_is_read_right(case: AnswerCase) -> None:
    reply = Reply(body=case.stream, status=case.status, media_type=case.stream_type)
    await check_answer("ollama", case, reply, streamed=True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_thought_goes_back_with_its_calls_to_the_same_server_only(stream: bool) -> None:
    thinks = Reply(reasoning="Hm.", tool_calls=[ToolCall(name="add", arguments={"a": 1})])
    async with served(thinks, OK) as server, served(OK) as other:
        async with connected("ollama", server) as model:
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
        async with connected("ollama", other) as stranger:
            await answer_of(stranger, stream=stream, messages=history, tools=[ADD])
        own, result_sent = server.requests[1]["body"]["messages"][1:]
        foreign = other.requests[0]["body"]["messages"][1]
    assert (own["content"], own["thinking"]) == ("", "Hm.")
    assert (foreign["content"], "thinking" in foreign) == ("Hm.", False)
    [call] = own["tool_calls"]
    assert call["function"] == {"name": "add", "arguments": {"a": 1}}
    assert result_sent == {
        "role": "tool",
        "tool_name": "add",
        "tool_call_id": call["id"],
        "content": "1",
    }


@pytest.mark.parametrize("name", ["api_key", "headers"])
async def test_a_key_is_sent_only_if_it_is_given(name: str) -> None:
    options: dict[str, Any] = {name: {"x-own": "own-1"} if name == "headers" else " key-1\n"}
    async with ModelServer(Plan(default=OK)) as server:
        for given in (dict[str, Any](), options):
            model = OllamaChatCompletionClient("llama3.2", host=server.address, **given)
            await model.create(ASK)
            await model.close()
        first, second = (request["headers"] for request in server.requests)
    assert not {"authorization", "x-own"} & first.keys()
    assert second.get("authorization") == ("Bearer key-1" if name == "api_key" else None)
    assert second.get("x-own") == (None if name == "api_key" else "own-1")


async def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer(Plan(default=OK)) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.address.removeprefix("http://"))
        monkeypatch.setenv("OLLAMA_MODEL", "qwen3:8b")
        monkeypatch.setenv("OLLAMA_API_KEY", "key-of-ollama-com")
        model = OllamaChatCompletionClient()
        await model.create(ASK)
        await model.close()
        [request] = server.requests
    assert (request["path"], request["body"]["model"]) == ("/api/chat", "qwen3:8b")
    assert "authorization" not in request["headers"]


async def test_an_answer_that_drips_ends_with_the_timeout() -> None:
    drip = Reply(content="x" * 1000, fault="drip", gap_seconds=0.02)
    options = {"timeout": timedelta(seconds=0.2), "max_retries": 0}
    async with served(drip) as server, connected("ollama", server, **options) as model:
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
        await server.until(abandoned=1)
    assert raised.value.retryable and raised.value.data["timed_out"]


@pytest.mark.parametrize("stream", [False, True])
async def test_text_that_utf8_cannot_encode_is_sent_without_it(stream: bool) -> None:
    asked = [UserMessage(content="half \ud83d of a pair", source="user")]
    async with served(OK) as server, connected("ollama", server) as model:
        await answer_of(model, stream=stream, messages=asked)
        [message] = server.requests[0]["body"]["messages"]
    assert message["content"] == "half \ufffd of a pair"


async def test_a_request_that_json_cannot_express_is_not_tried_again() -> None:
    async with served(OK) as server, connected("ollama", server) as model:
        with pytest.raises(ModelError) as raised:
            await model.create(ASK, extra_create_args={"temperature": float("nan")})
    assert (server.calls, raised.value.retryable) == (0, False)


async def test_a_model_of_a_format_is_sent_as_its_schema_and_read() -> None:
    said = Reply(content=json.dumps({"approved": True}))
    async with served(said) as server, connected("ollama", server) as model:
        result = await model.create(ASK, json_output=Verdict)
        body = server.requests[0]["body"]
    assert body["format"] == Verdict.model_json_schema()
    assert Verdict.model_validate_json(str(result.content)).approved
