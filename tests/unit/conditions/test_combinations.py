"""`|` fires with the first, `&` with the last; the code is that of the first."""

import json
from collections.abc import Sequence

import pytest

from teamrun.conditions import (
    AndTerminationCondition,
    MaxMessageTermination,
    OrTerminationCondition,
    SourceMatchTermination,
    TerminationCondition,
    TextMentionTermination,
)
from teamrun.core.protocols import AnyMessage
from teamrun.errors import TerminatedException
from teamrun.messages import StopMessage, TextMessage


def say(text: str, source: str = "writer") -> TextMessage:
    return TextMessage(content=text, source=source)


async def ask(condition: TerminationCondition, *messages: AnyMessage) -> StopMessage | None:
    return await condition(messages)


@pytest.mark.behaviour("condition.or")
async def test_or_fires_with_the_first() -> None:
    condition = TextMentionTermination("A") | MaxMessageTermination(2)

    assert await ask(condition, say("x")) is None
    stop = await ask(condition, say("y"))

    assert stop is not None
    assert stop.content == "Maximum number of messages 2 reached, current message count: 2"
    assert stop.source == "MaxMessageTermination"
    assert condition.stop_code == "max_messages"
    assert condition.terminated


@pytest.mark.behaviour("condition.or")
async def test_or_joins_reasons_that_come_at_once_in_order() -> None:
    condition = TextMentionTermination("A") | MaxMessageTermination(1)

    stop = await ask(condition, say("A"))

    assert stop is not None
    assert stop.content == (
        "Text 'A' mentioned, Maximum number of messages 1 reached, current message count: 1"
    )
    assert stop.source == "TextMentionTermination, MaxMessageTermination"
    assert condition.stop_code == "text_mention"


@pytest.mark.behaviour("condition.and")
async def test_and_waits_for_all_and_keeps_the_earlier_reason() -> None:
    condition = MaxMessageTermination(3) & TextMentionTermination("A")

    assert await ask(condition, say("A")) is None
    assert await ask(condition, say("x")) is None
    assert not condition.terminated
    stop = await ask(condition, say("y"))

    assert stop is not None
    assert stop.content == (
        "Text 'A' mentioned, Maximum number of messages 3 reached, current message count: 3"
    )
    assert condition.stop_code == "text_mention"
    assert condition.terminated


async def test_combinations_that_have_fired_refuse_until_reset() -> None:
    either = TextMentionTermination("A") | MaxMessageTermination(9)
    both = TextMentionTermination("A") & MaxMessageTermination(1)
    for condition in (either, both):
        assert await ask(condition, say("A")) is not None
        with pytest.raises(TerminatedException):
            await ask(condition, say("A"))

        await condition.reset()

        assert not condition.terminated
        assert await ask(condition, say("A")) is not None


@pytest.mark.behaviour("condition.tree")
async def test_operators_nest_as_a_binary_tree() -> None:
    a, b, c = TextMentionTermination("A"), TextMentionTermination("B"), TextMentionTermination("C")

    condition = a | b & c

    assert isinstance(condition, OrTerminationCondition)
    left, right = condition.conditions
    assert left is a
    assert isinstance(right, AndTerminationCondition)
    assert right.conditions == (b, c)
    assert await ask(condition, say("B")) is None
    stop = await ask(condition, say("C"))
    assert stop is not None
    assert stop.content == "Text 'B' mentioned, Text 'C' mentioned"


def _build() -> TerminationCondition:
    return (TextMentionTermination("A") & MaxMessageTermination(3)) | SourceMatchTermination(["z"])


async def test_a_half_fired_tree_survives_save_and_load() -> None:
    first = _build()
    assert await ask(first, say("A")) is None
    state = json.loads(json.dumps(await first.save_state()))

    second = _build()
    await second.load_state(state)
    stop = await ask(second, say("x"), say("y"))

    assert stop is not None
    assert stop.content == (
        "Text 'A' mentioned, Maximum number of messages 3 reached, current message count: 3"
    )
    assert second.stop_code == "text_mention"


async def test_a_condition_of_ones_own_combines_and_keeps_its_code() -> None:
    class Never(TerminationCondition):
        stop_code = "never"

        @property
        def terminated(self) -> bool:
            return False

        async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
            return StopMessage(content="never", source="Never") if len(messages) > 1 else None

        async def reset(self) -> None: ...

    condition = Never() | TextMentionTermination("A")

    await condition.load_state(await condition.save_state())
    assert await ask(condition, say("x")) is None
    assert await ask(condition, say("x"), say("y")) is not None
    assert condition.stop_code == "never"


def test_an_empty_combination_is_refused() -> None:
    with pytest.raises(ValueError):
        OrTerminationCondition()
