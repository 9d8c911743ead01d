"""Another profile answers if the server of one does not."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from teamrun.errors import ModelError, UsageError
from teamrun.messages.llm import CreateResult, RequestUsage, UserMessage
from teamrun.models.attempts import answering, broken_off, on_fallback
from teamrun.models.base import ChatCompletionClient
from teamrun.models.fallback import Candidate, FallbackModel
from teamrun.models.wrapper import ModelWrapper
from teamrun.testing import ScriptedModel

ASK = [UserMessage(content="Hi", source="user")]
BUSY = {"error": {"message": "busy", "status_code": 503, "retryable": True}}
DOWN = {"error": {"message": "down", "retryable": True}}


class Failing(ModelWrapper):
    """Fails with one error, after as many pieces of a stream as are given."""

    def __init__(self, error: Exception, *pieces: str) -> None:
        super().__init__(ScriptedModel([]))
        self._error = error
        self._pieces = pieces
        self.asked = 0

    def for_agent(self, name: str) -> ChatCompletionClient:
        return self

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        self.asked += 1
        raise self._error

    async def create_stream(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        self.asked += 1
        for piece in self._pieces:
            yield piece
        raise self._error


def chain(*clients: ChatCompletionClient, on_content_filter: bool = False) -> FallbackModel:
    names = ("main", "second", "third")
    return FallbackModel(
        [Candidate(n, c, on_content_filter) for n, c in zip(names, clients, strict=False)]
    )


async def created(model: ChatCompletionClient) -> CreateResult:
    return await model.create(ASK)


async def streamed(model: ChatCompletionClient) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(ASK)]
    assert isinstance(last, CreateResult)
    return last


BOTH = pytest.mark.parametrize("call", [created, streamed])


@dataclass(frozen=True)
class Case:
    id: str
    falls_back: bool
    status_code: int | None = None
    retryable: bool = False
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    on_content_filter: bool = False


FILTERED = {"filtered": ["violence"]}
CASES = [
    Case("unreachable", True, retryable=True),
    Case("overloaded", True, 529, retryable=True),
    Case("rate limit", True, 429, retryable=True),
    Case("quota used up", True, 429),
    Case("no balance", True, 402),
    Case("wrong request", False, 400),
    Case("wrong key", False, 401),
    Case("no such model", False, 404),
    Case("wrong arguments", False),
    Case("filtered", False, 400, data=FILTERED),
    Case("filtered, and another may answer", True, 400, data=FILTERED, on_content_filter=True),
    Case(
        "filtered without categories",
        True,
        400,
        data={"provider_code": "content_filter"},
        on_content_filter=True,
    ),
    Case("wrong request to a filter", False, 400, on_content_filter=True),
]


@BOTH
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_failure_decides_whether_another_profile_answers(
    case: Case, call: Callable[..., Any]
) -> None:
    error = ModelError("no", status_code=case.status_code, retryable=case.retryable, **case.data)
    second = ScriptedModel(["well"], record=True)
    model = chain(Failing(error), second, on_content_filter=case.on_content_filter)
    if case.falls_back:
        assert (await call(model)).content == "well"
    else:
        with pytest.raises(ModelError) as raised:
            await call(model)
        assert raised.value is error
    assert len(second.calls) == case.falls_back


@BOTH
async def test_the_profiles_are_asked_in_order_and_the_observer_is_told(
    call: Callable[..., Any],
) -> None:
    told: list[tuple[str, str, str]] = []
    on_fallback.set(lambda name, following, error: told.append((name, following, error.message)))
    model = chain(ScriptedModel([BUSY, "first"]), ScriptedModel([DOWN]), ScriptedModel(["third"]))
    assert (await call(model)).content == "third"
    assert (told, answering.get()) == (
        [("main", "second", "busy"), ("second", "third", "down")],
        "third",
    )
    assert (await call(model)).content == "first"
    assert answering.get() is None


@BOTH
async def test_the_last_failure_is_raised_if_no_profile_answers(call: Callable[..., Any]) -> None:
    model = chain(ScriptedModel([BUSY]), ScriptedModel([DOWN]))
    with pytest.raises(ModelError) as raised:
        await call(model)
    assert (raised.value.message, raised.value.retryable) == ("down", True)


@BOTH
async def test_a_profile_that_cannot_do_what_is_asked_is_passed_over(
    call: Callable[..., Any],
) -> None:
    unable = Failing(UsageError("no images"))
    model = chain(ScriptedModel([BUSY, BUSY]), unable, ScriptedModel(["third"]))
    assert (await call(model)).content == "third"
    with pytest.raises(ModelError) as raised:
        await call(chain(ScriptedModel([BUSY]), unable))
    assert raised.value.message == "busy"
    with pytest.raises(UsageError):
        await call(chain(unable, ScriptedModel(["second"])))


async def test_a_stream_that_has_begun_is_not_continued_by_another_profile() -> None:
    second = ScriptedModel(["well"], record=True)
    model = chain(Failing(ModelError("reset", retryable=True), "Hel"), second)
    pieces: list[Any] = []
    with pytest.raises(ModelError):
        async for piece in model.create_stream(ASK):
            pieces.append(piece)  # noqa: PERF401 - the pieces before the error
    assert (pieces, second.calls) == (["Hel"], [])


async def test_a_call_that_is_repeated_after_a_broken_stream_begins_with_the_same_profile() -> None:
    main = Failing(ModelError("busy", retryable=True))
    reset = ModelError("reset", retryable=True)
    model = chain(main, Failing(reset, "Hel"), ScriptedModel(["third"]))
    with pytest.raises(ModelError):
        async for _ in model.create_stream(ASK):
            pass
    broken_off.set(reset)
    assert (await model.create(ASK)).content == "third"
    assert (main.asked, broken_off.get()) == (1, None)


async def test_usage_is_that_of_all_profiles_and_capabilities_those_of_the_first() -> None:
    said = {"content": "well", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    first, second = ScriptedModel([BUSY, said]), ScriptedModel([said])
    model = chain(first, second)
    await model.create(ASK)
    await model.create(ASK)
    assert model.actual_usage() == model.total_usage() == RequestUsage(10, 4)
    assert model.model_info is first.model_info


async def test_each_agent_has_its_own_view_of_every_profile() -> None:
    model = chain(
        ScriptedModel({"ann": [BUSY], "bob": ["b"]}), ScriptedModel({"ann": ["a"], "bob": []})
    )
    assert (await model.for_agent("bob").create(ASK)).content == "b"
    assert (await model.for_agent("ann").create(ASK)).content == "a"
    plain = chain(Failing(ModelError("no")), Failing(ModelError("no")))
    assert plain.for_agent("ann") is plain


def test_a_chain_without_profiles_is_refused() -> None:
    with pytest.raises(ValueError, match="candidates"):
        FallbackModel([])
