"""Runs in process over real parts: a store in memory, an engine, a queue that tests deliver."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from teamrun.components.registry import Registry
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.errors import RunEnded
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive
from teamrun.net.destinations import Destinations
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.archive import DUTIES
from teamrun.runs.log.entries import Claim, Entry
from teamrun.runs.log.log import LogObserver, PreCommit, PreErase, RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.service.acceptance import WebhooksAt
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue, ScriptedModel
from teamrun.threads.service import ThreadService
from teamrun.threads.turns import ThreadTurns
from teamrun.tools.base import Tool

__all__ = ["TENANT", "Cluster", "ShiftedClock", "closing_clusters", "duo", "solo"]

TENANT = "default"

Teams = Mapping[str, Mapping[str, Any]]


def solo(*tools: str, **options: Any) -> dict[str, Any]:
    """A team of one agent `a`, which ends when its message contains DONE."""
    agent = {"type": "assistant_agent", "name": "a", "model": "m", "tools": list(tools), **options}
    return {
        "type": "round_robin_group_chat",
        "participants": [agent],
        "termination": {"type": "text_mention", "text": "DONE", "sources": ["a"]},
    }


def duo(max_turns: int) -> dict[str, Any]:
    """A team of agents `a` and `b`, which take turns."""
    agents = [{"type": "assistant_agent", "name": name, "model": "m"} for name in "ab"]
    return {"type": "round_robin_group_chat", "participants": agents, "max_turns": max_turns}


class ShiftedClock(SystemClock):
    """The real clock, which a test puts forward."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


_blocks: list[list["Cluster"]] = []
"""The clusters that were made inside each block of `closing_clusters` that is open."""


@asynccontextmanager
async def closing_clusters() -> AsyncGenerator[None]:
    """Close the clusters that were made inside the block, also when it fails."""
    _blocks.append([])
    try:
        yield
    finally:
        for cluster in _blocks.pop():
            await cluster.close()


class Cluster:
    """One store, one live state, one queue, and the workers that a test creates."""

    def __init__(
        self,
        script: dict[str, list[Any]],
        *,
        team: Mapping[str, Any],
        tools: list[Tool] | None = None,
        store: ObjectStore | None = None,
        live: Live | None = None,
        model: ScriptedModel | None = None,
        lease: timedelta = timedelta(seconds=60),
        registry: Registry | None = None,
        observe: Sequence[LogObserver] = (),
        clock: ShiftedClock | None = None,
        is_live_shared: bool = True,
        queue: MemoryQueue | None = None,
        pre_commit: Sequence[PreCommit] = (),
        pre_erase: Sequence[PreErase] = (),
        destinations: Destinations | None = None,
        webhooks_at: WebhooksAt | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or ShiftedClock()
        self._is_live_shared = is_live_shared
        self.live = live or MemoryLive(clock=lambda: self.clock.now().timestamp())
        self.queue = queue or MemoryQueue()
        self.lease = lease
        self._observe = observe
        self._pre_commit = pre_commit
        self._pre_erase = pre_erase
        self.model = model or ScriptedModel(script)
        self.registry = registry or Registry.of(
            teams={"team": team}, models={"m": self.model}, tools=tools or []
        )
        live = self.live_of_process()
        self.turns = ThreadTurns(
            store=self.store,
            live=live,
            clock=self.clock,
            dispatcher=self.queue,
            cancel=self._cancel_run,
        )
        self.duties = (self.turns.follow, *DUTIES)
        self.service = RunService(
            store=self.store,
            live=live,
            dispatcher=self.queue,
            registry=self.registry,
            clock=self.clock,
            observers=self._observers(live),
            destinations=destinations,
            webhooks_at=webhooks_at,
            duties=self.duties,
            threads=self.turns,
        )
        self._workers: list[Engine] = []
        self.threads = ThreadService(
            store=self.store, turns=self.turns, read_run=self.service.get, clock=self.clock
        )
        if _blocks:
            _blocks[-1].append(self)

    async def _cancel_run(self, ref: RunRef, reason: str) -> None:
        with contextlib.suppress(RunEnded):
            await self.service.cancel(ref.tenant, ref.run_id, reason=reason)

    def _observers(self, live: Live) -> Observers:
        """Those of one process."""
        return Observers(
            live,
            *self._observe,
            pre_commit=self._pre_commit,
            pre_erase=(self.turns.pre_erase, *self._pre_erase),
        )

    def live_of_process(self) -> Live:
        """The live state of one more process."""
        if self._is_live_shared:
            return self.live
        return MemoryLive(clock=lambda: self.clock.now().timestamp(), is_shared=False)

    async def close(self) -> None:
        """Close the workers and the service; the fixture `clusters_are_closed` calls it."""
        for worker in self._workers:
            await worker.close()
        await self.service.close()

    def worker(
        self, owner: str = "w1", *, registry: Registry | None = None, **options: Any
    ) -> Engine:
        options.setdefault(
            "program",
            team_program(registry or self.registry, threads=self.turns.conversation.before),
        )
        options.setdefault("duties", self.duties)
        options.setdefault("is_turn", self.turns.is_turn)
        live = self.live_of_process()
        engine = Engine(
            store=self.store,
            live=live,
            dispatcher=self.queue,
            owner=owner,
            lease=self.lease,
            clock=self.clock,
            observers=self._observers(live),
            **options,
        )
        self._workers.append(engine)
        return engine

    def reaper(self) -> Reaper:
        live = self.live_of_process()
        return Reaper(
            store=self.store,
            live=live,
            dispatcher=self.queue,
            owner="reaper",
            lease=self.lease,
            clock=self.clock,
            observers=self._observers(live),
            wake=self.turns.wake,
        )

    async def submit(self, task: str = "go", **request: Any) -> RunRef:
        submitted = await self.service.submit(
            TENANT, RunRequest.model_validate({"team": "team", "input": task, **request})
        )
        return RunRef(TENANT, submitted.run.id)

    def log(self, ref: RunRef, writer: str = "test") -> RunLog:
        return RunLog(self.store, ref, writer=writer, clock=self.clock)

    async def entries(self, ref: RunRef) -> list[Entry]:
        return await self.log(ref).read()

    async def claim_and_die(self, ref: RunRef) -> None:
        """Leave the traces of a killed worker: a claim in the log, and a lease that expires."""
        log = self.log(ref, "dead")
        state = await log.state()
        assert state is not None
        await log.append(state, Claim(owner="dead"), [], epoch=state.epoch + 1)
        await self.live.acquire(lease_name(ref), "dead", self.lease)

    async def event_types(self, ref: RunRef) -> list[str]:
        return [event.type for entry in await self.entries(ref) for event in entry.events]

    @asynccontextmanager
    async def working(
        self, ref: RunRef, owner: str = "w1"
    ) -> AsyncGenerator[tuple[Engine, asyncio.Future[Finish]], None]:
        """A worker executes the run in the background; whatever is left is aborted."""
        engine = self.worker(owner)
        task = asyncio.ensure_future(engine.execute(ref))
        try:
            yield engine, task
        finally:
            engine.abort()
            await asyncio.wait([task], timeout=10)
            await engine.close()
