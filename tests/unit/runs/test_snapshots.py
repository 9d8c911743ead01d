"""Long runs continue from a snapshot in the same way as from their whole log."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from tests.support.examples import seeds
from tests.support.random_teams import TIME, TOOLS, Counter, Grower
from tests.support.runs import TENANT, Cluster, ShiftedClock, duo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFound, StorageError
from teamrun.live.memory import MemoryLive
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine import execution, frozen
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.replay import replay
from teamrun.runs.engine.warm import WarmRuns
from teamrun.runs.log import snapshot
from teamrun.runs.log.entries import Entry, calls_of
from teamrun.runs.log.keys import entry_number, snapshot_key
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.state import RunState, fold
from teamrun.runs.service.requests import Answer
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel


class LogClock(ShiftedClock):
    """Goes on by a second with each entry, so that two executions write the same times."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store

    def now(self) -> datetime:
        entries = getattr(self._store, "written", 0)
        return TIME + timedelta(seconds=entries) + self.shift


class WatchedStore(MemoryStore):
    """Keeps every snapshot with the number of its entries; counts what reads the whole log."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: list[tuple[int, bytes]] = []
        self.read_whole = self.written = 0
        self.fails = False
        self.after_entry: Callable[[], object] = lambda: None

    async def put_new(self, key: str, data: bytes) -> bool:
        is_new = await super().put_new(key, data)
        if is_new and "/log/" in key:
            self.written += 1
            self.after_entry()
        return is_new

    async def put(self, key: str, data: bytes) -> None:
        if key.endswith("snapshot.json"):
            if self.fails:
                raise StorageError("no room", key=key)
            with contextlib.suppress(ValueError):  # a test has damaged it
                self.snapshots.append((snapshot.Snapshot.from_json(data).state.entries, data))
        await super().put(key, data)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.read_whole += prefix.endswith("/log/") and not after and limit == 1000
        return await super().list(prefix, after=after, limit=limit)


def cluster_of(
    team: Mapping[str, Any], script: dict[str, list[Any]], store: MemoryStore
) -> Cluster:
    model = ScriptedModel(script)
    registry = Registry.of(
        teams={"team": team}, models={"m": model}, tools=[*TOOLS], agents={"counter": Counter}
    )
    return Cluster({}, team={}, store=store, model=model, registry=registry, clock=LogClock(store))


async def finish(cluster: Cluster, ref: RunRef) -> None:
    """Execute a run to its end: each time by another worker, which has nothing in memory."""
    for n in range(60):
        worker = cluster.worker(f"w{n}", warm=WarmRuns(keep=timedelta()))
        await worker.execute(ref)
        await worker.close()
        run = await cluster.service.get(TENANT, ref.run_id)
        if run.finished_at is not None:
            return
        for action in run.required_actions:
            await cluster.service.answer(
                TENANT, ref.run_id, Answer(action_id=action.id, content=f"answer {action.id}")
            )
            message = InputMessage(content=f"besides {action.id}")
            await cluster.service.speak(TENANT, ref.run_id, message)
    raise AssertionError("the run does not end")


def shown(entries: Sequence[Entry]) -> list[Any]:
    """What of a log depends neither on the worker nor on the machine."""
    alike: list[Any] = []
    for entry in entries:
        events = [replace(e, data={**e.data, "duration_ms": 0}) for e in entry.events]
        same = replace(entry, nonce="", writer="", events=events)
        for call in calls_of(same.body):
            call.duration_ms = 0
        if same.body.kind == "claim":
            same = replace(same, body=same.body.model_copy(update={"owner": ""}))
        alike.append(same)
    return alike


async def continued(
    team: Mapping[str, Any],
    script: dict[str, list[Any]],
    stored: Mapping[str, bytes],
    ref: RunRef,
    *,
    entries: int,
    snapshot_data: bytes | None,
) -> tuple[list[Any], WatchedStore]:
    """The whole log, if a worker continues from the first `entries` entries."""
    store = WatchedStore()
    for key, data in stored.items():
        n = entry_number(ref, key)
        is_later = n is not None and n >= entries
        if not is_later and not key.endswith((".jsonl", "result.json", "snapshot.json")):
            await store.put_new(key, data)
    await store.put_new(f"open/0/{ref}", b"")
    if snapshot_data is not None:
        await store.put(snapshot_key(ref), snapshot_data)
    cluster = cluster_of(team, script, store)
    log = cluster.log(ref)
    state = log.folded(await log.read())
    assert state is not None
    store.read_whole = 0
    # The owner itself may go on at once; another worker would wait for its lease to end.
    worker = cluster.worker(state.owner or "w0", warm=WarmRuns(keep=timedelta()))
    await worker.execute(ref)
    await worker.close()
    read_whole = store.read_whole
    await finish(cluster, ref)
    whole = await cluster.entries(ref)
    reader = RunReader(store=store, live=MemoryLive(), clock=cluster.clock)
    assert await reader.state(ref) == fold(whole)
    store.read_whole = read_whole
    await cluster.close()
    return shown(whole), store


@pytest.fixture(autouse=True)
def short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "SHORT", 1)
    monkeypatch.setattr(execution, "SHORT", 1)


async def everything(store: MemoryStore) -> dict[str, bytes]:
    return {key: await store.get(key) for key in await store.list("t/", limit=100_000)}


async def compare(seed: int) -> None:
    """Continue a random run from its snapshots, and from its whole log."""
    grower = Grower(seed)
    team, script, rng = grower.team(), grower.script, grower.rng
    store = WatchedStore()
    cluster = cluster_of(team, script, store)
    limits = rng.choice([{}, {"max_turns": rng.randint(1, 5)}])
    ref = await cluster.submit(limits=limits)
    await finish(cluster, ref)
    log = await cluster.entries(ref)
    await cluster.close()
    stored = await everything(store)
    for entries, data in rng.sample(store.snapshots, min(4, len(store.snapshots))):
        for stop in {entries, min(entries + rng.randint(1, 6), len(log) - 1)}:
            case = {"entries": stop}
            whole, _ = await continued(team, script, stored, ref, **case, snapshot_data=None)
            taken, other = await continued(team, script, stored, ref, **case, snapshot_data=data)
            assert taken == whole
            assert other.read_whole == 0, "the snapshot was used"


@pytest.mark.parametrize("seed", seeds(40))
async def test_a_run_continues_from_a_snapshot_as_from_its_whole_log(seed: int) -> None:
    await compare(seed)


FORGOTTEN: dict[str, Any] = {
    "emitted": 0,
    "ids": 0,
    "time": TIME,
    "positions": {},
    "tool_states": {},
    "unread": [],
    "turn": 0,
    "latest": None,
}
NOTICED_BY = {"time": 11, "tool_states": 4, "unread": 11}
"""Seeds that are tried first, as few others notice it."""


@pytest.mark.parametrize("field", FORGOTTEN)
async def test_a_snapshot_without_one_of_its_fields_is_noticed(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the comparison of random runs is worth."""
    codes = frozen._CODES  # pyright: ignore[reportPrivateUsage]

    class Forgetful:
        def validate_json(self, data: bytes) -> Any:
            return codes.validate_json(data)._replace(**{field: FORGOTTEN[field]})

    monkeypatch.setattr(frozen, "_CODES", Forgetful())
    with pytest.raises(AssertionError):
        for seed in (NOTICED_BY.get(field, 0), *range(40)):
            await compare(seed)


async def test_a_snapshot_of_the_wrong_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[bytes] = []

    def of_the_place_before(state: RunState, code: bytes) -> snapshot.Snapshot:
        codes.append(code)
        return snapshot.Snapshot(state, codes[-2:][0])

    monkeypatch.setattr(execution, "Snapshot", of_the_place_before)
    with pytest.raises(AssertionError):
        for seed in range(40):
            codes.clear()
            await compare(seed)


class TroubledGrower(Grower):
    """Its models fail now and then, and use an id again for calls, also of unknown tools."""

    def _answer(self, *, has_tools: bool) -> Any:
        rng = self.rng
        kind = rng.random()
        if kind < 0.08:
            return {"error": {"message": "busy", "status_code": 503, "retryable": True}}
        if has_tools and kind < 0.4:
            name = rng.choice(["count", "send", "unknown"])
            return {"tool_calls": [{"id": "0", "name": name, "arguments": {"text": "x"}}]}
        return super()._answer(has_tools=has_tools)


async def finish_despite_crashes(cluster: Cluster, ref: RunRef, rng: random.Random) -> None:
    """Execute a run to its end, with a worker that dies just after some of the entries."""
    store = cluster.store
    assert isinstance(store, WatchedStore)
    while fold(await cluster.entries(ref)).finished_at is None:  # type: ignore[union-attr]
        execution = asyncio.create_task(finish(cluster, ref))

        def may_die(task: asyncio.Task[None] = execution) -> None:
            if rng.random() < 0.2:
                task.cancel()

        store.after_entry = may_die
        with contextlib.suppress(asyncio.CancelledError):
            await execution
        store.after_entry = lambda: None


@pytest.mark.parametrize("seed", seeds(80))
async def test_the_log_of_a_run_that_continued_from_snapshots_can_be_replayed(seed: int) -> None:
    grower = TroubledGrower(seed)
    team, store = grower.team(), WatchedStore()
    cluster = cluster_of(team, grower.script, store)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    await finish_despite_crashes(cluster, ref, grower.rng)
    state = fold(await cluster.entries(ref))
    assert state is not None
    program = team_program(cluster.registry)(state.spec)
    assert await replay(cluster.log(ref), program, cluster.clock) is None


async def test_a_run_of_few_entries_has_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    store = WatchedStore()
    cluster = Cluster({"a": ["x"] * 60, "b": ["y"] * 60}, team=duo(55), store=store)
    for turns, snapshots in ((55, 0), (100, 1)):
        ref = await cluster.submit(overrides={"max_turns": turns})
        worker = cluster.worker()
        await worker.execute(ref)
        await worker.close()
        assert len(store.snapshots) == snapshots


def _sealed(damage: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The damage to the content, with the digest that fits."""

    def sealed(data: bytes) -> bytes:
        content = damage(data.partition(b"\n")[2])
        return sha256(content).hexdigest().encode() + b"\n" + content

    return sealed


def _other_release(content: bytes) -> bytes:
    return content.replace(b'"behaviour":', b'"behaviour":1', 1)


def _other_run(content: bytes) -> bytes:
    head, code, state = content.split(b"\n")
    return b"\n".join((head, code, state.replace(b'"run_id":"run_', b'"run_id":"run_0', 1)))


def _no_code(content: bytes) -> bytes:
    head, _, state = content.split(b"\n")
    return b"\n".join((head, b"{}", state))


def _other_team(content: bytes) -> bytes:
    return content.replace(b'"agent_states":{"a"', b'"agent_states":{"z"')


def _other_epoch(content: bytes) -> bytes:
    return content.replace(b'"epoch":1', b'"epoch":7')


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "no JSON": lambda data: b"\x00\n\xff\n{",
    "other digit": lambda data: data.replace(b'"model_calls":2', b'"model_calls":3'),
    "other release": _sealed(_other_release),
    "other run": _sealed(_other_run),
    "other log": _sealed(_other_epoch),
    "no code": _sealed(_no_code),
    "team that does not fit": _sealed(_other_team),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_with_a_snapshot_that_cannot_be_used_the_whole_log_is_read(damage: str) -> None:
    store = WatchedStore()
    team, script = duo(6), {"a": ["1", "3", "5"], "b": ["2", "4", "6"]}
    cluster = cluster_of(team, script, store)
    ref = await cluster.submit()
    await finish(cluster, ref)
    stored = await everything(store)
    entries, data = store.snapshots[1]
    whole, _ = await continued(team, script, stored, ref, entries=entries, snapshot_data=None)
    spoiled = DAMAGES[damage](data)
    assert spoiled != data
    store = WatchedStore()
    taken, other = await continued(
        team, script, stored, ref, entries=entries, snapshot_data=spoiled
    )
    assert taken == whole
    assert other.read_whole == 1


async def test_a_team_of_custom_agents_has_snapshots() -> None:
    """An entry of theirs has several calls: those of the model inside the turn, and the turn."""
    members = [
        {"type": "custom_agent", "name": name, "agent": "counter", "model": "m"} for name in "ab"
    ]
    team = {"type": "round_robin_group_chat", "participants": members, "max_turns": 4}
    store = WatchedStore()
    cluster = cluster_of(team, {"a": ["1", "3"], "b": ["2", "4"]}, store)
    ref = await cluster.submit()
    await finish(cluster, ref)
    assert store.snapshots


async def test_a_run_goes_on_if_its_snapshot_cannot_be_stored() -> None:
    store = WatchedStore()
    store.fails = True
    cluster = Cluster({"a": ["1", "3"], "b": ["2", "4"]}, team=duo(4), store=store)
    ref = await cluster.submit()
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()
    assert store.snapshots == []


async def test_a_log_that_was_restored_from_before_its_snapshot_is_read_whole() -> None:
    store = WatchedStore()
    team, script = duo(6), {"a": ["1", "3", "5"], "b": ["2", "4", "6"]}
    cluster = cluster_of(team, script, store)
    ref = await cluster.submit()
    await finish(cluster, ref)
    stored = await everything(store)
    entries, data = store.snapshots[2]
    for lost in (1, 2):
        case = {"entries": entries - lost}
        whole, _ = await continued(team, script, stored, ref, **case, snapshot_data=None)
        taken, other = await continued(team, script, stored, ref, **case, snapshot_data=data)
        assert taken == whole
        assert other.read_whole == 1


async def test_a_run_that_stays_warm_has_snapshots_for_other_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "SHORT", 10)
    monkeypatch.setattr(execution, "SHORT", 10)
    store = WatchedStore()
    team = {
        "type": "round_robin_group_chat",
        "participants": [
            {"type": "assistant_agent", "name": "a", "model": "m"},
            {"type": "user_proxy_agent", "name": "boss"},
        ],
        "max_turns": 30,
    }
    cluster = cluster_of(team, {"a": [str(n) for n in range(20)]}, store)
    ref, worker = await cluster.submit(), cluster.worker()
    for n in range(8):
        await worker.execute(ref)
        [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
        answer = Answer(action_id=action.id, content=f"answer {n}")
        await cluster.service.answer(TENANT, ref.run_id, answer)
    await worker.close()
    assert [entries for entries, _ in store.snapshots] == [11, 23]
    store.read_whole = 0
    other = cluster.worker("other")
    await other.execute(ref)
    await other.close()
    assert store.read_whole == 0
    assert (await cluster.service.get(TENANT, ref.run_id)).usage.model_calls == 9


async def test_the_snapshot_of_a_deleted_run_is_deleted_and_brings_nothing_back() -> None:
    store = WatchedStore()
    cluster = Cluster({"a": ["1", "3"], "b": ["2", "4"]}, team=duo(4), store=store)
    ref = await cluster.submit()
    await finish(cluster, ref)
    _, data = store.snapshots[-1]
    await cluster.service.delete(TENANT, ref.run_id)
    assert snapshot_key(ref) not in await store.list("t/", limit=1000)
    await store.put(snapshot_key(ref), data)
    with pytest.raises(RunNotFound):
        await cluster.service.get(TENANT, ref.run_id)


class SuspendedOnce:
    """Suspends the process before its first write to a key, until it is released."""

    def __init__(self, store: WatchedStore, name: str, ending: str) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        write = getattr(store, name)

        async def suspended(key: str, data: bytes) -> Any:
            if key.endswith(ending) and not self.reached.is_set():
                self.reached.set()
                await self.released.wait()
            return await write(key, data)

        setattr(store, name, suspended)


async def test_a_worker_that_was_suspended_stores_no_snapshot_of_a_deleted_run() -> None:
    store = WatchedStore()
    cluster = Cluster({"a": ["1", "3"], "b": ["2", "4"]}, team=duo(4), store=store)
    ref = await cluster.submit()
    suspended = SuspendedOnce(store, "put", "snapshot.json")
    execution = asyncio.create_task(cluster.worker("w").execute(ref))
    await suspended.reached.wait()
    await cluster.worker("w").execute(ref)
    await cluster.service.delete(TENANT, ref.run_id)
    suspended.released.set()
    await execution
    assert snapshot_key(ref) not in await store.list("t/", limit=1000)


@pytest.mark.parametrize("n", [1, 2, 4])
async def test_a_worker_that_was_suspended_before_an_entry_leaves_a_deleted_run(n: int) -> None:
    store = WatchedStore()
    cluster = Cluster({"a": ["1", "3"], "b": ["2", "4"]}, team=duo(4), store=store)
    ref = await cluster.submit()
    suspended = SuspendedOnce(store, "put_new", f"/log/{n:06d}.json")
    execution = asyncio.create_task(cluster.worker("w").execute(ref))
    await suspended.reached.wait()
    await cluster.worker("w").execute(ref)
    await cluster.service.delete(TENANT, ref.run_id)
    suspended.released.set()
    assert await execution in (Finish.ENDED, Finish.ABSENT)


async def test_after_a_failure_that_is_retried_the_whole_log_is_read() -> None:
    store = WatchedStore()
    failure = {"error": {"message": "busy", "status_code": 503, "retryable": True}}
    script = {"a": ["1", failure], "b": ["2", "4"]}
    cluster = Cluster(script, team=duo(4), store=store)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    for owner in ("w1", "w2"):
        store.read_whole = 0
        worker = cluster.worker(owner)
        await worker.execute(ref)
        await worker.close()
    assert store.snapshots
    assert store.read_whole == 1
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.attempt) == ("failed", 2)
    types = await cluster.event_types(ref)
    assert types.count("turn.started") == 3
