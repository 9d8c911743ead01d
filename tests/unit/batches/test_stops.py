"""What stops a batch: its limits, failures, and its window of time."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.support.batches import Batches
from tests.support.runs import TENANT

from teamrun.batches.spec import BatchLimits
from teamrun.errors import DefinitionError

PRICED = {"content": "DONE", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
FAILING = {"error": {"message": "bad request"}}


@dataclass(frozen=True)
class Case:
    id: str
    request: dict[str, Any]
    stop_code: str | None
    ended: int
    """How many items end, of twelve; two are in flight at once."""
    script: list[Any] = field(default_factory=lambda: [PRICED])
    status: str = "failed"


CASES = [
    Case("tokens", {"limits": {"max_tokens": 60}}, "max_tokens", 4),
    Case("tokens that suffice", {"limits": {"max_tokens": 10_000}}, None, 12, status="completed"),
    Case("first failure", {"on_item_failure": "stop"}, "item_failed", 2, [FAILING]),
    Case(
        "failure rate",
        {"max_failure_rate": 0.5, "min_sample": 4},
        "too_many_failures",
        4,
        [FAILING],
    ),
    Case(
        "a sample that is too small",
        {"max_failure_rate": 0.5, "min_sample": 13},
        None,
        12,
        [FAILING],
        status="completed",
    ),
    Case("no failures", {"max_failure_rate": 0.0, "min_sample": 1}, None, 12, status="completed"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_batch_stops_when_it_should(case: Case) -> None:
    batches = Batches({"a": case.script})
    batch = await batches.submit(["go"] * 12, max_concurrency=2, **case.request)

    ended = await batches.finish(batch)

    assert (ended.status, ended.stop_code) == (case.status, case.stop_code)
    assert ended.counts.completed + ended.counts.failed == case.ended
    assert ended.counts.cancelled == 12 - case.ended
    assert ended.counts.queued == ended.counts.running == 0


async def test_a_stopped_batch_waits_for_the_items_in_flight() -> None:
    batches = Batches({"a": [PRICED]})
    batch = await batches.submit(["go"] * 6, max_concurrency=3, limits={"max_tokens": 1})
    await batches.driver(batch).step()
    await batches.work(1)
    await batches.driver(batch).step()

    stopping = await batches.service.get(TENANT, batch.id)
    ended = await batches.finish(batch)

    assert (stopping.status, stopping.counts.running) == ("finalizing", 2)
    assert (ended.counts.completed, ended.counts.cancelled) == (3, 3)


async def test_the_time_of_a_batch_is_over() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 4, max_concurrency=2, limits={"timeout_seconds": 60})
    await batches.driver(batch).step()
    batches.cluster.clock.shift += timedelta(seconds=61)

    ended = await batches.finish(batch)

    assert (ended.status, ended.stop_code) == ("failed", "timeout")
    assert (ended.counts.completed, ended.counts.cancelled) == (2, 2)


async def test_a_window_of_completion_cancels_what_is_in_flight() -> None:
    batches = Batches()
    batch = await batches.submit(["go"] * 4, max_concurrency=2, completion_window_seconds=60)
    await batches.driver(batch).step()
    batches.cluster.clock.shift += timedelta(seconds=61)

    await batches.driver(batch).step()
    ended = await batches.finish(batch)

    assert (ended.status, ended.stop_code) == ("failed", "completion_window")
    assert (ended.counts.completed, ended.counts.cancelled) == (0, 4)


async def test_a_stopped_batch_is_continued_by_a_retry() -> None:
    batches = Batches({"a": [FAILING]})
    batch = await batches.submit(["go"] * 6, max_concurrency=2, on_item_failure="stop")
    await batches.finish(batch)
    healthy = Batches(of=batches)

    await healthy.service.retry_failed(TENANT, batch.id)
    ended = await healthy.finish(batch)

    assert (ended.status, ended.stop_code, ended.counts.completed) == ("completed", None, 6)


async def test_a_batch_at_its_limit_continues_with_a_higher_one() -> None:
    batches = Batches({"a": [PRICED]})
    batch = await batches.submit(
        ["go"] * 6, max_concurrency=2, limits={"max_tokens": 30, "max_cost_usd": "9"}
    )
    await batches.finish(batch)
    higher = BatchLimits(max_tokens=1_000)

    retried = await batches.service.retry_failed(TENANT, batch.id, limits=higher)
    ended = await batches.finish(batch)

    assert retried.batch.limits.max_tokens == 1_000
    assert retried.batch.limits.max_cost_usd == 9
    assert (ended.status, ended.stop_code, ended.counts.completed) == ("completed", None, 6)


async def test_a_limit_is_removed_by_a_retry() -> None:
    batches = Batches({"a": [PRICED]})
    batch = await batches.submit(["go"] * 6, max_concurrency=2, limits={"max_tokens": 30})
    await batches.finish(batch)

    await batches.service.retry_failed(TENANT, batch.id, limits=BatchLimits(max_tokens=None))
    ended = await batches.finish(batch)

    assert (ended.status, ended.limits.max_tokens) == ("completed", None)


@pytest.mark.parametrize("limits", [None, BatchLimits(max_tokens=30)])
async def test_a_retry_that_would_end_at_once_is_refused(limits: BatchLimits | None) -> None:
    batches = Batches({"a": [PRICED]})
    batch = await batches.submit(["go"] * 6, max_concurrency=2, limits={"max_tokens": 30})
    before = await batches.finish(batch)

    with pytest.raises(DefinitionError) as caught:
        await batches.service.retry_failed(TENANT, batch.id, limits=limits)

    assert (caught.value.code, caught.value.pointer) == ("limit_reached", "/limits/max_tokens")
    assert (await batches.service.get(TENANT, batch.id)).revision == before.revision


@pytest.mark.parametrize("stops", [True, False])
async def test_results_and_errors_name_every_item(stops: bool) -> None:
    batches = Batches({"a": [PRICED]})
    items = [{"custom_id": f"i{n}", "input": "go", "metadata": {"n": str(n)}} for n in range(12)]
    batch = await batches.submit(
        items, max_concurrency=2, limits={"max_tokens": 30 if stops else 999}
    )
    await batches.driver(batch).step()
    running = await batches.errors(batch)
    ended = await batches.finish(batch)

    errors, results = await batches.errors(batch), await batches.results(batch)

    assert running == []
    assert len(results) == ended.counts.completed == (2 if stops else 12)
    assert [each["index"] for each in errors] == list(range(len(results), 12))
    for each in errors:
        assert (each["status"], each["run_id"], each["stop_code"]) == (
            "cancelled",
            None,
            "max_tokens",
        )
        assert each["metadata"] == {"n": each["custom_id"][1:]}


async def test_costs_are_counted_and_expected() -> None:
    batches = Batches({"a": [PRICED]})
    batch = await batches.submit(["go"] * 10, max_concurrency=5)
    await batches.driver(batch).step()
    await batches.work()

    half = await batches.service.get(TENANT, batch.id)

    assert (half.usage.input_tokens, half.usage.output_tokens) == (50, 25)
    assert half.usage.cost_usd is None and half.expected_cost_usd is None
    assert half.seconds_left is not None and half.seconds_left >= 0
