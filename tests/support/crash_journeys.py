"""Journeys of a run during which a process is killed, each with its checks afterwards.

A case names a journey, the process that dies, and the point. The killed process is replaced by a
fresh one at once; a client whose connection broke repeats its request with its Idempotency-Key.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any, Literal

from tests.support.audit import claims_of, model_calls_of, violations_of
from tests.support.children import Child
from tests.support.crash_points import Crash
from tests.support.deployment import TENANT, CountingModel, Deployment, deployed, sometime

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import NotFound, RunEnded
from teamrun.redis.pipe import RedisPipe
from teamrun.runs.log.entries import Entry, Wait
from teamrun.runs.log.keys import due_folder, list_folder, result_key
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run

__all__ = ["Case", "Journey", "Outcome", "Process", "travel"]

Journey = Literal[
    "question",
    "cancelled_queued",
    "cancelled_running",
    "handed_over",
    "unheard",
    "asked",
    "scheduled",
    "retried",
    "unhurried",
    "raced",
    "joined",
    "joined_elsewhere",
    "nested",
]
Process = Literal["api", "worker"]


DELAY_S = 1.0
_SLOW = ("handed_over", "asked", "unhurried", "joined_elsewhere")
_TEAMS = {
    "retried": "shop",
    "raced": "race",
    "joined": "fork",
    "joined_elsewhere": "fork",
    "nested": "branch",
}
"""The teams of journeys that are not the desk's."""


@dataclass(frozen=True)
class Case:
    """One death."""

    journey: Journey
    process: Process
    point: str = ""
    """Without one no process dies, except in the journey `asked`."""
    nth: int = 1

    @property
    def id(self) -> str:
        words = [self.journey, self.process, self.point, str(self.nth)]
        return "-".join(words).replace(" ", "_")


@dataclass
class Outcome:
    """The result of a journey."""

    case: Case
    was_killed: bool = False
    status: str = "lost"
    violations: list[str] = field(default_factory=list[str])
    claims: int = 0
    extra_calls: int = 0
    """Calls of the model that were begun and are not in the log."""
    lines: int = 0
    """In the ledger."""
    unknown: int = 0
    """Effects that the run reports as unknown."""
    runs: int = 0
    """The number of runs of the tenant: the client submitted one."""
    recovery_s: float = 0.0
    """From the death to a run that is ended, and its result there."""
    tracebacks: int = 0
    """In the logs of all processes."""
    passed: list[str] = field(default_factory=list[str])
    """The points that were passed until the death, or to the end if no process died."""


async def travel(case: Case, folder: Path, model: CountingModel) -> Outcome:
    """Go the whole way of a case."""
    outcome = Outcome(case)
    async with deployed(folder, model=model) as deployment:
        traveller = _Traveller(case, deployment)
        guard = asyncio.create_task(traveller.replace_the_dead())
        try:
            ref = await _JOURNEYS[case.journey](traveller)
            await sometime(lambda: traveller.is_over(ref), f"{case.id} is over", within_s=30)
            over = time()
            if case.point or case.journey == "asked":
                # It may come after everything has been done.
                outcome.was_killed = await _within(2, lambda: traveller.has_died)
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)
        await traveller.report(ref, outcome)
        outcome.recovery_s = max(over - traveller.died_at, 0) if outcome.was_killed else 0
    return outcome


async def _within(seconds: float, probe: Callable[[], bool]) -> bool:
    with contextlib.suppress(AssertionError):
        await sometime(probe, "", within_s=seconds)
    return probe()


class _Traveller:
    """A client, and the operator who replaces dead processes."""

    def __init__(self, case: Case, deployment: Deployment) -> None:
        self.case = case
        self.deployment = deployment
        slow = "slow_" if case.journey in _SLOW else ""
        slow += "endless_" if case.journey == "cancelled_running" else ""
        slow += "ill_" if case.journey == "retried" else ""
        self.token = f"token-_{slow}{re.sub('[^a-z0-9]', '_', case.id)}"
        self.mortal: Child | None = None
        self._crash = Crash(case.point, case.nth) if case.point else None

    # Processes

    def worker(self) -> Child:
        """Start a worker; it is the process that dies, if the journey kills a worker."""
        if self.case.process != "worker":
            return self.deployment.worker()
        self.mortal = self.deployment.worker(self._crash, noted=True)
        return self.mortal

    def api(self) -> None:
        """Start an API, if the journey kills one; otherwise requests are made without HTTP."""
        if self.case.process == "api":
            self.mortal = self.deployment.api(self._crash, noted=True)

    async def replace_the_dead(self) -> None:
        """Start a fresh process for the one that has died."""
        await sometime(lambda: self.has_died, "a death", within_s=3600, every_s=0.02)
        if self.case.process == "api":
            self.deployment.api()
        else:
            self.deployment.worker()

    @property
    def has_died(self) -> bool:
        return self.mortal is not None and self.mortal.process.exitcode == -9

    @property
    def died_at(self) -> float:
        return float(self._passings()[-1][0])

    def _passings(self) -> list[list[str]]:
        notes = self.deployment.notes
        text = notes.read_text(encoding="utf-8") if notes.exists() else ""
        return [line.split(" ", 2) for line in text.splitlines()]

    # Requests, repeated until they are answered

    async def submit(self) -> RunRef:
        team, options = _TEAMS.get(self.case.journey, "desk"), dict[str, Any]()
        if self.case.journey == "scheduled":
            options["delay_seconds"] = DELAY_S
        if self.case.journey == "retried":
            options["retry"] = {"max_attempts": 2, "backoff_seconds": DELAY_S}
        if self.case.process != "api":
            return await self.deployment.submit(self.token, team=team, **options)
        body = {"team": team, "input": f"Please book {self.token}."}
        run = await self._post("/v1/runs", {**body, **options})
        return RunRef(TENANT, run["id"])

    async def cancel(self, ref: RunRef) -> None:
        if self.case.process == "api":
            await self._post(f"/v1/runs/{ref.run_id}/cancel", {})
            return
        with contextlib.suppress(RunEnded):
            await self.deployment.service.cancel(TENANT, ref.run_id)

    async def answer(self, ref: RunRef) -> None:
        run = await self.deployment.service.get(TENANT, ref.run_id)
        answer = Answer(action_id=run.required_actions[0].id, content="go on, please")
        if self.case.process == "api":
            await self._post(f"/v1/runs/{ref.run_id}/input", answer.model_dump(exclude_none=True))
            return
        await self.deployment.service.answer(TENANT, ref.run_id, answer)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async def post() -> dict[str, Any] | None:
            status, answer = await self.deployment.post(path, body, key=f"{self.token}{path}")
            assert status in (0, 200, 202), f"{path}: {status} {answer}"
            return answer

        return await sometime(post, f"{path} is answered")

    # What is seen

    async def run(self, ref: RunRef) -> Run:
        return await self.deployment.service.get(TENANT, ref.run_id)

    async def is_waiting(self, ref: RunRef) -> bool:
        """Whether the run waits for a person without a worker."""
        entries = await self.deployment.entries(ref)
        return isinstance(entries[-1].body, Wait) and await self.deployment.is_aside(ref)

    async def is_over(self, ref: RunRef) -> bool:
        """Whether the run has ended with its result, and its marker is removed."""
        if (await self.run(ref)).finished_at is None or not await self.deployment.is_aside(ref):
            return False
        if self.case.journey == "scheduled" and await self._is_due():
            return False
        try:
            return bool(await self.deployment.store.get(result_key(ref)))
        except NotFound:
            return False

    async def _is_due(self) -> bool:
        return bool(await self.deployment.store.list(due_folder(datetime.now(UTC))))

    async def report(self, ref: RunRef, outcome: Outcome) -> None:
        deployment = self.deployment
        entries: list[Entry] = await deployment.entries(ref)
        run = await self.run(ref)
        outcome.status = run.status
        outcome.unknown = len(run.unknown_outcomes)
        outcome.violations = violations_of(entries)
        outcome.claims = claims_of(entries)
        begun = deployment.model.by_token[self.token]
        outcome.extra_calls = begun - model_calls_of(entries)
        outcome.lines = deployment.lines_of(self.token)
        outcome.runs = len(await deployment.store.list(list_folder(TENANT)))
        outcome.tracebacks = sum(
            child.actions().count("traceback") for child in deployment.children
        )
        outcome.passed = [f"{name} #{nth}" for _, nth, name in self._passings()]


async def _question(traveller: _Traveller) -> RunRef:
    """Two calls of a model, a write between them, a question that is answered, a last call."""
    traveller.api()
    traveller.worker()
    ref = await traveller.submit()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _cancelled_queued(traveller: _Traveller) -> RunRef:
    """A run without a worker is cancelled, so that the API writes its end."""
    traveller.api()
    ref = await traveller.submit()
    await traveller.cancel(ref)
    traveller.worker()
    return ref


async def _cancelled_running(traveller: _Traveller) -> RunRef:
    """A run is cancelled while its model does not answer."""
    traveller.api()
    traveller.worker()
    ref = await traveller.submit()
    await _is_asked(traveller)
    await traveller.cancel(ref)
    return ref


async def _handed_over(traveller: _Traveller) -> RunRef:
    """A worker is stopped during a slow model call; another one continues."""
    worker = traveller.worker()
    ref = await traveller.submit()
    await _is_asked(traveller)
    worker.terminate()
    traveller.deployment.worker()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _unheard(traveller: _Traveller) -> RunRef:
    """The queue loses the message, so that the reaper has to find the run."""
    ref = await traveller.submit()
    pipe = RedisPipe(traveller.deployment.server.url)
    await pipe.call(b"DEL", f"{traveller.deployment.prefix}{Queue.INTERACTIVE}")
    await pipe.close()
    traveller.worker()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _asked(traveller: _Traveller) -> RunRef:
    """A worker is killed while it waits for a model's answer."""
    worker = traveller.worker()
    ref = await traveller.submit()
    await _is_asked(traveller)
    worker.kill()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _scheduled(traveller: _Traveller) -> RunRef:
    """A run is scheduled for later: there is no work until then."""
    traveller.api()
    traveller.worker()
    ref = await traveller.submit()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _retried(traveller: _Traveller) -> RunRef:
    """A model fails at first, and the run is tried again a second later."""
    traveller.worker()
    ref = await traveller.submit()
    await sometime(lambda: traveller.is_waiting(ref), "the run waits")
    await traveller.answer(ref)
    return ref


async def _unattended(traveller: _Traveller) -> RunRef:
    """A team that asks no person: with a loser, with a join, or within another team."""
    traveller.worker()
    return await traveller.submit()


async def _joined_elsewhere(traveller: _Traveller) -> RunRef:
    """A worker is stopped during the first call of a graph; another one forks and joins."""
    worker = traveller.worker()
    ref = await traveller.submit()
    await _is_asked(traveller)
    worker.terminate()
    traveller.deployment.worker()
    return ref


async def _is_asked(traveller: _Traveller) -> None:
    model = traveller.deployment.model
    await sometime(lambda: model.by_token[traveller.token] > 0, "the model is asked")


_JOURNEYS: dict[str, Callable[[_Traveller], Awaitable[RunRef]]] = {
    "question": _question,
    "cancelled_queued": _cancelled_queued,
    "cancelled_running": _cancelled_running,
    "handed_over": _handed_over,
    "unheard": _unheard,
    "asked": _asked,
    "scheduled": _scheduled,
    "retried": _retried,
    "unhurried": _question,
    "raced": _unattended,
    "joined": _unattended,
    "joined_elsewhere": _joined_elsewhere,
    "nested": _unattended,
}
