"""A replay of an ended log: no call is made, and the result is the same."""

from typing import NamedTuple

from tests.simulation.job import Forbidden
from tests.simulation.ledger import Drive
from tests.simulation.story import Story
from tests.simulation.team_job import program_of
from tests.simulation.world import VirtualClock

from teamrun.runs.engine.execution import Execution
from teamrun.runs.log.attempts import without_end
from teamrun.runs.log.entries import End, Entry
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import fold
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore

__all__ = ["Again", "disagreements", "last_of", "replayed"]

Thread = list[tuple[object, ...]]


class Again(NamedTuple):
    """A replay of an ended log."""

    end: Entry
    drive: Drive


async def disagreements(story: Story, drives: list[Drive], again: Again | None) -> list[str]:
    """Whoever drove the code saw the beginning of one and the same thread; so does a replay.

    What an owner heard last may not have become durable: it is lost if the owner dies, or if
    another writer was first. It must not have led to a call.

    Args:
        story: The run.
        drives: What drove its code.
        again: Its replay, if code ended it.
    """
    drives = [drive for drive in drives if drive.epoch > story.attempt]
    nothing: Thread = []
    longest = max((drive.thread[: drive.sure] for drive in drives), key=len, default=nothing)
    asked: dict[str, int] = {}
    if again is not None:
        if again.drive.made:
            return [f"a replay made {[call_id for call_id, _ in again.drive.made]}"]
        end = without_end(story.entries).end
        if _shown(again.end) != _shown(end):
            return [f"a replay ended with {_shown(again.end)}, not {_shown(end)}"]
        longest, asked = again.drive.thread, {**again.drive.requests}
    found = [
        f"an execution saw something else: {_difference(drive.thread[: drive.sure], longest)}"
        for drive in drives
        if drive.thread[: drive.sure] != longest[: drive.sure]
    ]
    for drive in drives:
        for call_id, prompt in drive.prompts.items():
            if asked.setdefault(call_id, prompt) != prompt:
                found.append(f"{call_id} was asked in two ways")
    return found


def last_of(story: Story, drives: list[Drive]) -> Drive | None:
    """The drive of the last owner, which has seen everything."""
    return max(reversed(drives), key=lambda drive: drive.epoch, default=None)


class _Nobody:
    def delta(self, data: object) -> None:
        pass

    async def will_wait(self, until: object) -> None:
        pass


async def replayed(story: Story, store: ObjectStore) -> Again:
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
        program=program_of(state.spec, Forbidden(), drive),
        clock=VirtualClock(),
        observer=_Nobody(),
    )
    await execution.run()
    return Again((await log.read())[-1], drive)


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
