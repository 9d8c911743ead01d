"""A batch through real workers, an API and Valkey, each of them killed on the way."""

from pathlib import Path

import pytest
from tests.support.batch_load import BatchLoad
from tests.support.deployment import deployed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

KILLS = ["worker", "api", "worker", "valkey", "worker"]


async def test_a_batch_is_complete_though_everything_is_killed(tmp_path: Path) -> None:
    async with deployed(tmp_path / "d") as deployment:
        load = BatchLoad(deployment, items=5_000)
        await load.run(kills=[*KILLS], within_s=240)

    assert sum(load.kills.values()) == len(KILLS)
