"""A repeated request gets the first answer, if everything that it depends on is the same."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.call import CallInfo, current_call
from teamrun.errors import DeliveryError, ModelError
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    ProviderData,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.answers import Answers, LocalAnswers
from teamrun.models.base import ChatCompletionClient
from teamrun.models.cached import CachedModel
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.state import fold
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

ASK = [UserMessage(content="Hi", source="user")]
USED = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
FOUR: list[Any] = [{"content": text, **USED} for text in ("one", "two", "three", "four")]


class Answer(BaseModel):
    figure: int


class Other(BaseModel):
    text: str


def add(a: int) -> int:
    """Add one."""
    return a + 1


ADD = FunctionTool(add, "Add one.").schema


def cached(client: ChatCompletionClient, answers: Answers, **identity: Any) -> CachedModel:
    life = timedelta(minutes=1)
    return CachedModel(client, identity=identity, life=life, answers=lambda: answers)


async def created(model: ChatCompletionClient, *args: Any, **options: Any) -> CreateResult:
    return await model.create(*args or (ASK,), **options)


async def streamed(model: ChatCompletionClient, *args: Any, **options: Any) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(*args or (ASK,), **options)]
    assert isinstance(last, CreateResult)
    return last


BOTH = pytest.mark.parametrize("call", [created, streamed])


@BOTH
@pytest.mark.parametrize("first", [created, streamed])
async def test_a_repeated_request_gets_the_first_answer_without_tokens(
    first: Callable[..., Any], call: Callable[..., Any]
) -> None:
    model = cached(ScriptedModel(FOUR), LocalAnswers())
    made, again = await first(model), await call(model)
    assert (made.content, made.cached, made.usage) == ("one", False, RequestUsage(3, 2))
    assert (again.content, again.cached, again.usage) == ("one", True, RequestUsage(0, 0))
    assert model.actual_usage() == RequestUsage(3, 2)
    assert model.total_usage() == RequestUsage(6, 4)


VARIED: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "another message": (([UserMessage(content="Ho", source="user")],), {}),
    "another source": (([UserMessage(content="Hi", source="ann")],), {}),
    "another role": (([SystemMessage(content="Hi")],), {}),
    "one message more": (([*ASK, *ASK],), {}),
    "a tool": ((), {"tools": [ADD]}),
    "a choice of tools": ((), {"tools": [ADD], "tool_choice": "required"}),
    "one tool": ((), {"tools": [ADD], "tool_choice": ADD}),
    "JSON": ((), {"json_output": True}),
    "JSON of a form": ((), {"json_output": Answer}),
    "JSON of another form": ((), {"json_output": Other}),
    "an argument": ((), {"extra_create_args": {"temperature": 0.5}}),
    "another argument": ((), {"extra_create_args": {"temperature": 1}}),
    "signed": (
        (
            [
                *ASK,
                AssistantMessage(
                    content="x", source="a", provider_data=ProviderData("p", {"sig": "1"})
                ),
            ],
        ),
        {},
    ),
    "signed otherwise": (
        (
            [
                *ASK,
                AssistantMessage(
                    content="x", source="a", provider_data=ProviderData("p", {"sig": "2"})
                ),
            ],
        ),
        {},
    ),
}


async def test_every_part_of_a_request_counts() -> None:
    script = ScriptedModel([str(n) for n in range(len(VARIED) + 1)], record=True)
    model = cached(script, LocalAnswers())
    for _ in range(2):
        await model.create(ASK)
        for args, options in VARIED.values():
            await created(model, *args, **options)
    assert len(script.calls) == len(VARIED) + 1


async def test_a_tool_and_its_schema_are_the_same_request() -> None:
    model = cached(ScriptedModel(FOUR), LocalAnswers())
    await model.create(ASK, tools=[ADD])
    assert (await model.create(ASK, tools=[FunctionTool(add, "Add one.")])).cached


async def test_another_model_has_answers_of_its_own() -> None:
    answers = LocalAnswers()
    one = cached(ScriptedModel(["one"]), answers, model="a", address="x")
    for identity in ({"model": "b", "address": "x"}, {"model": "a", "address": "y"}):
        other = cached(ScriptedModel(["other"]), answers, **identity)
        await one.create(ASK)
        assert (await other.create(ASK)).content == "other"
    assert (await one.create(ASK)).content == "one"


@contextmanager
def of_tenant(tenant: str) -> Generator[None]:
    info = CallInfo("a/model:0", "a", 0, "run_1", tenant=tenant)
    token = current_call.set(info)
    try:
        yield
    finally:
        current_call.reset(token)


async def test_a_tenant_never_gets_an_answer_of_another_one() -> None:
    answers = LocalAnswers()
    texts: list[Any] = []
    for tenant in ("ann", "bob", "ann"):
        with of_tenant(tenant):
            script = ScriptedModel([f"for {tenant}"] * 2)
            texts.append((await cached(script, answers).create(ASK)).content)
    assert texts == ["for ann", "for bob", "for ann"]
    with of_tenant("bob"):
        assert (await cached(ScriptedModel([]), answers).create(ASK)).content == "for bob"


@BOTH
@pytest.mark.parametrize(
    "step",
    [
        {"error": {"message": "busy", "retryable": True}},
        CreateResult(finish_reason="content_filter", content="", usage=RequestUsage(1, 1)),
        CreateResult(finish_reason="unknown", content="", usage=RequestUsage(1, 1)),
        CreateResult(
            finish_reason="stop", content="c", usage=RequestUsage(1, 1), filtered=["violence"]
        ),
        {"content": "x" * 262_144},
    ],
    ids=["failure", "withheld", "unknown", "cut", "large"],
)
async def test_what_is_not_a_whole_answer_is_not_kept(call: Callable[..., Any], step: Any) -> None:
    model = cached(ScriptedModel([step, "well"]), LocalAnswers())
    try:
        await call(model)
    except ModelError as error:
        assert error.message == "busy"
    assert (await call(model)).content == "well"


async def test_a_stream_that_is_left_is_not_kept() -> None:
    model = cached(ScriptedModel(["one two", "well"]), LocalAnswers())
    stream = model.create_stream(ASK)
    await anext(stream)
    await stream.aclose()
    assert (await model.create(ASK)).content == "well"


@BOTH
async def test_tool_calls_are_kept_with_what_the_provider_attached(
    call: Callable[..., Any],
) -> None:
    data = ProviderData("p", {"sig": "1"})
    step = CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall("c1", '{"a": 1}', "add", provider_data=data)],
        usage=RequestUsage(3, 2),
        thought="I must add.",
        provider_data=data,
    )
    model = cached(ScriptedModel([step]), LocalAnswers())
    made, again = await call(model), await call(model)
    assert again == made.model_copy(update={"cached": True, "usage": RequestUsage(0, 0)})


async def test_a_kept_stream_has_the_thought_before_the_text() -> None:
    step = CreateResult(
        finish_reason="stop", content="well", usage=RequestUsage(0, 0), thought="Hm."
    )
    model = cached(ScriptedModel([step]), LocalAnswers())
    await model.create(ASK)
    pieces = [piece async for piece in model.create_stream(ASK)]
    assert pieces[:-1] == ["<think>Hm.</think>", "well"]


class Broken(LocalAnswers):
    """A server that cannot be reached, or that has another program's values."""

    async def answer(self, key: str) -> bytes | None:
        if self.value is None:
            raise DeliveryError("gone")
        return self.value

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        raise DeliveryError("gone")

    value: bytes | None = None


@BOTH
@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff"])
async def test_the_model_is_asked_if_the_answers_cannot_be_read(
    call: Callable[..., Any], value: bytes | None
) -> None:
    broken = Broken()
    broken.value = value
    model = cached(ScriptedModel(["one", "two"]), broken)
    assert [(await call(model)).content for _ in range(2)] == ["one", "two"]


async def test_answers_of_a_process_end_with_their_time_and_the_oldest_make_room() -> None:
    now = [0.0]
    answers = LocalAnswers(clock=lambda: now[0])
    await answers.keep_answer("a", b"1", timedelta(seconds=10))
    now[0] = 9.9
    assert await answers.answer("a") == b"1"
    now[0] = 10
    assert await answers.answer("a") is None
    third = b"x" * 30_000_000
    for key in "bcb":
        await answers.keep_answer(key, third, timedelta(seconds=10))
    await answers.keep_answer("d", third, timedelta(seconds=10))
    kept = [await answers.answer(key) is not None for key in "bcd"]
    assert kept == [True, False, True]


async def test_a_run_records_an_answer_of_the_cache_and_pays_nothing_for_it() -> None:
    answers = LocalAnswers()
    script = ScriptedModel([{"content": "DONE", **USED}], record=True)
    model = cached(script, answers)
    registry = Registry.of(teams={"team": solo()}, models={"m": model})
    cluster = Cluster({}, team=solo(), registry=registry)
    found: list[Any] = []
    ref = None
    for _ in range(2):
        ref = await cluster.submit()
        await cluster.worker().execute(ref)
        run = await cluster.service.get(TENANT, ref.run_id)
        found.append((run.status, run.usage.output_tokens))
    assert found == [("completed", 2), ("completed", 0)]
    assert len(script.calls) == 1
    assert ref is not None
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    [completed] = [event.data for event in events if event.type == "model.call.completed"]
    assert completed["cached"] is True
    state = fold(await cluster.entries(ref))
    assert state is not None
    silent = Registry.of(teams={"team": solo()}, models={"m": ScriptedModel([])})
    assert await replay(cluster.log(ref), team_program(silent)(state.spec), cluster.clock) is None


async def test_keys_say_nothing_about_the_request() -> None:
    keys: list[str] = []

    class Spy(LocalAnswers):
        async def answer(self, key: str) -> bytes | None:
            keys.append(key)
            return await super().answer(key)

    await cached(ScriptedModel(FOUR), Spy()).create(ASK)
    assert [len(key) for key in keys] == [64]
    assert "Hi" not in json.dumps(keys)
