"""A request that is sent again with its key, while the first one is still being accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from tests.support.batches import Batches, pieces
from tests.support.runs import TENANT

from teamrun.batches.keys import BatchRef
from teamrun.batches.log import BatchLog
from teamrun.batches.requests import BatchRequest
from teamrun.errors import BatchDeleted, InvalidItems, Unavailable
from teamrun.runs.log.keys import BATCHES
from teamrun.storage.memory import MemoryStore

REQUEST = BatchRequest.model_validate({"team": "team", "items": [{"input": "x"}] * 5})


class InterruptedStore(MemoryStore):
    """Does something before the first marker of a list, which is the last write before entry 0."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupt: Callable[[], Awaitable[None]] | None = None

    async def put_new(self, key: str, data: bytes) -> bool:
        interrupt = self.interrupt
        if interrupt is not None and "/batch-list/" in key:
            self.interrupt = None
            await interrupt()
        return await super().put_new(key, data)


@pytest.mark.parametrize("error", [asyncio.CancelledError, Unavailable])
async def test_a_request_that_fails_removes_nothing_of_its_accepted_repetition(
    error: type[BaseException],
) -> None:
    store = InterruptedStore()
    batches = Batches(store=store)

    async def repeat() -> None:
        await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
        raise error("the first request fails")

    store.interrupt = repeat
    with pytest.raises(error):
        await batches.service.submit(TENANT, REQUEST, idempotency_key="k")

    again = await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
    ended = await batches.finish(again.batch)
    assert (again.replayed, ended.counts.completed) == (True, 5)


async def test_a_request_without_a_key_that_fails_leaves_nothing() -> None:
    store = InterruptedStore()
    batches = Batches(store=store)

    async def fail() -> None:
        raise Unavailable("storage does not respond")

    store.interrupt = fail
    with pytest.raises(Unavailable):
        await batches.service.submit(TENANT, REQUEST)

    assert await store.list("batches/") == []
    assert not [key for key in await store.list("t/") if "/items/" in key]


async def test_an_invalid_repetition_keeps_a_request_in_progress_from_being_accepted() -> None:
    store = InterruptedStore()
    batches = Batches(store=store)
    files = batches.service.files
    file = await files.upload(TENANT, pieces(b'{"input":"x"}\n'), name="a.jsonl", limit=10**6)
    request = BatchRequest(team="team", input_file_id=file.id)

    async def repeat() -> None:
        await files.delete(TENANT, file.id)
        with pytest.raises(InvalidItems):
            await batches.service.submit(TENANT, request, idempotency_key="k")

    store.interrupt = repeat
    with pytest.raises(InvalidItems):
        await batches.service.submit(TENANT, request, idempotency_key="k")
    assert await store.list("batches/") == []


async def test_an_invalid_repetition_of_an_accepted_request_is_answered_with_its_batch() -> None:
    batches = Batches()
    files = batches.service.files
    file = await files.upload(TENANT, pieces(b'{"input":"x"}\n'), name="a.jsonl", limit=10**6)
    request = BatchRequest(team="team", input_file_id=file.id)
    first = await batches.service.submit(TENANT, request, idempotency_key="k")
    await files.delete(TENANT, file.id)

    again = await batches.service.submit(TENANT, request, idempotency_key="k")

    assert (again.batch.id, again.replayed) == (first.batch.id, True)


async def test_a_request_whose_acceptance_was_given_up_is_accepted_when_it_is_repeated() -> None:
    store = InterruptedStore()
    batches = Batches(store=store)

    async def give_up() -> None:
        await close_all_logs(batches)
        raise asyncio.CancelledError

    store.interrupt = give_up
    with pytest.raises(asyncio.CancelledError):
        await batches.service.submit(TENANT, REQUEST, idempotency_key="k")

    first = await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
    again = await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
    assert (again.batch.id, again.replayed) == (first.batch.id, True)
    assert (await batches.finish(first.batch)).counts.completed == 5


async def test_a_request_whose_acceptance_is_given_up_meanwhile_is_accepted_anew() -> None:
    store = InterruptedStore()
    batches = Batches(store=store)
    store.interrupt = partial(close_all_logs, batches)

    made = await batches.service.submit(TENANT, REQUEST)

    assert (await batches.finish(made.batch)).counts.completed == 5
    assert await store.list(BATCHES) == []


async def test_the_key_of_a_deleted_batch_is_refused() -> None:
    batches = Batches()
    made = await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
    await batches.finish(made.batch)
    await batches.service.delete(TENANT, made.batch.id)

    with pytest.raises(BatchDeleted):
        await batches.service.submit(TENANT, REQUEST, idempotency_key="k")
    assert await batches.store.list(BATCHES) == []


async def close_all_logs(batches: Batches) -> None:
    """What the sweep of the feeder does an hour later with batches that are not accepted."""
    for key in await batches.store.list(BATCHES):
        ref = BatchRef.parse(key.removeprefix(BATCHES))
        log = BatchLog(batches.store, ref, writer="feeder", clock=batches.cluster.clock)
        await log.close_void()
