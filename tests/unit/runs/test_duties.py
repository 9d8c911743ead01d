"""Duties after the end of a run are done before its marker is removed, also after failures."""

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.errors import Unavailable
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.archive import DUTIES
from teamrun.runs.log.keys import open_marker, result_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState
from teamrun.storage.base import ObjectStore


class Failing:
    """A duty that fails once."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def __call__(self, store: ObjectStore, log: RunLog, state: RunState) -> None:
        assert state.end is not None
        self.done.append(state.end.status)
        if len(self.done) == 1:
            raise Unavailable("not now")


async def test_a_duty_that_fails_keeps_the_marker_and_is_done_again() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    failing = Failing()
    engine = cluster.worker(duties=(*DUTIES, failing))

    with pytest.raises(Unavailable):
        await engine.execute(ref)
    marker, result = await cluster.store.get_many([open_marker(ref), result_key(ref)])
    assert marker is not None
    assert result is not None

    assert await engine.execute(ref) is Finish.ENDED
    assert failing.done == ["completed", "completed"]
    assert await cluster.store.get_many([open_marker(ref)]) == [None]
    await engine.close()


async def test_a_cancel_of_a_run_without_a_worker_does_the_duties() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    failing = Failing()
    cluster.service = type(cluster.service)(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        registry=cluster.registry,
        duties=(failing,),
    )
    ref = await cluster.submit()

    run = await cluster.service.cancel(TENANT, ref.run_id)

    assert run.status == "cancelled"
    assert failing.done == ["cancelled"]
    assert await cluster.store.get_many([open_marker(ref)]) != [None]  # the reaper finds it
    await cluster.service.close()
