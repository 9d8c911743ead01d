"""Answers in every form that servers send, streamed and not, and requests, for every client.

Cases are in `wires_answers.py`, `wires_azure.py`, `wires_calls.py`, `wires_errors.py` and
`wires_requests.py`.
All requests use real HTTP.
"""

import json
import math
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.contract.models.wires import (
    ADD,
    ASK,
    CLIENTS,
    AnswerCase,
    RequestCase,
    connected,
    served,
)
from tests.contract.models.wires_answers import ANSWERS
from tests.contract.models.wires_azure import FILTERED
from tests.contract.models.wires_calls import CALLS
from tests.contract.models.wires_checks import check_answer, streamed_answer, whole_answer
from tests.contract.models.wires_errors import ERRORS
from tests.contract.models.wires_requests import REQUESTS
from tests.support.model_replies import Reply, ToolCall

from teamrun.errors import ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
)
from teamrun.models.retry import RetryPolicy

STREAM_OPTIONS_REFUSED = [
    json.dumps(body)
    for body in (
        {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]},
        {"error_code": "BAD_REQUEST", "message": 'json: unknown field "stream_options"'},
        {"error": {"message": "Unrecognized request argument supplied: stream_options"}},
        {"error": {"message": "Unrecognized argument supplied", "param": "stream_options"}},
        {"error": 'json: unknown field "include_usage"'},
        {"error": {"message": 'Unknown name "streamOptions": Cannot find field.'}},
    )
]
CASES = (*ANSWERS, *CALLS, *ERRORS, *FILTERED)
WHOLE = [case for case in CASES if case.whole is not None]
STREAMED = [case for case in CASES if case.stream is not None]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
async def test_a_whole_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.whole, status=case.status, media_type=case.whole_type)
    await check_answer(client, case, reply, streamed=False)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
async def test_a_streamed_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.stream, status=case.status, media_type=case.stream_type)
    await check_answer(client, case, reply, streamed=True)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
async def test_a_request_has_the_form_that_servers_accept(client: str, case: RequestCase) -> None:
    async with served(Reply(content="Yes.")) as server:
        async with connected(client, server, **case.options) as model:
            await model.create(case.messages, **case.call)
        [request] = server.requests
    received = {name: request["body"].get(name, ...) for name in case.sent}
    assert received == dict(case.sent)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("written", STREAM_OPTIONS_REFUSED)
async def test_a_server_that_refuses_stream_options_gets_none_from_then_on(
    client: str, status: int, written: str
) -> None:
    refusal = Reply(status=status, body=written)
    async with served(refusal, Reply(content="Three.")) as server:
        async with connected(client, server, retry=RetryPolicy(max_retries=0)) as model:
            results = [(await streamed_answer(model))[0].content for _ in range(2)]
        sent = ["stream_options" in request["body"] for request in server.requests]
    assert (results, sent) == (["Three."] * 2, [True, False, False])


@pytest.mark.behaviour("condition.token_usage.streaming", "model.openai.stream_usage")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("options", "call", "sent"),
    [
        ({}, {}, {"include_usage": True}),
        ({"include_usage": True}, {}, {"include_usage": True}),
        ({"include_usage": False}, {}, None),
        ({}, {"include_usage": False}, None),
        ({"include_usage": False}, {"include_usage": True}, {"include_usage": True}),
        ({"stream_options": {"x": 1}}, {}, {"include_usage": True, "x": 1}),
        ({"stream_options": {"x": 1}}, {"include_usage": False}, {"x": 1}),
    ],
)
async def test_usage_of_a_stream_is_asked_for_unless_it_is_not_wanted(
    client: str, options: dict[str, Any], call: dict[str, Any], sent: object
) -> None:
    async with served(Reply(content="Three.")) as server:
        async with connected(client, server, **options) as model:
            pieces = [piece async for piece in cast(Any, model).create_stream(ASK, **call)]
        assert pieces[-1].content == "Three."
        assert server.requests[0]["body"].get("stream_options") == sent


@pytest.mark.parametrize("client", CLIENTS)
async def test_an_id_of_an_earlier_call_is_not_given_to_another(client: str) -> None:
    earlier = AssistantMessage(
        content=[FunctionCall(id="call_0", arguments="{}", name="add")], source="a"
    )
    results = FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="0", name="add", call_id="call_0")]
    )
    reply = Reply(tool_calls=[ToolCall(name="add", id="call_0")])
    async with served(reply) as server, connected(client, server) as model:
        result = await model.create([*ASK, earlier, results], tools=[ADD])
    assert isinstance(result.content, list)
    assert result.content[0].id not in ("call_0", "")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("bad_tool", "extra"),
    [
        (False, {"temperature": math.nan}),
        (False, {"extra_body": {"x": [-math.inf]}}),
        (True, {}),
    ],
)
async def test_a_request_that_json_cannot_express_is_not_tried_again(
    client: str, streamed: bool, bad_tool: bool, extra: dict[str, Any]
) -> None:
    bad: Any = {**ADD, "parameters": {"type": "object", "properties": {"a": {"const": math.inf}}}}
    tools = [bad if bad_tool else ADD]

    async with served(Reply(content="Three.")) as server, connected(client, server) as model:
        with pytest.raises(ModelError) as raised:
            if streamed:
                stream = model.create_stream(ASK, tools=tools, extra_create_args=extra)
                [_ async for _ in stream]
            else:
                await model.create(ASK, tools=tools, extra_create_args=extra)
        assert server.calls == 0
    assert not raised.value.retryable
    assert "unreadable" not in raised.value.data


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("query", ["sig=a%2Fb%3D&empty=", "sig=a%2Fb%3D&empty=#part"])
async def test_the_query_of_an_address_is_sent_behind_the_path(client: str, query: str) -> None:
    async with served(Reply(content="Three.")) as server:
        addresses = {
            "openai": {"base_url": f"{server.base_url}?{query}"},
            "azure": {"azure_endpoint": f"{server.address}/?{query}"},
            "azure_v1": {"azure_endpoint": f"{server.address}/openai/v1/?{query}"},
        }
        model = CLIENTS[client](server, model="gpt-4o", api_key="key-1", **addresses[client])
        await model.create(ASK)
        await model.close()
        path = urlsplit(str(server.requests[0]["path"]))
    assert path.path.endswith("/chat/completions")
    sent = dict(parse_qsl(path.query, keep_blank_values=True))
    assert {name: sent.get(name) for name in ("sig", "empty")} == {"sig": "a/b=", "empty": ""}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [200, 404])
async def test_a_key_of_the_query_that_a_server_repeats_is_not_in_the_error(
    client: str, status: int
) -> None:
    words = "no /v1?sig=sig%2F12345, nor sig/12345, nor 2024-10-21"
    reply = Reply(status=status, body=json.dumps({"error": {"message": words, "code": 404}}))
    async with served(reply) as server:
        address = f"{server.base_url if client == 'openai' else server.address}?sig=sig%2F12345"
        name = "base_url" if client == "openai" else "azure_endpoint"
        async with connected(client, server, **{name: address}) as model:
            for asked in (whole_answer(model), streamed_answer(model)):
                with pytest.raises(ModelError, match="2024-10-21") as raised:
                    await asked
                assert "12345" not in json.dumps(raised.value.as_json())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [200, 401])
async def test_a_key_that_a_server_repeats_is_not_in_the_error(client: str, status: int) -> None:
    options = {"api_key": "key-12345", "default_headers": {"x-own": "own-23456"}}
    written = {"error": {"message": "no key-12345, nor own-23456", "code": 401}}
    reply = Reply(status=status, body=json.dumps(written))
    async with served(reply) as server, connected(client, server, **options) as model:
        for asked in (whole_answer(model), streamed_answer(model)):
            with pytest.raises(ModelError) as raised:
                await asked
            assert "12345" not in json.dumps(raised.value.as_json())
            assert "23456" not in json.dumps(raised.value.as_json())
