"""Batches from their acceptance to their results."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.batches import Batches, jsonl
from tests.support.counting import CountingStore
from tests.support.runs import TENANT, duo, solo

from teamrun.batches.keys import BatchRef
from teamrun.batches.requests import BatchRequest
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import (
    BatchEnded,
    BatchNotFinished,
    BatchNotFound,
    DefinitionError,
    IdempotencyConflict,
    InvalidItems,
    RunInBatch,
)
from teamrun.runs.service.requests import ForkRequest, RetryRequest

FAILING = [{"error": {"message": "bad request"}}]


async def test_every_item_becomes_a_run_and_a_result_in_the_order_of_the_input() -> None:
    batches = Batches()
    batch = await batches.submit([f"task {n}" for n in range(250)], max_concurrency=40)
    assert (batch.status, batch.counts.queued) == ("in_progress", 250)

    ended = await batches.finish(batch)

    assert (ended.status, ended.counts.completed, ended.counts.total) == ("completed", 250, 250)
    results = await batches.results(batch)
    assert [result["index"] for result in results] == list(range(250))
    assert {result["custom_id"] for result in results} == {str(n + 1) for n in range(250)}
    assert {result["output"]["text"] for result in results} == {"DONE"}
    assert ended.usage.output_tokens == sum(r["usage"]["output_tokens"] for r in results) > 0


async def test_no_more_items_are_in_flight_than_allowed() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 30, max_concurrency=7)

    await batches.driver(batch).step()
    assert (await batches.service.get(TENANT, batch.id)).counts.running == 7
    await batches.work(3)
    await batches.driver(batch).step()

    counts = (await batches.service.get(TENANT, batch.id)).counts
    assert (counts.completed, counts.running, counts.queued) == (3, 7, 20)


async def test_items_wait_on_the_queue_of_batches_and_urgent_ones_on_the_other() -> None:
    batches = Batches()
    batch = await batches.submit(["go"])
    urgent = await batches.submit(["go"], priority="interactive")

    await batches.driver(batch).step()
    await batches.driver(urgent).step()

    assert list(batches.cluster.queue.queues.values()) == [Queue.BATCH, Queue.INTERACTIVE]


async def test_an_item_costs_four_writes() -> None:
    store = CountingStore()
    batches = Batches(store=store)
    batch = await batches.submit(["go"] * 1_000, max_concurrency=400)
    store.requests.clear()

    await batches.finish(batch)

    # Accepted, claim, end, and the result; besides, some hundredths for the log of the batch.
    assert store.requests["put"] <= 4.1 * 1_000
    keys = [key for key in await list_all(store) if "/runs/" in key]
    assert len(keys) == 3_000
    assert all("/log/" in key for key in keys)
    assert await store.list("open/") == []
    assert await store.list("t/default/index/") == []
    assert await batches.cluster.live.views([f"run:{TENANT}.{keys[0].split('/')[4]}"]) == [None]


async def list_all(store: CountingStore) -> list[str]:
    return await store.list("t/", limit=10_000)


async def test_overrides_of_items_and_of_the_batch_are_pinned() -> None:
    batches = Batches({"a": ["DONE"]}, team=duo(2))
    items = [
        {"input": "one"},
        {"input": "two", "overrides": {"max_turns": 1, "temperature": 0.5}},
        {"input": "three", "overrides": {"temperature": 0.1}},
    ]
    batch = await batches.submit(items, overrides={"temperature": 1.0})
    await batches.driver(batch).step()

    page = await batches.service.items(TENANT, batch.id)
    specs = [
        state.spec
        for item in page.data
        if (state := await batches.cluster.log(RunRef(TENANT, item.run_id or "")).state())
    ]
    assert [spec.temperature for spec in specs] == [1.0, 0.5, 0.1]
    assert [spec.definition.max_turns for spec in specs] == [2, 1, 2]


FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_the_output_of_each_item_fits_its_schema_or_that_of_the_batch() -> None:
    text = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
    batches = Batches({"a": ['{"n": 1} DONE'], "output-schema": ['{"n": 1}'] * 3})
    items = [{"input": "one"}, {"input": "two", "output_schema": text}, {"input": "three"}]

    batch = await batches.submit(items, output_schema=FORM)
    await batches.finish(batch)

    results = await batches.results(batch)
    assert [each["status"] for each in results] == ["completed", "incomplete", "completed"]
    assert [each["output"]["json"] for each in results] == [{"n": 1}, None, {"n": 1}]
    assert results[1]["output"]["problems"] == [
        {"pointer": "/n", "detail": "1 is not of type 'string'."}
    ]


async def test_a_bad_schema_of_a_batch_or_an_item_is_refused_with_its_place() -> None:
    batches = Batches()
    bad = {"type": "object", "properties": {"n": {"$ref": "https://example.com/n"}}}

    with pytest.raises(DefinitionError) as of_batch:
        await batches.submit(["go"], output_schema=bad)
    with pytest.raises(InvalidItems) as of_item:
        await batches.submit([{"input": "go"}, {"input": "go", "output_schema": bad}])

    assert of_batch.value.pointer == "/output_schema/properties/n/$ref"
    assert "Line 2: `output_schema/properties/n/$ref`: '$ref'" in of_item.value.message
    assert await batches.store.list("batches/") == []


async def test_a_batch_has_at_most_a_hundred_different_schemas() -> None:
    schemas = [{**FORM, "title": f"Form{n}"} for n in range(100)]
    items = [{"input": "go", "output_schema": each} for each in schemas]
    with pytest.raises(InvalidItems) as caught:
        await Batches().submit(items)
    assert caught.value.problems[0]["code"] == "too_many_variants"


async def test_an_unknown_model_is_refused_before_anything_is_accepted() -> None:
    batches = Batches()

    with pytest.raises(DefinitionError) as caught:
        await batches.submit(["go"], overrides={"model": "none"})

    assert caught.value.pointer == "/overrides/model"
    assert await batches.store.list("batches/") == []


async def test_an_override_of_the_batch_stands_for_models_that_have_no_profile() -> None:
    batches = Batches()
    foreign = {**solo(), "participants": [{"name": "a", "model": "gpt-99"}]}
    asked = BatchRequest.model_validate(
        {"team_spec": foreign, "items": [{"input": "go"}], "overrides": {"model": "m"}}
    )

    batch = (await batches.service.submit(TENANT, asked)).batch

    assert (await batches.finish(batch)).counts.completed == 1


async def test_failed_items_are_listed_and_the_batch_is_completed() -> None:
    batches = Batches({"a": FAILING})
    batch = await batches.submit(["go", "go"])

    ended = await batches.finish(batch)

    assert (ended.status, ended.counts.failed) == ("completed", 2)
    errors = await batches.errors(batch)
    assert [error["index"] for error in errors] == [0, 1]
    assert {error["error"]["code"] for error in errors} == {"model_error"}


async def test_a_cancel_ends_items_in_flight_and_starts_no_more() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 10, max_concurrency=4)
    await batches.driver(batch).step()
    await batches.work(1)

    cancelled = await batches.service.cancel(TENANT, batch.id, reason="enough")
    ended = await batches.finish(batch)

    assert cancelled.status == "cancelling"
    assert (ended.status, ended.stop_reason) == ("cancelled", "enough")
    assert (ended.counts.completed, ended.counts.cancelled, ended.counts.queued) == (1, 9, 0)
    assert (await batches.service.cancel(TENANT, batch.id)).status == "cancelled"
    assert await batches.store.list("batches/") == []


async def test_a_feeder_that_was_paused_starts_nothing_after_a_cancel() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 10, max_concurrency=4)
    slow = batches.feeder("slow").driver(BatchRef(TENANT, batch.id))
    await slow.step()
    await batches.service.cancel(TENANT, batch.id)
    await batches.finish(batch)
    sent = len(batches.cluster.queue.sent)

    assert await slow.step()

    assert len(batches.cluster.queue.sent) == sent


async def test_a_paused_batch_starts_nothing_until_it_is_resumed() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 5, max_concurrency=2)
    await batches.driver(batch).step()
    await batches.service.pause(TENANT, batch.id)

    paused = await batches.finish(batch)
    assert (paused.status, paused.counts.completed, paused.counts.queued) == ("paused", 2, 3)

    await batches.service.resume(TENANT, batch.id)
    assert (await batches.finish(batch)).counts.completed == 5


async def test_a_batch_that_has_ended_takes_no_more_requests() -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"]))

    for request in (batches.service.pause, batches.service.resume, batches.service.cancel):
        with pytest.raises(BatchEnded):
            await request(TENANT, batch.id)


async def test_a_retry_runs_what_has_not_completed_and_replaces_its_results() -> None:
    batches = Batches({"a": FAILING})
    batch = await batches.submit([f"task {n}" for n in range(3)])
    with pytest.raises(BatchNotFinished):
        await batches.service.retry_failed(TENANT, batch.id)
    await batches.finish(batch)
    before = await batches.results(batch)

    repaired = Batches({"a": ["DONE"]}, of=batches)
    retried = await repaired.service.retry_failed(TENANT, batch.id, idempotency_key="k")
    again = await repaired.service.retry_failed(TENANT, batch.id, idempotency_key="k")
    ended = await repaired.finish(batch)

    assert (retried.batch.status, retried.batch.round, again.replayed) == ("in_progress", 2, True)
    assert (ended.status, ended.counts.completed, ended.counts.failed) == ("completed", 3, 0)
    results = await repaired.results(batch)
    assert [result["status"] for result in results] == ["completed"] * 3
    assert {r["run_id"] for r in results}.isdisjoint(r["run_id"] for r in before)
    page = await repaired.service.items(TENANT, batch.id)
    assert [item.run_id for item in page.data] == [result["run_id"] for result in results]


async def test_a_retry_of_some_items_keeps_the_results_of_the_others() -> None:
    batches = Batches({"a": FAILING})
    batch = await batches.submit([f"task {n}" for n in range(6)], max_concurrency=3)
    await batches.driver(batch).step()
    healthy = Batches({"a": ["DONE"]}, of=batches)
    await healthy.work(1)
    await batches.work(2)
    await batches.service.cancel(TENANT, batch.id)
    await batches.finish(batch)

    await healthy.service.retry_failed(TENANT, batch.id)
    ended = await healthy.finish(batch)

    assert (ended.counts.completed, ended.counts.cancelled) == (6, 0)
    assert [result["index"] for result in await healthy.results(batch)] == list(range(6))
    nothing = await healthy.service.retry_failed(TENANT, batch.id)
    assert (nothing.batch.status, nothing.batch.round) == ("completed", 2)


async def test_the_same_key_is_the_same_batch() -> None:
    batches = Batches()
    request = BatchRequest.model_validate({"team": "team", "items": [{"input": "go"}]})
    other = request.model_copy(update={"max_concurrency": 3})

    first = await batches.service.submit(TENANT, request, idempotency_key="k")
    second = await batches.service.submit(TENANT, request, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await batches.service.submit(TENANT, other, idempotency_key="k")

    assert (first.replayed, second.replayed) == (False, True)
    assert first.batch.id == second.batch.id


async def test_a_run_of_a_live_batch_is_not_deleted_and_one_of_an_ended_batch_is() -> None:
    batches = Batches()
    batch = await batches.submit(["go", "go"], max_concurrency=1)
    await batches.driver(batch).step()
    await batches.work()
    [item, _] = (await batches.service.items(TENANT, batch.id)).data
    assert item.run_id is not None

    with pytest.raises(RunInBatch):
        await batches.cluster.service.delete(TENANT, item.run_id)
    await batches.finish(batch)
    await batches.cluster.service.delete(TENANT, item.run_id)

    assert len(await batches.results(batch)) == 2


async def test_forks_and_retries_of_an_item_are_no_items() -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"]))
    [item] = (await batches.service.items(TENANT, batch.id)).data
    run_id = item.run_id or ""

    service = batches.cluster.service
    children = [
        await service.fork(TENANT, run_id, ForkRequest(after_seq=1)),
        await service.retry(TENANT, run_id, RetryRequest()),
    ]

    for child in children:
        state = await batches.cluster.log(RunRef(TENANT, child.run.id)).state()
        assert state is not None and state.spec.batch is None


async def test_an_item_has_a_result_of_its_own_when_it_is_asked_for() -> None:
    batches = Batches()
    batch = await batches.finish(await batches.submit(["go"]))
    [item] = (await batches.service.items(TENANT, batch.id)).data

    result = await batches.cluster.service.result(TENANT, item.run_id or "")

    assert (result.status, len(result.messages)) == ("completed", 2)


async def test_items_are_found_by_status_and_by_name() -> None:
    batches = Batches()
    batch = await batches.submit(
        [{"custom_id": f"n{n}", "input": "go"} for n in range(6)], max_concurrency=2
    )
    await batches.driver(batch).step()
    await batches.work(1)

    by_status = {
        status: [
            item.custom_id
            for item in (await batches.service.items(TENANT, batch.id, status=status)).data
        ]
        for status in ("completed", "running", "queued", "failed")
    }
    [named] = (await batches.service.items(TENANT, batch.id, custom_id="n4")).data
    page = await batches.service.items(TENANT, batch.id, limit=4)
    rest = await batches.service.items(TENANT, batch.id, limit=4, after=page.next_cursor)

    assert by_status == {
        "completed": ["n0"],
        "running": ["n1"],
        "queued": ["n2", "n3", "n4", "n5"],
        "failed": [],
    }
    assert (named.index, named.status, named.run_id) == (4, "queued", None)
    assert [item.index for item in (*page.data, *rest.data)] == list(range(6))
    assert not rest.has_more


async def test_a_batch_of_another_tenant_does_not_exist() -> None:
    batches = Batches()
    batch = await batches.submit(["go"])

    for request in (batches.service.get, batches.service.cancel, batches.service.items):
        with pytest.raises(BatchNotFound):
            await request("other", batch.id)


async def test_items_that_wait_for_a_person_leave_their_places_to_others() -> None:
    ask = {"type": "user_proxy_agent", "name": "person"}
    team = solo() | {"participants": [ask, solo()["participants"][0]]}
    batches = Batches(team=team)
    batch = await batches.submit(["go"] * 5, max_concurrency=2)
    await batches.driver(batch).step()
    await batches.work()
    await batches.after_a_lease()

    await batches.driver(batch).attend()
    await batches.driver(batch).step()

    assert (await batches.service.get(TENANT, batch.id)).counts.running == 4


async def test_a_file_is_a_batch_and_may_be_deleted() -> None:
    batches = Batches()
    data = jsonl(*({"custom_id": f"n{n}", "input": "go"} for n in range(1_200)))
    batch = await batches.submit_file(data, max_concurrency=1_000)  # two chunks of the input
    assert batch.input_file_id is not None
    await batches.service.files.delete(TENANT, batch.input_file_id)

    ended = await batches.finish(batch)

    assert ended.counts.completed == 1_200
    assert [r["custom_id"] for r in await batches.results(batch)] == [f"n{n}" for n in range(1_200)]


async def test_a_follower_sees_each_event_once_and_the_end() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 3)
    types: list[str] = []
    counts: list[int] = []

    async with asyncio.timeout(20):
        async for events, now in batches.service.follow(TENANT, batch.id):
            types += [event.type for event in events]
            counts.append(now.counts.completed)
            await batches.finish(batch)

    assert (types[0], types[-1], types.count("batch.completed")) == (
        "batch.started",
        "batch.completed",
        1,
    )
    assert (counts[0], counts[-1]) == (0, 3)


async def test_a_wait_ends_at_a_change_or_at_the_end() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 3)
    soon, later = timedelta(milliseconds=1), timedelta(seconds=20)

    same = await batches.service.wait(TENANT, batch.id, timeout=soon, revision=batch.revision)
    changed, ended, _ = await asyncio.gather(
        batches.service.wait(TENANT, batch.id, timeout=later, revision=batch.revision),
        batches.service.wait(TENANT, batch.id, timeout=later),
        batches.finish(batch),
    )

    assert same.revision == batch.revision < changed.revision
    assert ended.status == "completed"


@pytest.mark.parametrize(
    "request_", [{"completion_window_seconds": 60}, {"limits": {"timeout_seconds": 60}}]
)
async def test_a_batch_that_is_looked_at_late_is_not_stopped_after_its_last_item(
    request_: dict[str, object],
) -> None:
    batches = Batches({"a": ["DONE"] * 3})
    batch = await batches.submit(["x"] * 3, **request_)
    await batches.driver(batch).step()
    await batches.work()
    batches.cluster.clock.shift += timedelta(seconds=61)

    ended = await batches.finish(batch)

    assert (ended.status, ended.stop_code, ended.counts.completed) == ("completed", None, 3)


async def test_inline_items_have_any_text_and_a_megabyte() -> None:
    batches = Batches()
    names = ["ключ", "日本 🚀", "a\nb", "../x", 'q"uote, comma', " ", "n" * 256]
    texts = ["é" * 524_288, "\x00", "", "\ufeff{x}", "a\r\nb", "\u2028", "x"]
    items = [{"custom_id": n, "input": t} for n, t in zip(names, texts, strict=True)]

    batch = await batches.submit(items)
    ended = await batches.finish(batch)

    assert ended.counts.completed == len(items)
    page = await batches.service.items(TENANT, batch.id)
    assert [(item.custom_id, item.input) for item in page.data] == [*zip(names, texts, strict=True)]
    assert [result["custom_id"] for result in await batches.results(batch)] == names
    for index, name in enumerate(names):
        [item] = (await batches.service.items(TENANT, batch.id, custom_id=name)).data
        assert item.index == index


@pytest.mark.parametrize("on_invalid", ["reject", "skip"])
async def test_inline_items_of_one_name_are_refused_or_left_out(on_invalid: str) -> None:
    batches = Batches()
    items = [{"custom_id": name, "input": "go"} for name in ("a", "b", "a")]

    if on_invalid == "reject":
        with pytest.raises(InvalidItems) as caught:
            await batches.submit(items)
        found = caught.value.problems
    else:
        batch = await batches.submit(items, on_invalid=on_invalid)
        found = await batches.errors(batch)
        assert (batch.counts.total, batch.skipped) == (2, 1)

    assert [(each["line"], each["code"]) for each in found] == [(3, "duplicate_custom_id")]
