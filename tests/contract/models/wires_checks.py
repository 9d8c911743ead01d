"""The comparison of an answer, or of its failure, with the right reading of it."""

import json

import pytest
from tests.contract.models.wires import ADD, ASK, AnswerCase, Failure, Said, connected, served
from tests.support.model_replies import Reply

from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult
from teamrun.models import ChatCompletionClient

__all__ = ["check_answer", "streamed_answer", "whole_answer"]


async def check_answer(client: str, case: AnswerCase, reply: Reply, *, streamed: bool) -> None:
    async with served(reply) as server:
        async with connected(client, server, **case.options) as model:
            asked = streamed_answer(model) if streamed else whole_answer(model)
            if isinstance(case.right, Failure):
                with pytest.raises(ModelError) as raised:
                    await asked
                _check_failure(raised.value, case.right)
            else:
                _check_said(case.right, *await asked)
        # A call that the server was paid for is made again only if that may help.
        again = isinstance(case.right, Failure) and case.right.retryable
        assert server.calls == (2 if again and not _spoken(case, streamed) else 1)


async def whole_answer(model: ChatCompletionClient) -> tuple[CreateResult, list[str] | None]:
    return await model.create(ASK, tools=[ADD]), None


async def streamed_answer(model: ChatCompletionClient) -> tuple[CreateResult, list[str] | None]:
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
    assert right.filtered is None or (result.filtered or []) == list(right.filtered)
    if right.usage is not None:
        used = result.usage
        assert (used.prompt_tokens, used.completion_tokens) == right.usage
    if pieces is not None and right.pieces is not None:
        assert pieces == list(right.pieces)


def _check_failure(error: ModelError, right: Failure) -> None:
    assert (error.retryable, error.status_code) == (right.retryable, right.status_code)
    assert right.words in error.message
    assert {name: error.data.get(name) for name in right.data} == dict(right.data)
