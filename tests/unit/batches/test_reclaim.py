"""A worker with a stable name takes up the items that its previous process had."""

from datetime import datetime
from functools import partial

from tests.support.batches import TENANT, Batches

from teamrun.batches.in_flight import items_in_flight
from teamrun.batches.resources import Batch
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.runs.engine.reclaim import reclaim
from teamrun.runs.log.entries import Claim
from teamrun.runs.log.log import RunLog


async def claimed(
    batches: Batches, batch: Batch, owner: str, index: int, until: datetime
) -> RunRef:
    item = (await batches.service.items(TENANT, batch.id)).data[index]
    ref = RunRef(TENANT, item.run_id or "")
    log = RunLog(batches.store, ref, writer=owner, clock=batches.cluster.clock)
    state = await log.state()
    assert state is not None
    assert await log.append(state, Claim(owner=owner, until=until), [], epoch=1)
    return ref


async def test_items_of_the_previous_process_are_sent_at_once_and_no_others() -> None:
    batches = Batches()
    batch = await batches.submit(["a", "b", "c"])
    await batches.driver(batch).step()
    cluster, queue = batches.cluster, batches.cluster.queue
    queue.waiting.clear()
    until = cluster.clock.now() + cluster.lease
    ours = await claimed(batches, batch, "one", 1, until)
    await claimed(batches, batch, "two", 2, until)

    count = await reclaim(
        "one",
        store=batches.store,
        live=cluster.live,
        dispatcher=queue,
        further=partial(items_in_flight, batches.store, cluster.clock),
    )

    assert (count, [*queue.waiting]) == (1, [ours])
    assert queue.queues[ours] is Queue.BATCH
