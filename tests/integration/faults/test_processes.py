"""Workers that are killed, frozen, restarted in turn, or too many."""

import asyncio
from pathlib import Path

import pytest
from tests.support import fault_scenarios as scenarios
from tests.support.audit import violations_of
from tests.support.deployment import TENANT, CountingModel, Deployment, deployed, sometime
from tests.support.figures import Figures

from teamrun.core.refs import RunRef

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LATENCY_S = 0.2


async def test_workers_that_are_killed_again_and_again_lose_nothing(
    tmp_path: Path, figures: Figures
) -> None:
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally = await scenarios.killed(deployment, seconds=6, every_s=2)
        figures.add(tally.line("kill -9 every 2 s"))
        tally.check()
        # One call of each run that was in flight, for each time that it was taken over.
        assert 0 < tally.extra_calls <= tally.claims - tally.runs


async def test_a_rolling_restart_repeats_nothing(tmp_path: Path, figures: Figures) -> None:
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally = await scenarios.rolled(deployment, seconds=8, every_s=2)
        figures.add(tally.line("SIGTERM every 2 s"))
        tally.check()
        assert tally.claims > tally.runs, "no run was handed over"
        assert (tally.extra_calls, tally.unknown) == (0, 0)


async def test_a_worker_that_wakes_up_past_its_leases_writes_nothing(
    tmp_path: Path, figures: Figures
) -> None:
    runs = 12
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally, said = await scenarios.frozen(deployment, runs=runs)
        figures.add(tally.line("zombie"))
        tally.check()
        assert said["engine.fenced"] == runs
        assert tally.claims == 2 * runs
        assert tally.extra_calls <= runs


async def test_a_message_that_went_to_a_frozen_worker_is_sent_again(
    tmp_path: Path, figures: Figures
) -> None:
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally = await scenarios.swallowed(deployment, runs=12)
        figures.add(tally.line("frozen in BRPOP"))
        tally.check()
        assert tally.extra_calls == 0
        assert "reaper.run_resent" in deployment.children[1].actions(), "no message was swallowed"


async def test_eight_workers_without_leases_execute_a_run_once(
    tmp_path: Path, figures: Figures
) -> None:
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally = await scenarios.besieged(deployment, workers=8)
        figures.add(tally.line("eight workers, one run"))
        tally.check()
        assert (tally.claims, tally.extra_calls) == (1, 0)


async def test_a_run_that_crashes_every_worker_fails_and_the_others_continue(
    tmp_path: Path, figures: Figures
) -> None:
    async with CountingModel() as model, deployed(tmp_path, model=model) as deployment:
        guard = asyncio.create_task(always_a_worker(deployment))
        try:
            deadly = await deployment.submit("token-_deadly_", team="cliff")
            other = await deployment.submit("token-other")
            for ref in (deadly, other):
                await sometime(lambda ref=ref: has_ended(deployment, ref), f"{ref} ends")
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)
        run = await deployment.service.get(TENANT, deadly.run_id)
        assert (run.status, run.stop_code) == ("failed", "poison")
        assert violations_of(await deployment.entries(deadly)) == []
        assert model.by_token["token-_deadly_"] == 1
        assert (await deployment.service.get(TENANT, other.run_id)).status == "completed"
        figures.add(f"poison: given up after {run.epoch} workers, another run completed")


async def always_a_worker(deployment: Deployment) -> None:
    """Start a worker wherever the last one has died."""
    while True:
        child = deployment.worker()
        await sometime(lambda child=child: not child.is_alive, "a death", within_s=3600)


async def has_ended(deployment: Deployment, ref: RunRef) -> bool:
    return (await deployment.service.get(TENANT, ref.run_id)).finished_at is not None
