"""A busy host takes the messages that wait, many at a time."""

from contextlib import suppress
from datetime import timedelta

import pytest
from tests.unit.worker.hosts import (
    WAIT_S,
    Bench,
    Found,
    SlowMessages,
    WaitingMessages,
    in_thread,
    one_each,
    ref,
)

from teamrun.dispatch.base import Waiting
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError
from teamrun_worker.host import Host


def test_a_busy_host_takes_the_messages_that_wait_many_at_a_time() -> None:
    queue = WaitingMessages(waiting=one_each(*range(3, 9)))
    bench = Bench(queue=queue)
    host = bench.host(capacity=10)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.submit([ref(2)])

    bench.engine.await_begun(8)
    assert bench.engine.begun == [ref(number) for number in range(1, 9)]
    assert queue.asked == [8]
    host.close()
    assert queue.sent == []


def test_a_host_without_other_runs_takes_no_further_messages() -> None:
    queue = WaitingMessages(waiting=one_each(2))
    bench = Bench(queue=queue)
    host = bench.host(capacity=10)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    assert queue.asked == []
    host.close()


def test_a_full_host_takes_as_many_messages_as_places_become_free() -> None:
    queue = WaitingMessages(waiting=one_each(*range(3, 7)))
    bench = Bench(queue=queue)
    host = bench.host(capacity=2)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    taking = in_thread(lambda: host.submit([ref(2)]))
    for number in range(1, 7):
        bench.engine.await_begun(min(number + 1, 6))
        assert len(bench.engine.live) <= 2
        bench.engine.finish(ref(number))
    taking.join(WAIT_S)
    assert not taking.is_alive()
    assert bench.engine.begun == [ref(number) for number in range(1, 7)]
    assert max(queue.asked) <= 2
    host.close()


def test_what_exceeds_the_free_places_of_taken_messages_returns_to_its_queue() -> None:
    waiting = [
        Waiting(Queue.INTERACTIVE, [ref(3), ref(4)]),
        Waiting(Queue.BATCH, [ref(5), ref(6), ref(7)]),
    ]
    queue = WaitingMessages(waiting=waiting)
    bench = Bench(queue=queue)
    host = bench.host(capacity=5)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    host.submit([ref(2)])
    bench.engine.await_begun(5)
    assert bench.engine.begun == [ref(number) for number in range(1, 6)]
    host.close()
    assert queue.sent == [ref(6), ref(7)]
    assert queue.queues == {ref(6): Queue.BATCH, ref(7): Queue.BATCH}
    assert queue.first


@pytest.mark.parametrize("is_down", [False, True])
def test_a_thread_that_takes_messages_ends_with_the_host(is_down: bool) -> None:
    queue = WaitingMessages()
    bench = Bench(queue=queue)
    host = bench.host(capacity=2)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    queue.down = is_down
    taking = in_thread(lambda: host.submit([ref(2)]))  # there is no free place for another one
    bench.engine.await_begun(2)
    host.stop()
    taking.join(WAIT_S)
    assert not taking.is_alive()
    assert bench.closed.wait(WAIT_S)


def test_a_queue_that_cannot_be_reached_costs_no_places() -> None:
    queue = WaitingMessages(down=True)
    bench = Bench(queue=queue)
    host = bench.host(capacity=6)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    host.submit([ref(2)])
    host.submit([ref(3)])
    queue.down, queue.waiting = False, one_each(5)
    host.submit([ref(4)])
    bench.engine.await_begun(5)
    assert queue.asked == [2]
    host.stop()
    assert bench.closed.wait(WAIT_S)


EMPTY = Waiting(Queue.INTERACTIVE, [])


@pytest.mark.parametrize(
    ("found", "started"),
    [
        (DeliveryError("the queue is down"), 0),
        (RuntimeError("no luck"), 0),
        ([], 0),
        (one_each(3), 1),
        (one_each(*range(3, 13)), 4),
        ([Waiting(Queue.BATCH, [ref(number) for number in range(3, 13)])], 4),
        ([EMPTY], 0),
        ([EMPTY] * 4, 0),
        ([*[EMPTY] * 3, *one_each(3)], 1),
    ],
)
def test_whatever_a_queue_returns_all_places_are_free_in_the_end(
    found: list[Waiting] | Exception, started: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(queue=Found(found=found))
    host = bench.host(capacity=6)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    taking = in_thread(lambda: _submit(host, 2))
    bench.engine.await_begun(2 + started)
    for each in bench.engine.begun[:]:
        bench.engine.finish(each)

    later = in_thread(lambda: _submit(host, *range(20, 26)))

    bench.engine.await_begun(8 + started)
    host.close()
    taking.join(WAIT_S)
    later.join(WAIT_S)
    assert bench.engine.begun[2 + started :] == [ref(number) for number in range(20, 26)]
    assert caplog.records == []  # a place that is released twice raises an error in the loop


def _submit(host: Host, *numbers: int) -> None:
    with suppress(RuntimeError):
        for number in numbers:
            host.submit([ref(number)])


def test_a_message_without_runs_does_nothing() -> None:
    queue = WaitingMessages()
    bench = Bench(queue=queue)
    host = bench.host(capacity=3)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.submit([])

    host.close()
    assert (queue.asked, queue.sent, bench.engine.begun) == ([], [], [ref(1)])


def test_messages_that_are_being_taken_when_the_host_stops_are_sent_back() -> None:
    waiting = [*one_each(10, 11), Waiting(Queue.BATCH, [ref(12), ref(13)])]
    queue = SlowMessages(waiting=waiting)
    bench = Bench(queue=queue)
    host = bench.host(capacity=8)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    taking = in_thread(lambda: host.submit([ref(2)]))
    assert queue.removed.wait(WAIT_S)
    assert bench.engine.loop is not None

    host.stop()
    bench.engine.loop.call_soon_threadsafe(queue.reply.set)

    taking.join(WAIT_S)
    assert bench.closed.wait(WAIT_S)
    numbers = {10: Queue.INTERACTIVE, 11: Queue.INTERACTIVE, 12: Queue.BATCH, 13: Queue.BATCH}
    assert queue.queues == {ref(number): its for number, its in numbers.items()}
    assert queue.first
    assert set(bench.engine.begun) == {ref(1), ref(2)}


def test_a_queue_that_does_not_reply_does_not_keep_the_host_from_stopping() -> None:
    queue = SlowMessages()
    bench = Bench(queue=queue)
    host = bench.host(capacity=3, patience=timedelta(milliseconds=1))
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    taking = in_thread(lambda: host.submit([ref(2)]))
    assert queue.removed.wait(WAIT_S)

    host.stop()

    assert bench.closed.wait(WAIT_S)
    taking.join(WAIT_S)
    assert not taking.is_alive()
