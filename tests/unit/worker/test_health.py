from pathlib import Path

import pytest

from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError
from teamrun_worker.health import STALE_S, Pulse, alive, ready


class Queues:
    """A queue that can be counted while it is reachable."""

    def __init__(self, *, is_reachable: bool = True) -> None:
        self.is_reachable = is_reachable

    async def send(self, *_: object, **__: object) -> None:
        raise AssertionError("nothing is sent")

    async def close(self) -> None:
        """Nothing is open."""

    async def depths(self) -> dict[str, int]:
        if not self.is_reachable:
            raise DeliveryError("The queue does not respond.")
        return {str(Queue.BATCH): 0}


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_worker_is_ready_when_it_has_begun_to_consume(clock: Clock) -> None:
    pulse = Pulse(clock=clock)
    before = await ready(pulse)

    pulse.beat()

    assert (before.status[:3], (await ready(pulse)).status[:3]) == ("503", "200")


async def test_a_worker_that_starts_is_alive_for_a_minute(clock: Clock) -> None:
    pulse = Pulse(clock=clock)
    at_first = await alive(pulse, Queues())

    clock.now_s += STALE_S

    assert (at_first.status[:3], (await alive(pulse, Queues())).status[:3]) == ("200", "503")


async def test_a_worker_that_stops_consuming_is_neither_ready_nor_alive(clock: Clock) -> None:
    pulse = Pulse(clock=clock)
    pulse.beat()
    clock.now_s += STALE_S - 1
    assert (await alive(pulse, Queues())).status == (await ready(pulse)).status == "200 OK"

    clock.now_s += 1

    answers = [await alive(pulse, Queues()), await ready(pulse)]
    assert [answer.status[:3] for answer in answers] == ["503", "503"]
    assert all("60 s" in answer.text for answer in answers)


async def test_a_worker_whose_queue_is_away_is_alive_and_not_ready(clock: Clock) -> None:
    pulse, away = Pulse(clock=clock), Queues(is_reachable=False)
    pulse.beat()
    clock.now_s += 10 * STALE_S

    assert (await alive(pulse, away)).status == "200 OK"
    assert (await ready(pulse)).status[:3] == "503"

    away.is_reachable = True
    assert (await alive(pulse, away)).status[:3] == "503"


def test_each_beat_touches_the_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "alive"

    Pulse(file).beat()

    assert file.exists()
