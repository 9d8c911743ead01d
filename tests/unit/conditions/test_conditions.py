"""Each condition fires when it should, with AutoGen's text and a stable code."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from teamrun.conditions import (
    ComposedTermination,
    ExternalTermination,
    FunctionalTermination,
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    StopMessageTermination,
    TerminationCondition,
    TextMentionTermination,
    TextMessageTermination,
    TokenUsageTermination,
)
from teamrun.core.component.table import COMPONENTS
from teamrun.core.protocols import AnyMessage
from teamrun.errors import TeamrunError, TerminatedException
from teamrun.messages import (
    FunctionExecutionResult,
    HandoffMessage,
    MultiModalMessage,
    RequestUsage,
    StopMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
)


def say(text: str, source: str = "writer", usage: RequestUsage | None = None) -> TextMessage:
    return TextMessage(content=text, source=source, models_usage=usage)


def executed(name: str, content: str = "done") -> ToolCallExecutionEvent:
    result = FunctionExecutionResult(content=content, name=name, call_id="1", is_error=False)
    return ToolCallExecutionEvent(content=[result], source="writer")


async def ask(condition: TerminationCondition, *deltas: Sequence[AnyMessage]) -> list[str | None]:
    """The stop texts that the condition gives for each delta in turn."""
    stops = [await condition(delta) for delta in deltas]
    return [None if stop is None else stop.content for stop in stops]


def external() -> ExternalTermination:
    condition = ExternalTermination()
    condition.set()
    return condition


async def _says_bye(messages: Sequence[AnyMessage]) -> bool:
    return any("bye" in message.to_text() for message in messages)


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable[[], TerminationCondition]
    quiet: Sequence[AnyMessage]
    fires: Sequence[AnyMessage]
    text: str
    code: str


CASES = [
    Case(
        "text mention",
        lambda: TextMentionTermination("APPROVE"),
        [say("approve")],
        [say("I APPROVE of it")],
        "Text 'APPROVE' mentioned",
        "text_mention",
    ),
    Case(
        "text mention ignoring case",
        lambda: TextMentionTermination("Approve", ignore_case=True),
        [say("approv")],
        [say("I aPPROVE")],
        "Text 'Approve' mentioned",
        "text_mention",
    ),
    Case(
        "text mention of some sources",
        lambda: TextMentionTermination("DONE", sources=["critic"]),
        [say("DONE", source="writer")],
        [say("DONE", source="critic")],
        "Text 'DONE' mentioned",
        "text_mention",
    ),
    Case(
        "text mention in a tool result",
        lambda: TextMentionTermination("DONE"),
        [executed("look", content="not yet")],
        [executed("look", content="DONE")],
        "Text 'DONE' mentioned",
        "text_mention",
    ),
    Case(
        "text mention by default",
        TextMentionTermination,
        [say("terminate")],
        [say("TERMINATE")],
        "Text 'TERMINATE' mentioned",
        "text_mention",
    ),
    Case(
        "max messages",
        lambda: MaxMessageTermination(3),
        [say("1"), executed("look"), say("2")],
        [say("3"), say("4")],
        "Maximum number of messages 3 reached, current message count: 4",
        "max_messages",
    ),
    Case(
        "max messages with events",
        lambda: MaxMessageTermination(3, include_agent_event=True),
        [say("1"), executed("look")],
        [say("2")],
        "Maximum number of messages 3 reached, current message count: 3",
        "max_messages",
    ),
    Case(
        "stop message",
        StopMessageTermination,
        [say("stop")],
        [StopMessage(content="enough", source="critic")],
        "Stop message received",
        "stop_message",
    ),
    Case(
        "total tokens",
        lambda: TokenUsageTermination(max_total_token=20),
        [say("1", usage=RequestUsage(10, 4)), say("2")],
        [say("3", usage=RequestUsage(3, 5))],
        "Token usage limit reached, total token count: 22, prompt token count: 13, "
        "completion token count: 9.",
        "token_usage",
    ),
    Case(
        "prompt tokens",
        lambda: TokenUsageTermination(max_prompt_token=5),
        [say("1", usage=RequestUsage(4, 100))],
        [ThoughtEvent(content="hm", source="writer", models_usage=RequestUsage(1, 0))],
        "Token usage limit reached, total token count: 105, prompt token count: 5, "
        "completion token count: 100.",
        "token_usage",
    ),
    Case(
        "completion tokens",
        lambda: TokenUsageTermination(max_completion_token=5),
        [say("1", usage=RequestUsage(100, 4))],
        [say("2", usage=RequestUsage(0, 1))],
        "Token usage limit reached, total token count: 105, prompt token count: 100, "
        "completion token count: 5.",
        "token_usage",
    ),
    Case(
        "handoff",
        lambda: HandoffTermination("user"),
        [HandoffMessage(content="over to you", source="writer", target="critic")],
        [HandoffMessage(content="over to you", source="writer", target="user")],
        "Handoff to user from writer detected.",
        "handoff",
    ),
    Case(
        "external",
        external,
        [],
        [],
        "External termination requested",
        "external",
    ),
    Case(
        "source match",
        lambda: SourceMatchTermination(["critic"]),
        [say("1", source="writer")],
        [say("2", source="critic")],
        "'critic' answered",
        "source_match",
    ),
    Case(
        "text message",
        TextMessageTermination,
        [MultiModalMessage(content=["a"], source="writer"), executed("look")],
        [say("1", source="critic")],
        "Text message received from 'critic'",
        "text_message",
    ),
    Case(
        "text message of one source",
        lambda: TextMessageTermination("critic"),
        [say("1", source="writer")],
        [say("2", source="critic")],
        "Text message received from 'critic'",
        "text_message",
    ),
    Case(
        "function call",
        lambda: FunctionCallTermination("approve"),
        [executed("look"), say("approve")],
        [executed("approve")],
        "Function 'approve' was executed.",
        "function_call",
    ),
    Case(
        "function",
        lambda: FunctionalTermination(lambda messages: len(messages) > 1),
        [say("1")],
        [say("1"), say("2")],
        "Functional termination condition met",
        "functional",
    ),
    Case(
        "async function",
        lambda: FunctionalTermination(_says_bye),
        [say("hello")],
        [say("bye")],
        "Functional termination condition met",
        "functional",
    ),
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


@pytest.mark.behaviour(
    "condition.texts",
    "condition.max_messages",
    "condition.text_mention",
    "condition.token_usage",
    "condition.functional",
    "condition.defaults",
)
@cases
async def test_a_condition_fires_with_the_words_and_the_code_of_its_kind(case: Case) -> None:
    condition = case.make()
    if case.quiet:
        assert await ask(condition, case.quiet) == [None]
    assert not condition.terminated

    assert await ask(condition, case.fires) == [case.text]
    assert condition.terminated
    assert condition.stop_code == case.code


@pytest.mark.behaviour("condition.fired")
@cases
async def test_a_condition_that_has_fired_refuses_until_it_is_reset(case: Case) -> None:
    condition = case.make()
    deltas = [case.quiet, case.fires] if case.quiet else [case.fires]
    await ask(condition, *deltas)

    with pytest.raises(TerminatedException) as caught:
        await ask(condition, [])
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TeamrunError)

    await condition.reset()
    assert not condition.terminated
    if case.quiet:
        assert await ask(condition, case.quiet) == [None]


@pytest.mark.behaviour("state.counts")
@cases
async def test_counts_survive_save_and_load(case: Case) -> None:
    first = case.make()
    if case.quiet:
        await ask(first, case.quiet)
    state = json.loads(json.dumps(await first.save_state()))

    second = case.make()
    await second.load_state(state)

    assert await ask(second, case.fires) == [case.text]


@cases
async def test_a_condition_that_has_fired_is_loaded_as_such(case: Case) -> None:
    first = case.make()
    await ask(first, *([case.quiet, case.fires] if case.quiet else [case.fires]))

    second = case.make()
    await second.load_state(await first.save_state())

    assert second.terminated


def test_every_class_of_conditions_has_a_case() -> None:
    elsewhere = {"TimeoutTermination", "OrTerminationCondition", "AndTerminationCondition"}
    rows = {name for name, row in COMPONENTS.items() if row.type == "termination"}
    assert rows - elsewhere <= {type(case.make()).__name__ for case in CASES}


async def test_the_stop_message_comes_from_the_condition() -> None:
    stop = await TextMentionTermination("x")([say("x")])

    assert stop is not None
    assert stop.source == "TextMentionTermination"


async def test_messages_are_limited_to_a_hundred_by_default() -> None:
    condition = MaxMessageTermination()

    assert await ask(condition, [say("x")] * 99, [say("x")]) == [
        None,
        "Maximum number of messages 100 reached, current message count: 100",
    ]


@pytest.mark.behaviour("condition.token_usage")
def test_token_usage_needs_a_limit() -> None:
    with pytest.raises(ValueError) as raised:
        TokenUsageTermination()
    assert str(raised.value) == (
        "At least one of max_total_token, max_prompt_token, or max_completion_token "
        "must be provided"
    )


async def test_model_calls_of_the_team_itself_count_as_token_usage() -> None:
    condition = MaxMessageTermination(9) | TokenUsageTermination(max_total_token=10)

    condition.count_usage(RequestUsage(6, 4))

    assert await ask(condition, [say("1")]) == [
        "Token usage limit reached, total token count: 10, prompt token count: 6, "
        "completion token count: 4."
    ]
    assert condition.stop_code == "token_usage"


async def test_a_request_from_outside_is_forgotten_by_reset() -> None:
    condition = external()

    await condition.reset()

    assert await ask(condition, [say("1")]) == [None]


async def test_the_state_of_another_kind_of_condition_is_a_reset() -> None:
    other = MaxMessageTermination(2)
    await ask(other, [say("1")])
    condition = MaxMessageTermination(2) | TextMentionTermination()
    await ask(condition, [say("1")])

    await condition.load_state(await other.save_state())

    assert (await ask(condition, [say("1")], [say("2")]))[0] is None


async def test_a_function_may_return_an_awaitable_that_is_no_coroutine_function() -> None:
    def check(_messages: Sequence[AnyMessage]) -> Awaitable[bool]:
        return _says_bye([say("bye")])

    assert await ask(FunctionalTermination(check), [say("1")]) == [
        "Functional termination condition met"
    ]


@pytest.mark.behaviour("condition.composed")
async def test_composed_termination_is_an_or() -> None:
    condition = ComposedTermination(TextMentionTermination("A"), MaxMessageTermination(5))

    assert await ask(condition, [say("A")]) == ["Text 'A' mentioned"]
