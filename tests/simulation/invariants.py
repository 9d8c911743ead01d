"""Invariants of every completed schedule: I1 to I13 of `docs/design/simulation.md`."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.simulation.batch_invariants import misdriven
from tests.simulation.deliveries import misdelivered
from tests.simulation.deployment import Deployment
from tests.simulation.ledger import Drive
from tests.simulation.processes import TENANT
from tests.simulation.replay import disagreements, last_of, replayed
from tests.simulation.story import Story
from tests.simulation.team_file import registry
from tests.simulation.thread_invariants import misled
from tests.simulation.world import VirtualClock

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, UnreadableEntry
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.entries import Wait, Yield
from teamrun.runs.log.keys import BATCHES, HOOKS, events_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.prefix import read_prefix
from teamrun.runs.log.state import RunState, fold
from teamrun.runs.service.service import RunService

__all__ = ["violations"]

_FAILURES = frozenset({"poison", "no_progress", "outcome_unknown", "model_error"})
"""Ends that a schedule may well come to; any other failure is the engine's."""


async def violations(world: Deployment) -> list[str]:
    """All violations."""
    ledger, runs = world.ledger, world.runs()
    found = list(ledger.faults)
    lost = sorted(ledger.accepted - set(runs))
    if world.desk is not None:
        kept = {name for name, batch in world.desk.batches.items() if batch.spec is not None}
        lost += sorted(ledger.batches - kept)
    found += [f"I1 {run_id} was acknowledged and is not there" for run_id in lost]
    for key, ids in ledger.by_key.items():
        if len(ids) != 1:
            found.append(f"I9 {key} stands for {sorted(ids)}")
    for run_id in runs:
        found += [f"{each} ({run_id})" for each in await _of_run(world, RunRef(TENANT, run_id))]
    found += misdelivered(world)
    found += await misdriven(world)
    found += misled(world)
    left = [key for place in ("open/", HOOKS, BATCHES) for key in await world.store.list(place)]
    if left and not found:
        found.append(f"markers are left: {left}")
    return found


async def _of_run(world: Deployment, ref: RunRef) -> list[str]:
    log = RunLog(world.store, ref, writer="reader", clock=VirtualClock())
    try:
        entries = await log.read()
        state = fold(entries)
        assert state is not None, "an accepted run has an entry 0"
        story = Story(ref, entries, state, await read_prefix(log, entries))
    except Exception as error:
        return [f"I2 the log cannot be folded: {error!r}"]
    found = story.misshapen()
    if state.end is None:
        return [*found, f"I1 it is {state.status} for ever: {story.told()}"]
    world.stats[story.end.status] += 1
    if story.is_of_team:
        world.stats[f"team {story.state.spec.definition.name}"] += 1
    world.stats["continued warm"] += sum(
        drive.claims > 1 for drive in world.ledger.drives[ref.run_id]
    )
    world.stats["unacknowledged"] += ref.run_id not in world.ledger.accepted
    drives = [drive for drive in world.ledger.drives[ref.run_id] if drive.begun]
    world.stats["continued from a snapshot"] += sum(drive.is_thawed for drive in drives)
    found += _of_end(world, story)
    found += _of_plan(story)
    found += _of_pauses(story)
    again = await replayed(story, world.store) if story.is_by_code else None
    # What a team has heard before a snapshot is known of its replay alone.
    last = again.drive if again and story.is_of_team else last_of(story, drives)
    found += [fault for drive in drives for fault in drive.faults]
    found += _of_words(world, story, last)
    found += _of_calls(story, drives)
    found += _of_beginnings(story, drives)
    found += _of_effects(world, story)
    try:
        found += await _of_reads(world, story)
    except UnreadableEntry as error:
        found.append(f"I2 the log is refused by readers: {error!r}")
    found += await disagreements(story, drives, again)
    return found


def _of_end(world: Deployment, story: Story) -> Iterator[str]:
    end, run_id = story.end, story.ref.run_id
    if run_id in world.ledger.cancelled and end.status != "cancelled":
        yield f"I8 it was cancelled, and ended {end.status}"
    if end.status == "failed" and end.stop_code not in _FAILURES:
        yield f"it failed: {end.stop_code} {end.stop_reason}"
    seen = world.ledger.ended.get(run_id, end.status)
    if seen != end.status:
        yield f"I1 a client saw it {seen}, and it ended {end.status}"


def _of_plan(story: Story) -> Iterator[str]:
    """The request of the submit."""
    spec, state, begun = story.state.spec, story.state, bool(story.claims)
    # A worker may take it up before its time, though only to end it.
    if spec.run_at and state.started_at and state.started_at < spec.run_at and story.recorded:
        yield "it began too early"
    if story.end.status == "expired" and (begun or spec.expires_at is None):
        yield "it expired though it had begun, or might wait for ever"
    if state.attempts > spec.retry.max_attempts:
        yield f"it was tried {state.attempts} times"
    for limit in ("max_model_calls", "max_tool_calls"):
        used, most = getattr(state.usage, limit.removeprefix("max_")), getattr(state.limits, limit)
        if most is not None and used > most:
            yield f"{limit} is {most}, and {used} were made"


def _of_pauses(story: Story) -> Iterator[str]:
    """If a run is shown as paused, its events have said so once."""
    state, told = RunState.initial(story.state.spec, story.entries[0].at), 0
    for entry in story.entries:
        state.apply(entry)
        for event in entry.events:
            if event.type in ("run.paused", "run.resumed"):
                told = told + 1 if event.type == "run.paused" else 0
        if told > 1 or (state.status == "paused" and not told):
            yield f"I10 at entry {entry.n}, {state.status}, run.paused was told {told} times"


def _of_beginnings(story: Story, drives: list[Drive]) -> Iterator[str]:
    """If an owner yields or waits, it has begun the calls that this entry announces.

    It may have said so before, and been stopped or lost while that was written. A call that is
    never made is that of a loser.
    """
    first = dict[str, int]()
    for call_id, epoch in (made for drive in drives for made in drive.made):
        first[call_id] = min(epoch, first.get(call_id, epoch))
    for entry in (entry for entry in story.entries if isinstance(entry.body, Wait | Yield)):
        told = [e.data["call_id"] for e in entry.events if e.type == "model.call.started"]
        late = [call_id for call_id in told if first.get(call_id, 0) > entry.epoch]
        yield from (f"I10 {each} was said to begin in epoch {entry.epoch}" for each in late)


def _of_words(world: Deployment, story: Story, last: Drive | None) -> Iterator[str]:
    """Messages of people that were acknowledged."""
    run_id = story.ref.run_id
    for said in (said for said in world.ledger.answers if said.run_id == run_id):
        if [s.content for s in story.signals if s.action_id == said.what] != [said.text]:
            yield f"the acknowledged answer to {said.what} is not the one in the log"
        elif story.is_by_code and last is not None and said.what not in story.withdrawn:
            heard = last.heard.get(said.what, said.text if said.what not in last.asked else None)
            if heard != said.text:
                yield f"{said.what} was answered {said.text!r}, and the run heard {heard!r}"
    for said in (said for said in world.ledger.messages if said.run_id == run_id):
        if [s.content for s in story.signals].count(said.what) != 1:
            yield "I9 an acknowledged message is not once in the log"
        elif last is not None:
            times = last.messages.count(said.what) + story.end.unread.count(said.what)
            if times > 1 or (story.is_by_code and not times):
                yield f"an acknowledged message was heard or unread {times} times"


def _of_calls(story: Story, drives: list[Drive]) -> Iterator[str]:
    """Nothing is paid again that was on record when an owner began."""
    for drive in drives:
        if drive.epoch not in story.claims.get(drive.worker, ()):
            yield f"I3 {drive.worker} executed without a claim"
        for (call_id, epoch), times in Counter(drive.made).items():
            if times > 1:
                yield f"I6 {call_id} was made {times} times by one owner"
            if story.recorded.get(call_id, epoch) < epoch:
                yield f"I6 {call_id} was on record, and was paid again"


def _of_effects(world: Deployment, story: Story) -> Iterator[str]:
    for (run_id, call_id, effects), times in world.ledger.effects.items():
        if run_id != story.ref.run_id or effects != "write":
            continue
        if times > 1:
            yield f"the effect of {call_id} was made {times} times"
        if call_id not in story.intended:
            yield f"{call_id} had an effect without an intent"
        if call_id not in story.recorded and call_id not in story.end.unknown_outcomes:
            yield f"{call_id} had an effect of which the end tells nothing"


async def _of_reads(world: Deployment, story: Story) -> list[str]:
    """Every way to read returns the same events."""
    service = RunService(
        store=world.store,
        live=MemoryLive(),
        dispatcher=_Nowhere(),
        registry=registry(),
        clock=VirtualClock(),
    )
    page = await service.events(TENANT, story.ref.run_id, limit=10_000)
    told = [event.model_dump_json() for event in page.data]
    found: list[str] = []
    if [event.seq for event in page.data] != [*range(1, len(told) + 1)]:
        found.append("I10 numbers of events have gaps or repeats")
    for seq, text in world.ledger.events[story.ref.run_id].items():
        if seq > len(told) or told[seq - 1] != text:
            found.append(f"I10 a client was told another event {seq}")
    [stored] = await world.store.get_many([events_key(story.ref)])
    lines = (stored or b"").splitlines()
    if len(lines) != len(told):
        found.append(f"I10 {len(told)} events, and {len(lines)} in the file")
    return found


class _Nowhere:
    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        raise DeliveryError("nothing is sent after the end")

    async def close(self) -> None:
        pass
