"""The effort for a run of a thread does not grow with the number of runs before it."""

from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest

TEAM = {**solo(), "max_turns": 1}
FEW, MANY = 5, 20


class CountingStore(MemoryStore):
    """Counts the objects that are read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    async def get(self, key: str) -> bytes:
        self.keys.append(key)
        return await super().get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.keys += keys
        return await super().get_many(keys)

    async def put_new(self, key: str, data: bytes) -> bool:
        self.keys.append(key)
        return await super().put_new(key, data)

    async def list(self, prefix: str, **page: Any) -> list[str]:
        self.keys.append(prefix)
        return await super().list(prefix, **page)


class Talk:
    """A thread, and the requests that its runs cost."""

    def __init__(self, store: CountingStore | None = None, thread_id: str = "") -> None:
        self.store = store or CountingStore()
        self.thread_id = thread_id
        models = {"m": ScriptedModel({"a": ["Rain."] * 99}), "broken": ScriptedModel({"a": []})}
        registry = Registry.of(teams={"team": TEAM}, models=models)
        self.cluster = Cluster({}, team=TEAM, registry=registry, store=self.store)
        self.worker = self.cluster.worker()

    async def begin(self) -> "Talk":
        created = await self.cluster.threads.create(TENANT, ThreadRequest())
        self.thread_id = created.thread.id
        return self

    async def submit(self, **request: Any) -> RunRef:
        return await self.cluster.submit("Go", thread_id=self.thread_id, **request)

    async def work(self) -> None:
        await self.cluster.queue.deliver(self.worker.execute)

    async def turn(self, kind: str) -> RunRef:
        """A run of the thread comes and ends, or stays in the queue."""
        ref = await self.submit(**{"overrides": {"model": "broken"}} if kind == "failed" else {})
        if kind == "cancelled":
            await self.cluster.service.cancel(TENANT, ref.run_id)
        if kind == "queued":
            self.cluster.queue.waiting.clear()
            return ref
        await self.work()
        if kind == "deleted":
            await self.cluster.service.delete(TENANT, ref.run_id)
        return ref

    def seen(self, ref: RunRef) -> int:
        """How many other runs were read since this was called, and how often something else.

        How many entries of a run are read depends on how fast the machine is.
        """
        keys, self.store.keys = self.store.keys, []
        runs = {key.split("/")[4] for key in keys if "/runs/" in key} - {ref.run_id}
        return len(runs) + sum("/threads/" in key for key in keys)


KINDS = ["queued", "completed", "failed", "cancelled", "deleted", "queued and cancelled"]


async def filled(kind: str, runs: int) -> Talk:
    talk = await Talk().begin()
    if kind == "queued and cancelled":  # behind a run that does not end
        await talk.turn("queued")
        kind = "cancelled"
    for _ in range(runs):
        await talk.turn(kind)
    return talk


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_costs_the_same_in_a_long_thread(kind: str) -> None:
    few, many = [await filled(kind, runs) for runs in (FEW, MANY)]
    one = kind.rpartition(" ")[2]
    costs: list[list[int]] = []
    for talk in (few, many):
        talk.store.keys.clear()
        costs.append([talk.seen(await talk.turn(one)) for _ in range(3)])
    assert costs[0] == costs[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_process_does_not_look_at_all_runs(kind: str) -> None:
    """It reads the log of the thread; the entries have what was found out before."""

    async def looks(runs: int) -> int:
        old = await filled(kind, runs)
        new = Talk(old.store, old.thread_id)
        new.store.keys.clear()
        ref = await new.submit()
        await new.work()
        new.store.keys = [key for key in new.store.keys if "/runs/" in key]
        return new.seen(ref)

    assert await looks(FEW) == await looks(MANY)


@pytest.mark.parametrize("model", ["m", "broken"])
async def test_a_hand_over_costs_the_same_in_a_long_queue(model: str) -> None:
    async def cost(runs: int) -> int:
        talk = await Talk().begin()
        refs = [await talk.submit(overrides={"model": model}) for _ in range(runs)]
        costs: list[int] = []
        for ref in refs:
            talk.store.keys.clear()
            await talk.worker.execute(ref)
            costs.append(talk.seen(ref))
        return costs[-2]  # the last one has none to hand over to

    assert await cost(MANY) == await cost(FEW)


async def test_a_cancel_costs_the_same_in_a_long_queue() -> None:
    async def cost(runs: int) -> int:
        talk = await Talk().begin()
        refs = [await talk.submit() for _ in range(runs)]
        costs: list[int] = []
        for ref in refs[1:]:
            talk.store.keys.clear()
            await talk.cluster.service.cancel(TENANT, ref.run_id)
            costs.append(talk.seen(ref))
        return costs[-2]

    assert await cost(MANY) == await cost(FEW)
