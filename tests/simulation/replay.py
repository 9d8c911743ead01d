"""A replay of an ended log: no call is made, and the result is the same."""

import random

from tests.simulation.job import Forbidden, Job, grow
from tests.simulation.ledger import Drive
from tests.simulation.story import Story
from tests.simulation.world import VirtualClock

from teamrun.runs.engine.execution import Execution
from teamrun.runs.log.attempts import without_end
from teamrun.runs.log.entries import End, Entry
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import fold
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore

__all__ = ["disagreements", "last_of"]

Thread = list[tuple[object, ...]]


async def disagreements(story: Story, drives: list[Drive], store: ObjectStore) -> list[str]:
    """Whoever drove the code saw the beginning of one and the same thread; so does a replay.

    What an owner heard last may not have become durable: it is lost if the owner dies, or if
    another writer was first. It must not have led to a call.
    """
    drives = [drive for drive in drives if drive.epoch > story.attempt]
    nothing: Thread = []
    longest = max((drive.thread[: drive.sure] for drive in drives), key=len, default=nothing)
    if story.is_by_code:
        again, drive = await _replayed(story, store)
        if drive.made:
            return [f"a replay made {[call_id for call_id, _ in drive.made]}"]
        end = without_end(story.entries).end
        if _shown(again) != _shown(end):
            return [f"a replay ended with {_shown(again)}, not {_shown(end)}"]
        longest = drive.thread
    return [
        f"an execution saw something else: {_difference(drive.thread[: drive.sure], longest)}"
        for drive in drives
        if drive.thread[: drive.sure] != longest[: drive.sure]
    ]


def last_of(story: Story, drives: list[Drive]) -> Drive | None:
    """The drive of the last owner, which has seen everything."""
    return max(reversed(drives), key=lambda drive: drive.epoch, default=None)


class _Nobody:
    def delta(self, data: object) -> None:
        pass

    async def will_wait(self, until: object) -> None:
        pass


async def _replayed(story: Story, store: ObjectStore) -> tuple[Entry, Drive]:
    """Copy the log without its end, and execute the rest of it."""
    copy, ref, entries = MemoryStore(), story.ref, without_end(story.entries).before
    for key in await store.list("t/", limit=100_000):
        if f"/{ref.run_id}/" in key and not key.endswith(f"/log/{len(story.entries) - 1:06d}.json"):
            await copy.put_new(key, await store.get(key))
    if len(entries) == len(story.entries):  # the end shared its entry with a step
        await copy.put_new(entry_key(ref, entries[-1].n), entries[-1].to_json())
    state = fold(entries)
    assert state is not None
    drive = Drive(ref.run_id, "verifier")
    log = RunLog(copy, ref, writer=drive.worker, clock=VirtualClock())
    execution = Execution(
        log=log,
        entries=entries,
        prefix=story.prefix,
        state=state,
        program=Job(grow(random.Random(str(state.spec.input))), Forbidden(), drive),
        clock=VirtualClock(),
        observer=_Nobody(),
    )
    await execution.run()
    return (await log.read())[-1], drive


def _shown(entry: Entry) -> object:
    if not isinstance(entry.body, End):
        return entry.body.kind
    said = [*entry.events[: entry.body.emitted], entry.events[-1]]  # without the events of calls
    events = [(event.type, event.agent, event.data) for event in said]
    return entry.body.model_dump(), events


def _difference(one: Thread, other: Thread) -> str:
    for n, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return f"at {n}: {left} and {right}"
    return f"{len(one)} and {len(other)} things"
