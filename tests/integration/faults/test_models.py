"""A model server that limits, fails and cuts its answers, under load."""

from pathlib import Path

import pytest
from tests.support import fault_scenarios as scenarios
from tests.support.deployment import CountingModel, IllPlan, deployed
from tests.support.figures import Figures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_every_failed_call_is_made_once_more_and_no_other(
    tmp_path: Path, figures: Figures
) -> None:
    plan = IllPlan()
    async with (
        CountingModel(plan, latency_seconds=0.05) as model,
        deployed(tmp_path, model=model) as deployment,
    ):
        tally = await scenarios.ill_model(deployment, seconds=5)
        figures.add(tally.line("model: 25 % of calls ill"))
        tally.check()
        assert plan.given > 100
        assert tally.extra_calls == plan.given
