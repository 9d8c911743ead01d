import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.unit.worker.hosts import WAIT_S, Bench, Engine, Messages, Reaper, in_thread, ref

from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError
from teamrun.runtime import Runtime
from teamrun_worker.host import Host


def test_runs_overlap_on_one_loop() -> None:
    bench = Bench()
    host = bench.host()

    host.submit([ref(1)])
    host.submit([ref(2)])

    bench.engine.await_begun(2)
    assert set(bench.engine.live) == {ref(1), ref(2)}
    host.close()


def test_a_full_host_makes_the_next_run_wait_for_a_place() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    waiting = in_thread(lambda: host.submit([ref(2)]))
    assert bench.engine.begun == [ref(1)]
    bench.engine.finish(ref(1))

    bench.engine.await_begun(2)
    waiting.join(WAIT_S)
    assert bench.engine.begun == [ref(1), ref(2)]
    host.close()


def test_what_exceeds_the_capacity_returns_to_the_front_of_its_queue() -> None:
    bench = Bench()
    host = bench.host(capacity=2)

    host.submit([ref(number) for number in range(1, 6)], queue=Queue.BATCH)

    bench.engine.await_begun(2)
    assert bench.engine.begun == [ref(1), ref(2)]
    assert bench.queue.sent == [ref(3), ref(4), ref(5)]
    assert set(bench.queue.queues.values()) == {Queue.BATCH}
    assert bench.queue.first
    host.close()


def test_a_full_host_starts_one_run_of_a_message_and_returns_the_others() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    waiting = in_thread(lambda: host.submit([ref(2), ref(3)]))
    assert bench.queue.sent == []
    bench.engine.finish(ref(1))

    waiting.join(WAIT_S)
    bench.engine.await_begun(2)
    assert bench.engine.begun == [ref(1), ref(2)]
    assert bench.queue.sent == [ref(3)]
    host.close()


def test_a_run_that_raises_gives_its_place_back(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(engine=Engine(faults=True))
    host = bench.host(capacity=1)

    with caplog.at_level(logging.ERROR):
        host.submit([ref(1)])
        host.submit([ref(2)])
        bench.engine.await_begun(2)
        host.close()

    assert [vars(record)["run_id"] for record in caplog.records] == ["run_1", "run_2"]


def test_stopping_hands_over_what_runs_and_sends_back_what_waits() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    bench.engine.stubborn = True
    waiting = in_thread(lambda: host.submit([ref(2)]))

    host.stop()
    waiting.join(WAIT_S)

    assert bench.queue.sent == [ref(2)]
    bench.engine.finish(ref(1))
    host.close()
    assert bench.closed.is_set()
    assert bench.engine.begun == [ref(1)]


def test_a_queue_that_is_down_does_not_keep_the_host_from_stopping() -> None:
    bench = Bench(queue=Messages(down=True))
    host = bench.host()
    host.stop()

    host.submit([ref(1)])

    host.close()
    assert bench.closed.is_set()
    assert bench.engine.begun == []


def test_a_run_that_comes_after_the_end_is_left_to_the_reaper(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    host = bench.host()
    host.close()

    with caplog.at_level(logging.WARNING):
        host.submit([ref(1)])

    assert [vars(record)["action"] for record in caplog.records] == ["worker.requeue_failed"]
    assert (bench.engine.begun, bench.queue.sent) == ([], [])


def test_at_the_end_of_the_grace_time_calls_under_way_are_given_up() -> None:
    bench = Bench(engine=Engine(stubborn=True))
    host = bench.host(grace=timedelta(milliseconds=1))
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.close()

    assert bench.engine.aborted
    assert bench.engine.cancelled == 0
    assert bench.closed.is_set()


def test_a_run_that_outlasts_even_that_is_cancelled() -> None:
    bench = Bench(engine=Engine(stubborn=True, deaf=True))
    host = bench.host(grace=timedelta(milliseconds=1), patience=timedelta(milliseconds=1))
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.stop()

    assert bench.closed.wait(WAIT_S)
    assert bench.engine.cancelled == 1


def test_a_reaper_that_fails_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(reaper=Reaper(faults=2))

    host = bench.host(patience=timedelta(milliseconds=1))

    assert bench.reaper.works.wait(WAIT_S)
    host.stop()
    assert bench.closed.wait(WAIT_S)

    assert [record.getMessage() for record in caplog.records] == ["The reaper failed"] * 2


def test_an_error_of_the_composition_is_raised_by_start() -> None:
    @asynccontextmanager
    async def fails() -> AsyncGenerator[Runtime]:
        raise UsageError("no store")
        yield

    host = Host(fails, capacity=1, grace=timedelta(seconds=1))

    with pytest.raises(UsageError):
        host.start()


def test_an_exit_raised_by_a_task_of_a_tool_does_not_end_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, lost = Bench(), threading.Event()
    host = Host(bench.open, capacity=2, grace=timedelta(seconds=5), on_lost=lost.set)
    host.start()
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    loop = bench.engine.loop
    assert loop is not None

    async def leave(kind: type[BaseException]) -> None:
        raise kind

    with caplog.at_level(logging.ERROR):
        for kind in (SystemExit, KeyboardInterrupt):
            future = asyncio.run_coroutine_threadsafe(leave(kind), loop)
            with pytest.raises(kind):
                future.result(WAIT_S)
        host.submit([ref(2)])
        bench.engine.await_begun(2)
        host.close()

    assert [vars(record)["action"] for record in caplog.records] == ["loop.exit_ignored"] * 2
    assert (host.is_lost, lost.is_set(), bench.closed.is_set()) == (False, False, True)


def test_a_host_whose_loop_has_ended_reports_it_and_can_be_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, lost = Bench(), threading.Event()
    host = Host(bench.open, capacity=2, grace=timedelta(seconds=5), on_lost=lost.set)
    host.start()
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    assert bench.engine.loop is not None

    with caplog.at_level(logging.CRITICAL):
        bench.engine.loop.call_soon_threadsafe(bench.engine.loop.stop)
        assert lost.wait(WAIT_S)

    assert [vars(record)["action"] for record in caplog.records] == ["worker.loop_ended"]
    assert host.is_lost
    host.beat(lambda: None)
    host.submit([ref(2)])
    host.close()
    assert bench.engine.begun == [ref(1)]
