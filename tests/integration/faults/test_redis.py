"""Redis is flushed, replaced, or does not answer any more: that costs time, and nothing else."""

from pathlib import Path

import pytest
from tests.support import fault_scenarios as scenarios
from tests.support.deployment import CountingModel, Deployment, deployed
from tests.support.figures import Figures
from tests.support.proxies import SilentProxy
from tests.support.services import valkey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LATENCY_S = 0.2


async def test_a_flush_every_second_costs_nothing_but_time(
    tmp_path: Path, figures: Figures
) -> None:
    few_places = {"TEAMRUN_MAX_RUNS": "6"}
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model, environ=few_places) as deployment,
    ):
        tally = await scenarios.flushed(deployment, seconds=8, every_s=1)
        figures.add(tally.line("FLUSHALL every 1 s"))
        tally.check()
        assert tally.extra_calls == 0
        said = [action for worker in deployment.children for action in worker.actions()]
        assert "reaper.run_resent" in said, "no message was lost"


async def test_runs_are_accepted_while_redis_is_away_and_begin_when_it_is_back_empty(
    tmp_path: Path, figures: Figures
) -> None:
    runs = 20
    async with (
        CountingModel(latency_seconds=LATENCY_S) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally, statuses, delay_s = await scenarios.replaced(deployment, away_s=3, runs=runs)
        figures.add(tally.line("Redis replaced"), f"{'':24} all ended {delay_s:.1f} s later")
        tally.check()
        assert statuses == {202: runs}
        assert tally.extra_calls == 0


async def test_a_worker_whose_connections_lead_nowhere_makes_new_ones(
    tmp_path: Path, figures: Figures
) -> None:
    with valkey() as server:
        async with (
            CountingModel(latency_seconds=LATENCY_S) as model,
            SilentProxy(server.socket) as proxy,
            Deployment(tmp_path, server, model, redis_url=proxy.url) as deployment,
        ):
            tally, delay_s = await scenarios.silenced(deployment, proxy, runs=6)
            line = f"{'':24} all ended {delay_s:.1f} s after the cut"
            figures.add(tally.line("half-open sockets"), line)
            tally.check()
