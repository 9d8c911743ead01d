"""The invariants of threads at the end of a schedule, computed from the logs alone."""

from collections.abc import Iterator

from tests.simulation.deployment import Deployment
from tests.simulation.threads import KnownRun, KnownThread, ThreadDesk

from teamrun.json_types import JsonObject

__all__ = ["misled"]


def misled(world: Deployment) -> Iterator[str]:
    """All violations; each thing that is seen at once is a fault of the desk."""
    desk = world.talks
    if desk is None:
        return
    for thread in desk.threads.values():
        yield from _of_order(thread)
    for run_id, run in desk.runs.items():
        if (begin := run.begin) is not None:
            world.stats["continued a thread"] += begin["state"] is not None
            world.stats["took messages over"] += bool(begin["messages"])
            if begin not in _possible(desk, run_id, run):
                yield f"T3 {run_id} continued from {_shown(begin)}"


def _of_order(thread: KnownThread) -> Iterator[str]:
    """Who was acknowledged before another one was submitted comes before that one."""
    order = thread.order()
    for since, _, run_id in thread.acknowledged:
        for _, at, earlier in thread.acknowledged:
            if at < since and order.index(earlier) > order.index(run_id):
                yield f"T2 {earlier} was acknowledged before {run_id} was submitted, and is later"


def _possible(desk: ThreadDesk, run_id: str, run: KnownRun) -> list[JsonObject]:
    """From what a run may continue: the thread may have grown while that was read."""
    lengths = range(run.length_at_turn, run.length_at_read + 1)
    return [_before(desk, run_id, run.thread, length) for length in lengths]


def _before(desk: ThreadDesk, run_id: str, thread: KnownThread, length: int) -> JsonObject:
    joined = thread.joined(length)
    dropped = {busy for each in joined if each.on_busy == "rollback" for busy in each.busy}
    interrupted = {busy for each in joined if each.on_busy == "interrupt" for busy in each.busy}
    order = [each.run_id for each in joined]
    for earlier in reversed(order[: order.index(run_id)]):
        run = desk.runs[earlier]
        if earlier in dropped:
            continue
        if run.end.state is not None:
            return {"state": run.end.state, "messages": []}
        if earlier in interrupted and (begin := run.begin) is not None:
            own = run.said()
            taken = [each for each in begin["messages"] if each["id"] not in own]
            return {"state": begin["state"], "messages": [*taken, *own.values()]}
    return {"state": None, "messages": []}


def _shown(begin: JsonObject) -> str:
    return f"a state of {len(str(begin['state']))} and {len(begin['messages'])} messages"
