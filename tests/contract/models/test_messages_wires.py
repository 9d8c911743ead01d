"""Answers, failures and requests of Anthropic's Messages API, streamed and not, over HTTP.

Cases are in `wires_messages.py`; those of `test_every_service.py` and `test_every_client.py`
complete them.
"""

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from tests.contract.models.wires import (
    ADD,
    ASK,
    MESSAGES,
    AnswerCase,
    RequestCase,
    connected,
    served,
)
from tests.contract.models.wires_checks import check_answer
from tests.contract.models.wires_messages import ANSWERS, FAILURES, REQUESTS
from tests.support.messages_wire import SIGNATURE, MessagesWire
from tests.support.model_replies import Reply, ToolCall

from teamrun.errors import ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    UserMessage,
)
from teamrun.models import ChatCompletionClient

Json = dict[str, Any]

CASES = (*ANSWERS, *FAILURES)
WHOLE = [case for case in CASES if case.whole is not None]
STREAMED = [case for case in CASES if case.stream is not None]
CLAUDE = "claude-sonnet-5"
EARLY = "claude-sonnet-4-20250514"
THINKS: Json = {"thinking": {"type": "enabled", "budget_tokens": 1024}}

pytestmark = pytest.mark.filterwarnings(  # the SDK's own, about names of models
    "ignore:The model:DeprecationWarning", "ignore:Using Claude:UserWarning"
)
both = pytest.mark.parametrize("stream", [False, True])


class Verdict(BaseModel):
    approved: bool


class Free(BaseModel):
    counts: dict[str, int]


async def answer_of(model: ChatCompletionClient, *, stream: bool, **asked: Any) -> CreateResult:
    messages = asked.pop("messages", ASK)
    if not stream:
        return await model.create(messages, **asked)
    *pieces, result = [piece async for piece in model.create_stream(messages, **asked)]
    assert isinstance(result, CreateResult)
    if isinstance(result.content, str) and not result.thought:
        assert "".join(map(str, pieces)) == result.content
    return result


@pytest.mark.parametrize("client", MESSAGES)
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
async def test_a_whole_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.whole, status=case.status, media_type=case.whole_type)
    await check_answer(client, case, reply, streamed=False)


@pytest.mark.parametrize("client", MESSAGES)
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
async def test_a_streamed_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.stream, status=case.status, media_type=case.stream_type)
    await check_answer(client, case, reply, streamed=True)


@pytest.mark.parametrize("client", MESSAGES)
@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
async def test_a_request_has_the_form_that_the_service_accepts(
    client: str, case: RequestCase
) -> None:
    async with served(Reply(content="{}")) as server:
        async with connected(client, server, **case.options) as model:
            await model.create(case.messages, **case.call)
        [request] = server.requests
    assert {name: request["body"].get(name, ...) for name in case.sent} == dict(case.sent)


@both
@pytest.mark.parametrize(
    ("name", "form", "options", "way"),
    [
        (CLAUDE, Verdict, {}, "schema"),
        (CLAUDE, Verdict, THINKS, "schema"),
        (CLAUDE, Free, {}, "tool"),
        (EARLY, Verdict, {}, "forced"),
        (EARLY, Verdict, THINKS, "tool"),
        ("some-model", Verdict, {}, "forced"),
    ],
)
async def test_an_answer_of_a_type_has_a_schema_or_is_the_call_of_a_tool(
    name: str, form: type[BaseModel], options: Json, way: str, stream: bool
) -> None:
    given: Json = {"approved": True} if form is Verdict else {"counts": {"a": 1}}
    said = Reply(content=json.dumps(given))
    if way == "tool":  # the model may choose, and it calls
        said = Reply(tool_calls=[ToolCall(name="structured_answer", arguments=given)])
    async with served(said) as server:
        async with connected("anthropic", server, model=name, **options) as model:
            result = await answer_of(model, stream=stream, json_output=form)
        body = server.requests[0]["body"]
    assert json.loads(str(result.content)) == given
    assert (result.finish_reason, result.thought) == ("stop", None)
    tools = [tool["name"] for tool in body.get("tools", ())]
    assert tools == ([] if way == "schema" else ["structured_answer"])
    assert ("format" in body.get("output_config", {})) is (way == "schema")
    assert body.get("tool_choice", {}).get("type") == ("tool" if way == "forced" else None)


@both
async def test_a_tool_is_called_before_an_answer_of_a_type(stream: bool) -> None:
    calls = [ToolCall(name="add", arguments={"a": 1}), ToolCall(name="structured_answer")]
    async with served(Reply(tool_calls=calls)) as server:
        async with connected("anthropic", server, model=EARLY) as model:
            result = await answer_of(model, stream=stream, tools=[ADD], json_output=Verdict)
        assert server.requests[0]["body"]["tool_choice"] == {"type": "any"}
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["add"]
    assert result.finish_reason == "function_calls"


async def conversation(result: CreateResult) -> list[LLMMessage]:
    """The turn with the results of its calls, as it comes out of a run's log."""
    assert isinstance(result.content, list)
    turn = AssistantMessage(
        content=result.content,
        source="a",
        thought=result.thought,
        provider_data=result.provider_data,
    )
    stored = AssistantMessage.model_validate_json(turn.model_dump_json())
    results = [
        FunctionExecutionResult(content="1", name="add", call_id=call.id) for call in result.content
    ]
    return [*ASK, stored, FunctionExecutionResultMessage(content=results)]


@pytest.mark.behaviour("model.anthropic")
@both
async def test_thoughts_go_back_with_the_calls_and_to_their_provider_only(stream: bool) -> None:
    thinks = Reply(reasoning="Hm.", tool_calls=[ToolCall(name="add", arguments={"a": 1})])
    async with served(thinks, Reply(content="x")) as server:
        async with connected("anthropic", server, **THINKS) as model:
            result = await answer_of(model, stream=stream, tools=[ADD])
            history = await conversation(result)
            await answer_of(model, stream=stream, messages=history, tools=[ADD])
        for other in ("openai", "bedrock"):
            async with connected(other, server) as model:
                await answer_of(model, stream=stream, messages=history, tools=[ADD])
        own, openai, bedrock = (request["body"] for request in server.requests[1:])
    [thought, call] = own["messages"][1]["content"]
    assert thought == {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
    assert (call["type"], call["input"]) == ("tool_use", {"a": 1})
    assert SIGNATURE not in json.dumps([openai, bedrock])
    assert "Hm." in json.dumps(openai) and "Hm." in json.dumps(bedrock)


REDACTED = {"type": "redacted_thinking", "data": "ZW5j", "later": {"of": "the API"}}


@both
async def test_encrypted_thoughts_go_back_unchanged_in_their_places(stream: bool) -> None:
    blocks: list[Json] = [
        REDACTED,
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "tool_use", "id": "toolu_2", "name": "add", "input": {"a": 2}},
    ]
    frame: Json = {"id": "m", "type": "message", "role": "assistant", "model": "c", "usage": {}}
    whole = json.dumps({**frame, "content": blocks, "stop_reason": "tool_use"})
    async with served(Reply(body=whole), Reply(content="x")) as server:
        async with connected("anthropic", server) as model:
            history = await conversation(await answer_of(model, stream=stream, tools=[ADD]))
            await answer_of(model, stream=stream, messages=history, tools=[ADD])
        assert server.requests[1]["body"]["messages"][1]["content"] == blocks


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"thoughts": "Hm."},
        {"thoughts": ["Hm.", {"before": 0}, {"before": -1, "block": REDACTED}]},
        {"thoughts": [{"before": True, "block": REDACTED}]},
        {"thoughts": [{"before": 0, "block": {"type": "thinking", "thinking": "unsigned"}}]},
        {"thoughts": [{"before": 0, "block": {"type": "text", "text": "smuggled"}}]},
    ],
)
async def test_kept_thoughts_of_another_form_are_left_out(data: Json) -> None:
    called = Reply(tool_calls=[ToolCall(name="add", arguments={"a": 1})], reasoning="x")
    async with served(called, Reply(content="x")) as server:
        async with connected("anthropic", server) as model:
            result = await model.create(ASK, tools=[ADD])
            assert result.provider_data is not None
            changed = result.model_copy(
                update={
                    "provider_data": ProviderData(result.provider_data.provider, data),
                    "thought": None,
                }
            )
            await model.create(await conversation(changed), tools=[ADD])
        sent = server.requests[1]["body"]["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["tool_use"]


async def test_counts_of_the_cache_and_of_thoughts() -> None:
    said = Reply(content="x", prompt_tokens=9, cached_tokens=5, reasoning_tokens=2)
    async with served(said) as server, connected("anthropic", server) as model:
        for stream in (False, True):
            result = await answer_of(model, stream=stream)
            assert (result.usage.prompt_tokens, result.usage.cached_tokens) == (9, 5)
            assert result.usage.reasoning_tokens == 2
            assert result.model == CLAUDE


@pytest.mark.parametrize(
    "reply",
    [
        Reply(content="a b"),
        Reply(content="", reasoning="Hm. So."),
        Reply(content="I add.", tool_calls=[ToolCall(name="add", arguments={"a": [1, "ü"]})]),
        Reply(content="x", finish_reason="refusal", cached_tokens=3),
    ],
)
def test_the_server_of_the_tests_answers_in_the_form_of_the_sdk(reply: Reply) -> None:
    from anthropic.types import ErrorResponse, Message, RawMessageStreamEvent

    wire = MessagesWire()
    body: Json = {"model": CLAUDE, "messages": []}
    Message.model_validate(wire.whole(reply, body, 1), strict=True)
    events: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    kinds: list[str] = []
    for raw in b"".join(wire.events(reply, body, 1)).decode().strip().split("\n\n"):
        name, data = raw.split("\n")
        parsed = json.loads(data.removeprefix("data: "))
        assert name == f"event: {parsed['type']}"
        kinds.append(parsed["type"])
        if parsed["type"] != "ping":  # which the SDK itself leaves out
            events.validate_python(parsed, strict=True)
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    ErrorResponse.model_validate(wire.error(Reply(status=529))[0], strict=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"tools": [ADD], "tool_choice": {"name": "sub"}}, "'sub'"),
        ({"extra_create_args": {"max_token": 5}}, "'max_tokens'"),
        ({"extra_create_args": {"thinking": {"budget_tokens": 5}}}, "thinking.type"),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_is_sent(call: Json, words: str) -> None:
    async with served(Reply()) as server, connected("anthropic", server) as model:
        with pytest.raises(ValueError, match=words):
            await model.create(ASK, **call)
        assert server.calls == 0


async def test_the_id_of_a_refused_request_is_in_the_error() -> None:
    async with served(Reply(status=529)) as server, connected("anthropic", server) as model:
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
    assert raised.value.data["request_id"] == "req_1"


async def test_a_request_that_json_cannot_express() -> None:
    async with served(Reply()) as server, connected("anthropic", server) as model:
        with pytest.raises(ModelError, match="cannot be written as JSON") as raised:
            await model.create(ASK, extra_create_args={"temperature": float("nan")})
        assert (raised.value.retryable, server.calls) == (False, 0)
        await model.create([UserMessage(content="half \ud83d", source="user")])
        assert "half" in json.dumps(server.requests[0]["body"])
