"""Retries around any model client, and around the calls of a run."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.models import ModelWrapper, RetryingModel, RetryPolicy
from teamrun.testing import FakeClock, ScriptedModel

ASK = [UserMessage(content="Hi", source="user")]
BUSY = {"error": {"message": "busy", "status_code": 503, "retryable": True}}
WRONG = {"error": {"message": "wrong", "status_code": 400}}


class Ending(ModelWrapper):
    """A client whose streams break off after each word."""

    async def create_stream(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        async for piece in super().create_stream(*args, **options):
            yield piece
            raise ModelError("reset", retryable=True)


async def created(model: RetryingModel, **options: Any) -> CreateResult:
    return await model.create(ASK, **options)


async def streamed(model: RetryingModel, **options: Any) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(ASK, **options)]
    assert isinstance(last, CreateResult)
    return last


BOTH = pytest.mark.parametrize("call", [created, streamed])


@pytest.mark.behaviour("model.openai.retries")
@BOTH
@given(failures=st.integers(0, 6), max_retries=st.integers(0, 6))
async def test_a_transient_failure_is_retried_until_the_policy_ends(
    call: Callable[..., Any], failures: int, max_retries: int
) -> None:
    clock = FakeClock()
    script = ScriptedModel([*[BUSY] * failures, "well"], record=True)
    model = RetryingModel(script, RetryPolicy(max_retries=max_retries, jitter=0), clock=clock)
    if failures <= max_retries:
        assert (await call(model)).content == "well"
    else:
        with pytest.raises(ModelError) as raised:
            await call(model)
        assert (raised.value.status_code, raised.value.data["attempts"]) == (503, max_retries + 1)
    retries = min(failures, max_retries)
    assert clock.sleeps == [0.5 * 2**n for n in range(retries)]
    assert len(script.calls) == retries + 1


@BOTH
async def test_a_permanent_failure_is_not_retried(call: Callable[..., Any]) -> None:
    script = ScriptedModel([WRONG, "well"], record=True)
    with pytest.raises(ModelError):
        await call(RetryingModel(script))
    assert len(script.calls) == 1


@BOTH
async def test_a_token_ends_the_wait_for_the_next_attempt(call: Callable[..., Any]) -> None:
    token = CancellationToken()
    busy = {"error": {"message": "busy", "retryable": True}}
    model = RetryingModel(ScriptedModel([busy, "well"]))
    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await call(model, cancellation_token=token)


async def test_a_stream_that_has_yielded_text_is_not_repeated() -> None:
    script = ScriptedModel([BUSY, "two words", "well"], record=True)
    model = RetryingModel(Ending(script), RetryPolicy(jitter=0), clock=FakeClock())
    pieces: list[Any] = []
    with pytest.raises(ModelError) as raised:
        async for piece in model.create_stream(ASK):
            pieces.append(piece)  # noqa: PERF401 - the pieces before the error
    assert (pieces, raised.value.data["attempts"], len(script.calls)) == (["two "], 2, 2)


async def test_every_agent_has_its_own_view_with_the_same_retries() -> None:
    script = ScriptedModel({"ann": [BUSY, "a"], "bob": ["b"]})
    model = RetryingModel(script, clock=FakeClock())
    for name, text in (("bob", "b"), ("ann", "a")):
        assert (await model.for_agent(name).create(ASK)).content == text


class Faltering(ModelWrapper):
    """A client of one's own whose first request fails."""

    failed = False

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        if not self.failed:
            self.failed = True
            raise ModelError("busy", status_code=503, retryable=True)
        return await super().create(*args, **options)


async def test_a_client_of_ones_own_is_retried_in_a_run_and_the_run_has_the_events() -> None:
    model = RetryingModel(Faltering(ScriptedModel(["DONE"])), clock=FakeClock())
    team = solo()
    registry = Registry.of(teams={"team": team}, models={"m": model})
    cluster = Cluster({}, team=team, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    [retried] = [event.data for event in events if event.type == "model.call.retried"]
    assert (retried["attempt"], retried["error"]["status_code"]) == (1, 503)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.error) == ("completed", None)
