"""`TimeoutTermination` reads the clock of messages, from the first run's start on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from teamrun.conditions import TextMentionTermination, TimeoutTermination
from teamrun.messages import TextMessage
from teamrun.messages.origin import current_origin


class Stopwatch:
    """A source of ids and times that advances only on request."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def new_id(self) -> str:
        return "0" * 32

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Iterator[Stopwatch]:
    stopwatch = Stopwatch()
    token = current_origin.set(stopwatch)
    yield stopwatch
    current_origin.reset(token)


async def ask(condition: TimeoutTermination) -> str | None:
    stop = await condition([])
    return None if stop is None else stop.content


@pytest.mark.behaviour("condition.timeout")
async def test_it_fires_when_the_time_since_the_start_has_passed(clock: Stopwatch) -> None:
    condition = TimeoutTermination(60)
    clock.advance(1000)  # between construction and the first run
    condition.start()

    clock.advance(59)
    assert await ask(condition) is None
    clock.advance(1)
    assert await ask(condition) == "Timeout of 60 seconds reached"
    assert condition.stop_code == "timeout"


async def test_the_clock_starts_once(clock: Stopwatch) -> None:
    condition = TimeoutTermination(1.5)
    condition.start()
    clock.advance(1)
    condition.start()
    clock.advance(1)

    assert await ask(condition) == "Timeout of 1.5 seconds reached"


async def test_reset_starts_it_anew(clock: Stopwatch) -> None:
    condition = TimeoutTermination(60)
    condition.start()
    clock.advance(100)

    await condition.reset()
    condition.start()

    assert await ask(condition) is None


async def test_without_a_team_the_first_question_starts_it(clock: Stopwatch) -> None:
    condition = TimeoutTermination(60)

    assert await ask(condition) is None
    clock.advance(60)
    assert await ask(condition) is not None


async def test_seconds_spent_survive_save_and_load(clock: Stopwatch) -> None:
    first = TimeoutTermination(60) | TextMentionTermination("x")
    first.start()
    clock.advance(40)
    state = json.loads(json.dumps(await first.save_state()))

    clock.advance(10_000)  # the state lay in a file
    second = TimeoutTermination(60) | TextMentionTermination("x")
    await second.load_state(state)
    second.start()
    message = TextMessage(content="y", source="user")
    assert await second([message]) is None
    clock.advance(20)
    assert await second([message]) is not None
