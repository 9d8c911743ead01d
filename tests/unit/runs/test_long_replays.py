"""A long log is replayed in pieces: other runs of the worker continue in between."""

import asyncio

from tests.support.runs import Cluster, duo

from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.replay import replay

TURNS = 400


async def test_other_tasks_continue_while_a_long_log_is_replayed() -> None:
    script = {name: [str(n) for n in range(TURNS // 2)] for name in "ab"}
    cluster = Cluster(script, team=duo(TURNS))
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    state = await cluster.log(ref).state()
    assert state is not None and state.entries > TURNS
    turns_of_others = 0

    async def others() -> None:
        nonlocal turns_of_others
        while True:
            turns_of_others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    code = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), code, cluster.clock) is None
    task.cancel()

    assert turns_of_others >= TURNS // 50
