"""Requests to the store over the whole life of a run; on S3 they are what a run costs."""

from collections import Counter
from dataclasses import dataclass

import pytest
from tests.support.runs import Cluster, duo

from teamrun.storage.memory import MemoryStore


class _Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter[str]()

    async def put_new(self, key: str, data: bytes) -> bool:
        self.requests["put"] += 1
        return await super().put_new(key, data)

    async def put(self, key: str, data: bytes) -> None:
        self.requests["put"] += 1
        await super().put(key, data)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.requests["get"] += len(keys)
        return await super().get_many(keys)

    async def get(self, key: str) -> bytes:
        self.requests["get"] += 1
        return await super().get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.requests["list"] += 1
        return await super().list(prefix, after=after, limit=limit)


@dataclass(frozen=True)
class Case:
    turns: int
    puts: int
    gets: int


@pytest.mark.parametrize("case", [Case(1, 8, 6), Case(20, 27, 25)], ids=lambda case: case.turns)
async def test_a_run_costs_few_requests_from_its_submit_to_the_removal_of_its_marker(
    case: Case,
) -> None:
    store = _Counting()
    cluster = Cluster({"a": ["x"] * 20, "b": ["x"] * 20}, team=duo(case.turns), store=store)
    await cluster.worker().execute(await cluster.submit())
    assert await MemoryStore.list(store, "open/") == []
    assert store.requests["put"] <= case.puts
    assert store.requests["get"] <= case.gets
    assert store.requests["list"] <= 1
