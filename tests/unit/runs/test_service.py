import asyncio
from datetime import timedelta

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.catalog import Teams
from teamrun.core.refs import RunRef
from teamrun.errors import (
    ArtifactNotFound,
    DefinitionError,
    DeliveryError,
    IdempotencyConflict,
    ImpossibleTime,
    RunEnded,
    RunNotFinished,
    RunNotFound,
    Unavailable,
    UsageError,
)
from teamrun.live.base import View
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.keys import entry_key, list_folder
from teamrun.runs.service.acceptance import Acceptance
from teamrun.runs.service.listing import RunFilter
from teamrun.runs.service.requests import RunRequest, request_digest
from teamrun.runs.service.resources import Event
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore

SECOND = timedelta(seconds=1)


def request(task: str = "go", **options: object) -> RunRequest:
    return RunRequest.model_validate({"team": "team", "input": task, **options})


def cluster_of(*says: str, **options: object) -> Cluster:
    return Cluster({"a": [*says] or ["DONE"]}, team=solo(), **options)  # type: ignore[arg-type]


async def done(cluster: Cluster, ref: RunRef) -> None:
    worker = cluster.worker()
    await worker.execute(ref)


async def test_the_same_key_and_request_is_the_same_run() -> None:
    cluster = cluster_of()
    first = await cluster.service.submit(TENANT, request(), idempotency_key="k")
    second = await cluster.service.submit(TENANT, request(), idempotency_key="k")
    assert (first.replayed, second.replayed) == (False, True)
    assert first.run.id == second.run.id
    assert len(await cluster.store.list(list_folder(TENANT))) == 1


async def test_a_request_that_is_repeated_after_its_deadline_finds_its_run() -> None:
    cluster = cluster_of()
    asked = request(deadline=(cluster.clock.now() + timedelta(hours=1)).isoformat())
    first = await cluster.service.submit(TENANT, asked, idempotency_key="k")
    cluster.clock.shift = timedelta(hours=2)

    second = await cluster.service.submit(TENANT, asked, idempotency_key="k")

    assert (second.replayed, second.run.id) == (True, first.run.id)
    with pytest.raises(ImpossibleTime):
        await cluster.service.submit(TENANT, asked, idempotency_key="other")


async def test_the_same_key_with_another_request_is_refused() -> None:
    cluster = cluster_of()
    await cluster.service.submit(TENANT, request(), idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await cluster.service.submit(TENANT, request("other"), idempotency_key="k")


async def test_a_key_belongs_to_its_tenant() -> None:
    cluster = cluster_of()
    one = await cluster.service.submit("one", request(), idempotency_key="k")
    two = await cluster.service.submit("two", request("other"), idempotency_key="k")
    assert one.run.id != two.run.id
    with pytest.raises(RunNotFound):
        await cluster.service.get("two", one.run.id)


async def test_a_repeated_request_finishes_an_acceptance_that_broke_off() -> None:
    store = FaultStore(MemoryStore())
    cluster = cluster_of(store=store)
    store.plan(Fault(outcome="unavailable", method="put_new", key="*/log/*", times=None))
    with pytest.raises(Unavailable):
        await cluster.service.submit(TENANT, request(), idempotency_key="k")
    store.heal()
    again = await cluster.service.submit(TENANT, request(), idempotency_key="k")
    assert again.replayed
    [key] = await store.list(list_folder(TENANT))
    assert key.endswith(again.run.id)
    await done(cluster, RunRef(TENANT, again.run.id))
    assert (await cluster.service.get(TENANT, again.run.id)).status == "completed"


async def test_nothing_is_accepted_where_storage_does_not_answer() -> None:
    store = FaultStore(MemoryStore())
    cluster = cluster_of(store=store)
    store.plan(Fault(outcome="unavailable", method="put_new", times=None))
    with pytest.raises(Unavailable):
        await cluster.service.submit(TENANT, request())
    store.heal()
    assert cluster.queue.sent == []
    assert await store.list("t/") == []


async def test_a_client_is_not_kept_by_storage_that_hangs() -> None:
    store = FaultStore(MemoryStore())
    store.plan(Fault(outcome="held", method="put_new", times=None))
    cluster = cluster_of(store=store)
    acceptance = Acceptance(
        store=store,
        live=cluster.live,
        dispatcher=cluster.queue,
        teams=Teams(cluster.registry),
        clock=cluster.clock,
        bound=timedelta(milliseconds=10),
    )
    with pytest.raises(Unavailable) as caught:
        await acceptance.submit(TENANT, request(), idempotency_key="k")
    assert isinstance(caught.value.__cause__, TimeoutError)
    store.heal()


async def test_a_run_is_accepted_while_the_queue_is_down() -> None:
    cluster = cluster_of()
    cluster.queue.is_down = True
    submitted = await cluster.service.submit(TENANT, request())
    assert (await cluster.service.get(TENANT, submitted.run.id)).status == "queued"


async def test_an_unknown_team_is_refused_and_its_key_stays_free() -> None:
    cluster = cluster_of()
    with pytest.raises(DefinitionError):
        await cluster.service.submit(TENANT, request(team="teem"), idempotency_key="k")
    again = await cluster.service.submit(TENANT, request(), idempotency_key="k")
    assert not again.replayed


async def test_a_repeated_request_is_answered_though_its_team_is_gone() -> None:
    cluster = cluster_of()
    first = await cluster.service.submit(TENANT, request(), idempotency_key="k")
    later = Cluster({}, team=solo(), store=cluster.store)
    later.registry._teams.clear()  # pyright: ignore[reportPrivateUsage] - the operator removed it
    again = await later.service.submit(TENANT, request(), idempotency_key="k")
    assert (again.run.id, again.replayed) == (first.run.id, True)


async def test_a_read_follows_every_write_whatever_the_shared_view_says() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    await done(cluster, ref)
    stale = View(1, (await fresh_state(cluster, ref)))
    assert isinstance(cluster.live, MemoryLive)
    cluster.live.forget()
    await cluster.live.set_view(f"run:{ref}", stale)
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"


async def fresh_state(cluster: Cluster, ref: RunRef) -> bytes:
    from teamrun.runs.log.state import fold

    state = fold((await cluster.entries(ref))[:1])
    assert state is not None
    return state.to_json()


async def test_waiting_returns_at_the_end() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    waiting = asyncio.ensure_future(cluster.service.wait(TENANT, ref.run_id, timeout=10 * SECOND))
    await done(cluster, ref)
    assert (await waiting).status == "completed"


async def test_waiting_for_a_change_returns_at_the_next_revision() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    waiting = asyncio.ensure_future(
        cluster.service.wait(TENANT, ref.run_id, timeout=10 * SECOND, revision=1)
    )
    await cluster.claim_and_die(ref)
    assert (await waiting).revision == 2


async def test_waiting_in_vain_returns_the_run_as_it_is() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    run = await cluster.service.wait(TENANT, ref.run_id, timeout=timedelta())
    assert run.status == "queued"


async def test_lists_are_newest_first_in_pages_without_gap_or_repeat() -> None:
    cluster = cluster_of()
    ids: list[str] = []
    for k in range(7):
        cluster.clock.shift += SECOND
        ids.append((await cluster.submit(str(k))).run_id)
    seen: list[str] = []
    after = None
    while True:
        page = await cluster.service.list(TENANT, RunFilter(), limit=3, after=after)
        seen += [run.id for run in page.data]
        after = page.next_cursor
        if not page.has_more:
            break
    assert seen == ids[::-1]


async def test_lists_are_filtered() -> None:
    cluster = cluster_of()
    marked = await cluster.submit(metadata={"customer": "42"}, tags=["vip"])
    await done(cluster, await cluster.submit())
    service = cluster.service

    async def ids(where: RunFilter) -> list[str]:
        return [run.id for run in (await service.list(TENANT, where)).data]

    assert await ids(RunFilter(metadata={"customer": "42"})) == [marked.run_id]
    assert await ids(RunFilter(tag="vip")) == [marked.run_id]
    assert await ids(RunFilter(status="queued")) == [marked.run_id]
    assert len(await ids(RunFilter(team="team"))) == 2
    assert await ids(RunFilter(team="other")) == []
    assert (await service.list("another", RunFilter())).data == []


async def test_a_cursor_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        await cluster_of().service.list(TENANT, RunFilter(), after="../../secret")
    assert caught.value.data == {"parameter": "after"}


async def test_events_are_paged_and_filtered() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    await done(cluster, ref)
    service = cluster.service
    page = await service.events(TENANT, ref.run_id, limit=4)
    assert ([e.seq for e in page.data], page.has_more) == ([1, 2, 3, 4], True)
    assert page.next_cursor == f"{ref.run_id}-4"
    rest = await service.events(TENANT, ref.run_id, after=4)
    assert (rest.data[0].seq, rest.data[-1].type) == (5, "run.completed")
    only = await service.events(TENANT, ref.run_id, types=frozenset({"run.started"}))
    assert [e.type for e in only.data] == ["run.started"]


async def test_following_continues_where_it_was_cut_off() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    follower = cluster.service.follow(TENANT, ref.run_id)
    first = await anext(follower)
    await follower.aclose()
    await done(cluster, ref)
    assert isinstance(first, Event)
    rest = [e async for e in cluster.service.follow(TENANT, ref.run_id, after=first.seq)]
    assert [e.seq for e in rest if isinstance(e, Event)] == list(range(2, len(rest) + 2))


class DeadLive(MemoryLive):
    """A Redis that is gone."""

    async def publish(self, topic: str, message: bytes) -> None:
        raise DeliveryError("gone")

    def subscribe(self, topic: str) -> object:  # type: ignore[override]
        raise DeliveryError("gone")

    async def views(self, keys: object) -> list[View | None]:
        raise DeliveryError("gone")

    async def set_view(self, key: str, view: View) -> None:
        raise DeliveryError("gone")


async def test_without_live_state_all_events_are_delivered() -> None:
    cluster = cluster_of(live=DeadLive())
    ref = await cluster.submit()
    follow = asyncio.ensure_future(collected(cluster, ref))
    await done(cluster, ref)
    assert (await asyncio.wait_for(follow, 10))[-1] == "run.completed"
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"


async def collected(cluster: Cluster, ref: RunRef) -> list[str]:
    return [event.type async for event in cluster.service.follow(TENANT, ref.run_id)]


async def test_the_result_of_a_run_that_continues_is_refused() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    with pytest.raises(RunNotFinished):
        await cluster.service.result(TENANT, ref.run_id)


async def test_a_cancel_is_the_end_of_a_queued_run_and_may_be_repeated() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    first = await cluster.service.cancel(TENANT, ref.run_id, reason="changed my mind")
    again = await cluster.service.cancel(TENANT, ref.run_id)
    assert (first.status, first.stop_reason) == ("cancelled", "changed my mind")
    assert again.revision == first.revision
    assert (await cluster.service.result(TENANT, ref.run_id)).status == "cancelled"
    assert await cluster.store.list("open/") == []


async def test_an_ended_run_is_not_cancelled() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    await done(cluster, ref)
    with pytest.raises(RunEnded):
        await cluster.service.cancel(TENANT, ref.run_id)


async def test_a_cancel_that_loses_the_race_against_a_claim_decides_again() -> None:
    store = FaultStore(MemoryStore())
    cluster = cluster_of(store=store)
    ref = await cluster.submit()
    held = store.plan(Fault(outcome="held", method="put_new", key=entry_key(ref, 1)))
    cancelling = asyncio.ensure_future(cluster.service.cancel(TENANT, ref.run_id))
    await held.reached.wait()
    await cluster.claim_and_die(ref)
    held.release.set()
    assert (await cancelling).status == "cancelling"


@pytest.mark.parametrize("run_id", ["run_0", "../x", "a.b", ""])
async def test_an_unknown_run_is_not_found(run_id: str) -> None:
    service = cluster_of().service
    for reading in (
        service.get(TENANT, run_id),
        service.events(TENANT, run_id),
        service.result(TENANT, run_id),
        service.artifacts(TENANT, run_id),
        service.cancel(TENANT, run_id),
        service.wait(TENANT, run_id, timeout=SECOND),
        anext(service.follow(TENANT, run_id)),
    ):
        with pytest.raises(RunNotFound):
            await reading


async def test_an_unknown_artifact_is_not_found() -> None:
    cluster = cluster_of()
    ref = await cluster.submit()
    with pytest.raises(ArtifactNotFound):
        await cluster.service.artifact(TENANT, ref.run_id, "chart.svg")


def test_a_field_that_a_later_release_adds_changes_no_digest_of_today() -> None:
    class Later(RunRequest):
        more: int = 1

    body = {"team": "team", "input": "go", "metadata": {"b": "1", "a": "2"}}
    digests = {request_digest(kind.model_validate(body)) for kind in (RunRequest, Later)}
    assert len(digests) == 1
