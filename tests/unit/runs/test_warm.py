"""Runs that wait for a person stay in the memory of their worker: answers cost no replay."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.messages.llm import CreateResult
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.warm import WarmRuns
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Answer
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue, ScriptedModel


class CountingStore(MemoryStore):
    """Counts the requests for entries."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.entries += sum("/log/" in key for key in keys)
        return await super().get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.entries += "/log/" in prefix
        return await super().list(prefix, after=after, limit=limit)


def asking(turns: int, **options: Any) -> Cluster:
    """A team in which an assistant and a person take turns."""
    team: dict[str, Any] = {
        "type": "round_robin_group_chat",
        "participants": [
            {"type": "assistant_agent", "name": "a", "model": "m"},
            {"type": "user_proxy_agent", "name": "boss"},
        ],
        "max_turns": turns,
    }
    return Cluster({"a": [str(n) for n in range(turns)]}, team=team, **options)


async def answer(cluster: Cluster, ref: RunRef, content: str) -> None:
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    given = Answer(action_id=action.id, content=content)
    await cluster.service.answer(TENANT, ref.run_id, given)


async def texts(cluster: Cluster, ref: RunRef) -> list[str]:
    result = await cluster.service.result(TENANT, ref.run_id)
    return [message["content"] for message in result.messages]


def warm_runs(worker: Engine) -> int:
    [line] = [line for line in worker.metric_lines() if line.startswith("teamrun_runs_warm")]
    return int(line.split()[-1])


async def test_each_answer_reads_the_same_number_of_entries_however_long_the_log_is() -> None:
    store = CountingStore()
    cluster = asking(61, store=store)
    ref, worker = await cluster.submit(), cluster.worker()
    assert await worker.execute(ref) is Finish.WAITING
    read: list[int] = []
    for n in range(30):
        await answer(cluster, ref, f"answer {n}")
        store.entries = 0
        await worker.execute(ref)
        read.append(store.entries)
    # A snapshot reads one entry more.
    assert max(read[:-1]) - min(read[:-1]) <= 1
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("completed", 31)
    assert (await texts(cluster, ref))[1:4] == ["0", "answer 0", "1"]
    assert warm_runs(worker) == 0


async def test_workers_that_take_turns_read_what_is_new_to_them() -> None:
    store = CountingStore()
    cluster = asking(41, store=store)
    ref, workers = await cluster.submit(), [cluster.worker("w1"), cluster.worker("w2")]
    read: list[int] = []
    for n in range(20):
        store.entries = 0
        assert await workers[n % 2].execute(ref) is Finish.WAITING
        read.append(store.entries)
        await answer(cluster, ref, f"answer {n}")
    assert await workers[0].execute(ref) is Finish.ENDED
    # A snapshot reads one entry more.
    assert max(read[2:]) - min(read[2:]) <= 1
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("completed", 21)
    assert [text for text in await texts(cluster, ref) if text.startswith("answer")] == [
        f"answer {n}" for n in range(20)
    ]
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    assert [event.type for event in events].count("run.input_required") == 20
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]


async def test_a_warm_run_that_was_cancelled_leaves_nothing_behind() -> None:
    cluster = asking(3)
    ref, worker = await cluster.submit(), cluster.worker()
    await worker.execute(ref)
    assert warm_runs(worker) == 1
    await cluster.service.cancel(TENANT, ref.run_id)
    assert await worker.execute(ref) is Finish.ENDED
    assert warm_runs(worker) == 0
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "cancelled"


async def test_a_message_to_a_waiting_run_is_read_with_the_answer() -> None:
    cluster = asking(3)
    ref, worker = await cluster.submit(), cluster.worker()
    await worker.execute(ref)
    await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="psst"))
    assert await worker.execute(ref) is Finish.WAITING
    assert warm_runs(worker) == 1
    await answer(cluster, ref, "well")
    assert await worker.execute(ref) is Finish.ENDED
    assert await texts(cluster, ref) == ["go", "0", "well", "psst", "1"]


@pytest.mark.parametrize(
    ("keep", "most_bytes", "kept"),
    [
        (timedelta(), 64_000_000, 0),
        (timedelta(minutes=5), 0, 0),
        (timedelta(minutes=5), 100_000, 2),
        (timedelta(minutes=5), 64_000_000, 3),
    ],
)
async def test_the_oldest_runs_are_dropped_when_they_take_too_much_memory(
    keep: timedelta, most_bytes: int, kept: int
) -> None:
    cluster = asking(3)
    runs = WarmRuns(keep=keep, most_bytes=most_bytes, clock=cluster.clock)
    worker = cluster.worker(warm=runs)
    refs = [await cluster.submit() for _ in range(3)]
    for ref in refs:
        await worker.execute(ref)
    assert warm_runs(worker) == kept
    for ref in refs:
        await answer(cluster, ref, "yes")
        assert await worker.execute(ref) is Finish.ENDED
        assert await texts(cluster, ref) == ["go", "0", "yes", "1"]


async def test_a_run_is_warm_for_some_minutes_and_no_longer_than_its_worker() -> None:
    cluster = asking(3)
    worker = cluster.worker()
    await worker.execute(await cluster.submit())
    cluster.clock.shift += timedelta(minutes=4)
    await worker.execute(await cluster.submit())
    assert warm_runs(worker) == 2
    cluster.clock.shift += timedelta(minutes=2)
    await worker.execute(await cluster.submit())
    assert warm_runs(worker) == 2
    worker.stop()
    assert warm_runs(worker) == 0


async def test_a_warm_run_is_dropped_when_the_api_ends_it() -> None:
    cluster = asking(3)
    ref, worker = await cluster.submit(), cluster.worker("w1")
    await worker.execute(ref)
    assert warm_runs(worker) == 1
    await cluster.service.cancel(TENANT, ref.run_id)
    async with asyncio.timeout(10):
        while warm_runs(worker):  # noqa: ASYNC110 - nothing announces that it is dropped
            await asyncio.sleep(0)


async def test_a_deleted_run_is_gone_although_no_notice_has_dropped_it() -> None:
    cluster = asking(3, is_live_shared=False)
    ref, worker = await cluster.submit(), cluster.worker()
    await worker.execute(ref)
    await cluster.service.cancel(TENANT, ref.run_id)
    await cluster.service.delete(TENANT, ref.run_id)
    assert warm_runs(worker) == 1
    assert await worker.execute(ref) is Finish.ABSENT
    assert warm_runs(worker) == 0


class HastyQueue(MemoryQueue):
    """Delivers each message before `send` returns, as a fast consumer in the same process may."""

    def __init__(self) -> None:
        super().__init__()
        self.consumer: Engine | None = None

    async def send(self, refs: Sequence[RunRef], **options: Any) -> None:
        for ref in refs:
            if self.consumer is not None:
                await self.consumer.execute(ref)


class AnsweringStore(MemoryStore):
    """Lets a person answer while a worker suspends the run: when it deletes the open marker."""

    answer: Callable[[], Awaitable[None]] | None = None

    async def delete(self, key: str) -> None:
        await super().delete(key)
        given, self.answer = self.answer, None
        if key.startswith("open/") and given is not None:
            await given()


@pytest.mark.parametrize("keep", [timedelta(), timedelta(minutes=5)], ids=["cold", "warm"])
async def test_an_answer_to_a_run_that_is_just_being_suspended_is_not_forgotten(
    keep: timedelta,
) -> None:
    store, queue = AnsweringStore(), HastyQueue()
    cluster = asking(3, store=store, queue=queue)
    queue.consumer = worker = cluster.worker(warm=WarmRuns(keep=keep, clock=cluster.clock))
    ref = await cluster.submit()
    store.answer = lambda: answer(cluster, ref, "yes")
    assert await worker.execute(ref) is Finish.ENDED
    assert await texts(cluster, ref) == ["go", "0", "yes", "1"]


async def test_messages_to_a_warm_run_count_against_its_memory() -> None:
    cluster = asking(3)
    ref = await cluster.submit()
    worker = cluster.worker(warm=WarmRuns(most_bytes=200_000, clock=cluster.clock))
    for count in (1, 1, 1, 0):
        await worker.execute(ref)
        assert warm_runs(worker) == count
        await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="x" * 40_000))


class Silent(ScriptedModel):
    """Never answers."""

    def for_agent(self, name: str) -> "Silent":
        return self

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_run_that_yields_before_the_deadline_is_not_taken_up_again() -> None:
    queue = HastyQueue()
    cluster = Cluster({}, team=solo(), queue=queue, model=Silent(["x"]))
    ref, worker = await cluster.submit(), cluster.worker()
    queue.consumer = worker
    deadline = cluster.clock.now() + timedelta(seconds=5)
    assert await worker.execute(ref, deadline=deadline) is Finish.YIELDED
    assert len(await cluster.entries(ref)) == 3
