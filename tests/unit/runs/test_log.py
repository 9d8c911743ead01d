import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.teams import RoundRobinDefinition
from teamrun.core.refs import RunRef
from teamrun.errors import Unavailable, UnreadableEntry
from teamrun.runs.log.entries import (
    Accepted,
    CallRecord,
    Claim,
    End,
    Entry,
    LoggedEvent,
    Step,
    read_entry,
)
from teamrun.runs.log.keys import artifact_blob, entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import RunSpec, TeamRef
from teamrun.runs.log.state import RunState, fold
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing.clock import FakeClock
from teamrun.testing.faults import Fault, FaultStore

REF = RunRef("default", "run_1")


def spec() -> RunSpec:
    agent = AssistantDefinition(name="a", model="m")
    return RunSpec(
        tenant="default",
        run_id="run_1",
        team=TeamRef(name="t", digest="d"),
        definition=RoundRobinDefinition(name="t", participants=(agent,)),
        models={},
        tools={},
        input="go",
        seed="00",
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        request_hash="",
    )


def log_of(store: ObjectStore, writer: str = "w", *, patience: timedelta | None = None) -> RunLog:
    return RunLog(store, REF, writer=writer, clock=FakeClock(), patience=patience)


async def begun(log: RunLog, *events: LoggedEvent) -> Entry | None:
    """Entry 0, appended to an empty log."""
    initial = RunState.initial(spec(), spec().created_at)
    return await log.append(initial, Accepted(spec=spec()), [*events], epoch=0)


async def test_an_appended_entry_is_read_back_whole() -> None:
    log = log_of(MemoryStore())
    first = await begun(log, LoggedEvent("run.queued"))
    state = await log.state()
    assert state is not None
    second = await log.append(state, Claim(owner="w"), [], epoch=1)
    assert await log.read() == [first, second]
    assert [(e["kind"], e["n"], e["seq"]) for e in await log.documents_on(0)] == [
        ("accepted", 0, 1),
        ("claim", 1, 2),
    ]


async def test_only_one_of_two_writers_gets_a_number() -> None:
    store = MemoryStore()
    one, two = log_of(store, "one"), log_of(store, "two")
    await begun(one)
    ours, theirs = await one.state(), await two.state()
    assert await one.append(ours, Claim(owner="one"), [], epoch=1) is not None
    assert await two.append(theirs, Claim(owner="two"), [], epoch=1) is None
    assert (ours and ours.owner, theirs and theirs.owner) == ("one", None)
    assert [entry.writer for entry in await one.read()] == ["one", "one"]


async def test_a_success_whose_reply_was_lost_is_known_by_its_nonce() -> None:
    store = FaultStore(MemoryStore())
    fault = store.plan(Fault(outcome="reply_lost", method="put_new", key="*/log/*"))
    log = log_of(store)
    assert await begun(log) is not None
    assert fault.hits == 1
    assert len(await log.read()) == 1


async def test_a_patient_log_continues_until_storage_is_back() -> None:
    store = FaultStore(MemoryStore())
    store.plan(Fault(outcome="unavailable", method="put_new", times=20))
    assert await begun(log_of(store)) is not None


async def test_an_impatient_log_reports_that_storage_does_not_respond() -> None:
    store = FaultStore(MemoryStore())
    store.plan(Fault(outcome="unavailable", method="put_new", times=None))
    log = log_of(store, patience=timedelta(seconds=1))
    with pytest.raises(Unavailable):
        await begun(log)


async def test_a_large_entry_lies_in_a_blob() -> None:
    store = MemoryStore()
    log = log_of(store)
    big = LoggedEvent("message.created", "a", {"message": "x" * 100_000})
    entry = await begun(log, big)
    stub = await store.get(entry_key(REF, 0))
    assert len(stub) < 200
    assert await log.read() == [entry]
    assert await log.read_next(0) == entry


class CountingStore(MemoryStore):
    """Counts the requests that wait for one another: each costs the store's whole latency."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = self.reads = 0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.reads += 1
        return await super().get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.lists += 1
        return await super().list(prefix, after=after, limit=limit)


@pytest.mark.parametrize(
    ("start", "reads"),
    [pytest.param(500, 1, id="none"), (499, 2), (300, 6), pytest.param(1, 11, id="all")],
)
async def test_new_entries_of_a_log_are_read_in_few_steps_without_a_list(
    start: int, reads: int
) -> None:
    store = CountingStore()
    log = log_of(store)
    assert await begun(log)
    state = await log.state()
    assert state is not None
    entries: list[Entry] = []
    for _ in range(499):
        entry = await log.append(state, Claim(owner="w"), [], epoch=1)
        assert entry is not None
        entries.append(entry)
    store.lists = store.reads = 0
    assert await log.read_on(start) == entries[start - 1 :]
    assert store.lists == 0
    assert store.reads == reads
    assert [each["n"] for each in await log.documents_on(start)] == [*range(start, 500)]


async def test_time_in_a_log_never_goes_back() -> None:
    store = MemoryStore()
    ahead = FakeClock(datetime(2031, 1, 1, tzinfo=UTC))
    await begun(RunLog(store, REF, writer="a", clock=ahead))
    behind = log_of(store)
    entry = await behind.append(await behind.state(), Claim(owner="b"), [], epoch=1)
    assert entry is not None
    assert entry.at == datetime(2031, 1, 1, tzinfo=UTC)


async def test_an_entry_of_a_newer_format_is_not_read() -> None:
    store = MemoryStore()
    await store.put_new(entry_key(REF, 0), b'{"v": 2, "n": 0, "kind": "accepted"}')
    with pytest.raises(UnreadableEntry):
        await log_of(store).read()


async def test_a_log_with_a_hole_is_not_read() -> None:
    store = MemoryStore()
    log = log_of(store)
    entry = await begun(log)
    assert entry is not None
    await store.put_new(entry_key(REF, 2), b"{}")
    with pytest.raises(UnreadableEntry):
        await log.read()


async def test_nothing_follows_the_end() -> None:
    log = log_of(MemoryStore())
    await begun(log)
    await log.append(await log.state(), End(status="cancelled"), [], epoch=0)
    entries = await log.read()
    late = replace(entries[1], n=2, body=Step())
    with pytest.raises(ValueError):
        fold([*entries, late])


async def test_blobs_lie_beside_the_log() -> None:
    store = MemoryStore()
    log = log_of(store)
    digest = await log.put_blob(b"content")
    assert await log.put_blob(b"content") == digest
    assert await log.get_blob(digest) == b"content"
    assert await store.list("") == [artifact_blob(REF, digest)]


@pytest.mark.parametrize("form", [Step, partial(End, status="completed")], ids=["step", "end"])
def test_the_digest_of_arguments_is_stored_under_the_name_that_every_release_reads(
    form: Callable[..., Step | End],
) -> None:
    """Releases that share a store during an upgrade identify a call with side effects by it."""
    call = CallRecord(call_id="t/a/tool:0", kind="tool", name="send", arguments_digest="d")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    entry = Entry(n=1, epoch=1, writer="w", nonce="n", at=now, seq=1, body=form(calls=[call]))

    stored = json.loads(entry.to_json())["body"]["calls"][0]

    assert stored["intent"] == "d"
    assert read_entry(entry.to_json()) == entry
    assert entry.mended() == entry
