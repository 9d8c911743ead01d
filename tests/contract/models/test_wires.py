"""Every wire that was met, streamed and not, read by every client; and what clients send.

Cases are in `wires_answers.py` and `wires_requests.py`. Everything goes over real HTTP.
"""

import asyncio
import json

import pytest
from tests.contract.models.wires import (
    ADD,
    ASK,
    CLIENTS,
    AnswerCase,
    Failure,
    RequestCase,
    Said,
    connected,
    served,
)
from tests.contract.models.wires_answers import ANSWERS
from tests.contract.models.wires_requests import REQUESTS
from tests.support.model_replies import Reply

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult
from teamrun.models import ChatCompletionClient

WHOLE = [case for case in ANSWERS if case.whole is not None]
STREAMED = [case for case in ANSWERS if case.stream is not None]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_a_whole_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.whole, status=case.status, media_type=case.whole_type)
    asyncio.run(_check(client, case, reply, streamed=False))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
def test_a_streamed_answer_is_read_right(client: str, case: AnswerCase) -> None:
    reply = Reply(body=case.stream, status=case.status, media_type=case.stream_type)
    asyncio.run(_check(client, case, reply, streamed=True))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_a_request_is_what_servers_take(client: str, case: RequestCase) -> None:
    async def body() -> None:
        async with served(Reply(content="Yes.")) as server:
            async with connected(client, server, **case.options) as model:
                await model.create(case.messages, **case.call)
            [request] = server.requests
        received = {name: request["body"].get(name, ...) for name in case.sent}
        assert received == dict(case.sent)

    asyncio.run(body())


async def _check(client: str, case: AnswerCase, reply: Reply, *, streamed: bool) -> None:
    async with served(reply) as server:
        async with connected(client, server, **case.options) as model:
            asked = _streamed(model) if streamed else _whole(model)
            if isinstance(case.right, Failure):
                with pytest.raises(ModelError) as raised:
                    await asked
                _check_failure(raised.value, case.right)
            else:
                _check_said(case.right, *await asked)
        # A call that the server was paid for is made again only if that may help.
        again = isinstance(case.right, Failure) and case.right.retryable
        assert server.calls == (2 if again and not _spoken(case, streamed) else 1)


async def _whole(model: ChatCompletionClient) -> tuple[CreateResult, list[str] | None]:
    return await model.create(ASK, tools=[ADD]), None


async def _streamed(model: ChatCompletionClient) -> tuple[CreateResult, list[str] | None]:
    *pieces, result = [piece async for piece in model.create_stream(ASK, tools=[ADD])]
    assert isinstance(result, CreateResult)
    return result, [str(piece) for piece in pieces]


def _spoken(case: AnswerCase, streamed: bool) -> bool:
    return streamed and isinstance(case.right, Failure) and case.right.after_text


def _check_said(right: Said, result: CreateResult, pieces: list[str] | None) -> None:
    if right.calls:
        assert isinstance(result.content, list)
        read = [(call.name, json.loads(call.arguments)) for call in result.content]
        assert read == list(right.calls)
        ids = [call.id for call in result.content]
        assert all(ids) and len(set(ids)) == len(ids)
        assert right.call_ids in (None, ids)
    else:
        assert result.content == right.content
    assert result.thought == right.thought
    assert right.finish_reason in (None, result.finish_reason)
    if right.usage is not None:
        used = result.usage
        assert (used.prompt_tokens, used.completion_tokens) == right.usage
    if pieces is not None and right.pieces is not None:
        assert pieces == list(right.pieces)


def _check_failure(error: ModelError, right: Failure) -> None:
    assert (error.retryable, error.status_code) == (right.retryable, right.status_code)
    assert right.words in error.message
    assert {name: error.data.get(name) for name in right.data} == dict(right.data)
