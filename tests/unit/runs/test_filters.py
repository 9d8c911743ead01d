"""Filtered lists: they contain what a full read would, and find nothing at a low cost."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.counting import CountingStore
from tests.support.examples import examples
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.core.refs import RunRef
from teamrun.runs.log.announcer import view_key
from teamrun.runs.log.keys import result_key
from teamrun.runs.service.listing import RunFilter

RUNS: tuple[dict[str, Any], ...] = (
    {},
    {"metadata": {"customer": "42"}},
    {"metadata": {"customer": "7"}, "tags": ["vip"]},
    {"tags": ["vip"]},
    {"delay_seconds": 60},
)
FILTERS = st.builds(
    RunFilter,
    status=st.sampled_from([None, "queued", "completed", "cancelled", "paused", "scheduled"]),
    team=st.sampled_from([None, "team", "other"]),
    tag=st.sampled_from([None, "vip", "other"]),
    metadata=st.sampled_from([{}, {"customer": "42"}, {"customer": "7", "none": "1"}]),
    created_after=st.none(),
    created_before=st.none(),
)
VIEWS = ("current", "none", "old")


async def _deployed(views: str) -> tuple[Cluster, list[RunRef]]:
    """Runs of every kind, newest first, each with a view of that age."""
    cluster = Cluster({"a": ["DONE"] * 20}, team=solo())
    refs: list[RunRef] = []
    for options in RUNS:
        for fate in ("left", "executed", "cancelled", "paused"):
            cluster.clock.shift += timedelta(seconds=1)
            ref = await cluster.submit(**options)
            refs.insert(0, ref)
            if views == "old":
                await cluster.service.get(TENANT, ref.run_id)
            if fate == "executed" and "delay_seconds" not in options:
                await cluster.worker().execute(ref)
            elif fate == "cancelled":
                await cluster.service.cancel(TENANT, ref.run_id)
            elif fate == "paused":
                await cluster.service.pause(TENANT, ref.run_id)
            await cluster.service.close()
            if views == "current":
                await cluster.service.get(TENANT, ref.run_id)
            elif views == "none":
                await cluster.live.drop_view(view_key(ref))
    return cluster, refs


@examples(60)
@given(where=FILTERS, views=st.sampled_from(VIEWS))
async def test_a_filtered_list_is_what_a_full_read_of_all_runs_finds(
    where: RunFilter, views: str
) -> None:
    cluster, refs = await _deployed(views)
    expected: list[str] = []
    for ref in refs:
        state = await cluster.log(ref).state()
        assert state is not None
        if where.takes(state):
            expected.append(ref.run_id)
    found: list[str] = []
    after = None
    while True:
        page = await cluster.service.list(TENANT, where, limit=3, after=after)
        found += [run.id for run in page.data]
        after = page.next_cursor
        if after is None:
            break
    assert found == expected


@dataclass(frozen=True)
class Case:
    id: str
    where: RunFilter
    gets: int
    """For each run."""


CASES = (
    Case("team", RunFilter(team="other"), 1),
    Case("tag", RunFilter(tag="other"), 1),
    Case("metadata", RunFilter(metadata={"customer": "42"}), 1),
    Case("status", RunFilter(status="failed"), 1),
    Case("status that no ended run has", RunFilter(status="running"), 1),
    Case("status and team", RunFilter(status="failed", team="team"), 2),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("turns", [1, 20])
async def test_a_filter_that_matches_nothing_reads_no_log(case: Case, turns: int) -> None:
    store, count = CountingStore(), 8
    cluster = Cluster({"a": ["x"] * 80, "b": ["x"] * 80}, team=duo(turns), store=store)
    worker = cluster.worker()
    refs = [await cluster.submit() for _ in range(count)]
    for ref in refs:
        await worker.execute(ref)
    await worker.close()
    await cluster.service.close()  # its notices set views, too
    for ref in refs:
        await cluster.live.drop_view(view_key(ref))
    store.requests.clear()
    page = await cluster.service.list(TENANT, case.where, limit=5)
    assert page.data == []
    assert page.next_cursor is None
    assert store.requests["get"] <= case.gets * count
    assert store.requests["list"] <= 2 * 3  # two folders, in batches that grow


@pytest.mark.parametrize(
    "result", [b"", b"{}", b'{"run_id":"run_x","status":"failed"', b"\xff" * 300]
)
async def test_a_damaged_result_does_not_hide_its_run(result: bytes) -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    await cluster.live.drop_view(view_key(ref))
    await cluster.store.put(result_key(ref), result)
    page = await cluster.service.list(TENANT, RunFilter(status="completed"))
    assert [run.id for run in page.data] == [ref.run_id]
