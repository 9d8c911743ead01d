"""The doubles for storage and for the queue do what their users plan."""

import asyncio

import pytest

from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError, Unavailable
from teamrun.storage.base import ObjectStore
from teamrun.testing import Fault, FaultStore, MemoryQueue, MemoryStore, Outcome, StoreCall


async def test_it_is_an_object_store_and_notes_every_call() -> None:
    store = FaultStore(MemoryStore())
    assert isinstance(store, ObjectStore)
    assert await store.put_new("a/1", b"x") is True
    await store.put("a/2", b"y")
    assert await store.get("a/1") == b"x"
    assert await store.get_many(["a/1", "a/3"]) == [b"x", None]
    assert await store.list("a/") == ["a/1", "a/2"]
    await store.delete("a/1")
    await store.check()
    await store.close()
    assert store.calls == [
        StoreCall("put_new", "a/1"),
        StoreCall("put", "a/2"),
        StoreCall("get", "a/1"),
        StoreCall("get_many", "a/1"),
        StoreCall("list", "a/"),
        StoreCall("delete", "a/1"),
        StoreCall("check", ""),
    ]


async def test_an_unavailable_call_has_done_nothing() -> None:
    store = FaultStore(MemoryStore())
    fault = store.plan(Fault(outcome="unavailable", method="put*", key="*/log/*"))
    with pytest.raises(Unavailable):
        await store.put_new("run/log/0", b"x")
    assert fault.reached.is_set()
    assert await store.put_new("run/log/0", b"y") is True


async def test_a_call_whose_reply_is_lost_has_been_done() -> None:
    store = FaultStore(MemoryStore())
    store.plan(Fault(outcome="reply_lost", method="put_new"))
    with pytest.raises(Unavailable):
        await store.put_new("a", b"x")
    assert await store.put_new("a", b"y") is False
    assert await store.get("a") == b"x"


@pytest.mark.parametrize(("outcome", "done_meanwhile"), [("held", []), ("reply_held", ["a"])])
async def test_a_held_call_continues_when_the_test_releases_it(
    outcome: Outcome, done_meanwhile: list[str]
) -> None:
    store = FaultStore(MemoryStore())
    fault = store.plan(Fault(outcome=outcome, method="put_new"))
    put = asyncio.create_task(store.put_new("a", b"x"))
    await fault.reached.wait()
    assert await store.list("") == done_meanwhile
    assert not put.done()
    fault.release.set()
    assert await put is True


async def test_a_fault_lets_some_calls_pass_and_ends_after_its_times() -> None:
    store = FaultStore(MemoryStore())
    fault = store.plan(Fault(outcome="unavailable", after=1, times=2))
    results = await asyncio.gather(
        *(store.put_new(f"{n}", b"") for n in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results] == [bool, Unavailable, Unavailable, bool]
    assert fault.hits == 2


async def test_healing_forgets_the_plans_and_releases_what_is_held() -> None:
    store = FaultStore(MemoryStore())
    held = store.plan(Fault(outcome="held", method="get", times=None))
    store.plan(Fault(outcome="unavailable", method="put", times=None))
    await store.put_new("a", b"x")
    get = asyncio.create_task(store.get("a"))
    await held.reached.wait()
    store.heal()
    assert await get == b"x"
    await store.put("a", b"y")


async def test_a_schedule_may_decide_each_call() -> None:
    outcomes: dict[str, Outcome] = {"a": "unavailable", "b": "reply_lost", "c": "held"}
    store = FaultStore(MemoryStore(), decide=lambda call: outcomes.get(call.key))
    for key in ("a", "b"):
        with pytest.raises(Unavailable):
            await store.put_new(key, b"")
    for key in ("c", "d"):
        assert await store.put_new(key, b"") is True
    assert await store.list("") == ["b", "c", "d"]


async def test_a_queue_keeps_what_is_sent_until_it_is_delivered() -> None:
    one, two = RunRef("default", "one"), RunRef("default", "two")
    queue = MemoryQueue()
    executed: list[RunRef] = []

    async def execute(ref: RunRef) -> None:
        executed.append(ref)
        if ref == one:
            await queue.send([two])

    await queue.send([one])
    assert executed == []
    assert await queue.deliver(execute) == 2
    assert executed == [one, two] == queue.sent
    queue.is_down = True
    with pytest.raises(DeliveryError):
        await queue.send([one])
    await queue.close()
