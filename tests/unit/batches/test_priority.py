"""The model calls of batch items come after those of other runs."""

from typing import Any

import pytest
from tests.support.batches import Batches
from tests.support.runs import solo

from teamrun.components.registry import Registry
from teamrun.core.call import current_call
from teamrun.messages.llm import CreateResult
from teamrun.models import ModelWrapper
from teamrun.testing import ScriptedModel


class Noting(ModelWrapper):
    """Notes whether each call is one of a batch item."""

    def __init__(self) -> None:
        super().__init__(ScriptedModel(["DONE", "DONE"]))
        self.noted: list[bool] = []

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        call = current_call.get()
        assert call is not None
        self.noted.append(call.is_batch)
        return await super().create(*args, **options)


@pytest.mark.parametrize(("priority", "is_batch"), [("batch", True), ("interactive", False)])
async def test_a_call_knows_whether_it_can_wait_for_others(priority: str, is_batch: bool) -> None:
    batches, model = Batches(), Noting()
    registry = Registry.of(teams={"team": solo()}, models={"m": model})
    worker = batches.cluster.worker(registry=registry, duties=batches.duties)
    batch = await batches.submit(["item"], priority=priority)
    await batches.driver(batch).step()

    await worker.execute(batches.cluster.queue.waiting.popleft())
    await worker.execute(await batches.cluster.submit())
    await worker.close()

    assert model.noted == [is_batch, False]
