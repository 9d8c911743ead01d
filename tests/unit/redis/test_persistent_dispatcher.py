"""A queue that refuses for a while."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.persistent import PersistentDispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError


class _Queue:
    def __init__(self, *, expected: int = 3) -> None:
        self.expected = expected
        self.away = True
        self.attempts = 0
        self.taken: list[RunRef] = []
        self.queues: dict[RunRef, Queue] = {}
        self.arrived = asyncio.Event()

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        self.attempts += 1
        if self.away:
            self.away = self.attempts < 5
            raise DeliveryError("away")
        self.taken.extend(refs)
        self.queues.update(dict.fromkeys(refs, queue))
        if len(self.taken) == self.expected:
            self.arrived.set()

    async def close(self) -> None:
        """Nothing is open."""


async def test_refused_messages_are_sent_once_when_the_queue_is_back() -> None:
    queue = _Queue()
    dispatcher = PersistentDispatcher(queue, pause=timedelta(milliseconds=1))
    refs = [RunRef("t", f"run_{number}") for number in range(3)]
    for ref in (*refs, refs[0]):
        with pytest.raises(DeliveryError):
            await dispatcher.send([ref])

    async with asyncio.timeout(10):
        await queue.arrived.wait()
    await dispatcher.close()

    assert queue.taken == refs


async def test_a_second_time_without_the_queue_ends_like_the_first() -> None:
    queue = _Queue()
    dispatcher = PersistentDispatcher(queue, pause=timedelta(milliseconds=1))
    for refs in (["run_0"], ["run_1", "run_2"]):
        queue.away, queue.attempts = True, 0
        queue.arrived.clear()
        queue.expected = len(queue.taken) + len(refs)
        for name in refs:
            with pytest.raises(DeliveryError):
                await dispatcher.send([RunRef("t", name)])
        async with asyncio.timeout(10):
            await queue.arrived.wait()
    await dispatcher.close()

    assert [ref.run_id for ref in queue.taken] == ["run_0", "run_1", "run_2"]


async def test_more_than_it_keeps_is_left_to_the_reaper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teamrun.dispatch.persistent._MOST", 1)
    queue = _Queue(expected=1)
    dispatcher = PersistentDispatcher(queue, pause=timedelta(milliseconds=1))
    for name in ("run_0", "run_1"):
        with pytest.raises(DeliveryError):
            await dispatcher.send([RunRef("t", name)])
    async with asyncio.timeout(10):
        await queue.arrived.wait()
    await dispatcher.close()

    assert [ref.run_id for ref in queue.taken] == ["run_0"]


async def test_refused_runs_are_sent_again_together_and_on_their_queue() -> None:
    queue = _Queue(expected=100)
    dispatcher = PersistentDispatcher(queue, pause=timedelta(milliseconds=1))
    batch = [RunRef("t", f"b{number}") for number in range(60)]
    others = [RunRef("t", f"i{number}") for number in range(40)]
    with pytest.raises(DeliveryError):
        await dispatcher.send(batch, queue=Queue.BATCH)
    with pytest.raises(DeliveryError):
        await dispatcher.send(others)
    async with asyncio.timeout(10):
        await queue.arrived.wait()
    await dispatcher.close()

    assert queue.queues == dict.fromkeys(batch, Queue.BATCH) | dict.fromkeys(
        others, Queue.INTERACTIVE
    )
    # It is away for five attempts; then three messages carry all.
    assert queue.attempts == 5 + 3
