"""Requests to the store over the whole life of a run; on S3 they are what a run costs."""

from dataclasses import dataclass

import pytest
from tests.support.counting import CountingStore
from tests.support.runs import Cluster, duo


@dataclass(frozen=True)
class Case:
    turns: int
    puts: int
    gets: int


@pytest.mark.parametrize("case", [Case(1, 8, 6), Case(20, 27, 25)], ids=lambda case: case.turns)
async def test_a_run_costs_few_requests_from_its_submit_to_the_removal_of_its_marker(
    case: Case,
) -> None:
    store = CountingStore()
    cluster = Cluster({"a": ["x"] * 20, "b": ["x"] * 20}, team=duo(case.turns), store=store)
    await cluster.worker().execute(await cluster.submit())
    requests = store.requests.copy()
    assert await store.list("open/") == []
    assert requests["put"] <= case.puts
    assert requests["get"] <= case.gets
    assert requests["list"] <= 1
