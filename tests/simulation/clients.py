"""Clients of a simulated deployment: they submit, ask, answer, cancel, follow, and come again.

A client knows only what it received in responses; these are recorded in the ledger.
"""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from tests.simulation.deployment import Deployment
from tests.simulation.ledger import Said
from tests.simulation.line import Line, NoAnswer
from tests.simulation.processes import TENANT
from tests.simulation.subscribers import some_webhook
from tests.simulation.team_stories import some_team
from tests.simulation.world import Died, VirtualClock

from teamrun.errors import ImpossibleTime, RunEnded, StaleAction, TeamrunError, Unavailable
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.status import TERMINAL, RequiredAction
from teamrun.runs.service.requests import Answer, ForkRequest, RunRequest
from teamrun.runs.service.resources import Event, Run
from teamrun.runs.service.service import RunService

__all__ = ["Clients"]

T = TypeVar("T")


class Clients:
    """Everybody outside."""

    def __init__(self, world: Deployment, line: Line) -> None:
        self._world = world
        self._line = line
        self._rng = world.rng
        self._ledger = world.ledger
        self._attended: set[str] = set()

    async def _request(self, call: Callable[[RunService], Awaitable[T]]) -> T:
        return await self._line.request(lambda api: call(api.service))

    async def _insist(self, call: Callable[[RunService], Awaitable[T]]) -> T:
        return await self._line.insist(lambda api: call(api.service))

    # Submitting

    async def submit(self) -> None:
        """Submit a run, repeated if there was no response; then follow it."""
        await self._line.pause(0, 0, 0.5, 3)
        request = self._some_request()
        if self._rng.random() < 0.3:
            await self._submit_without_key(request)
            return
        key = self._line.key()
        for _ in range(self._rng.choice((0, 0, 1, 2))):  # impatient twins
            self._world.visit(self._submit_with_key(request, key))
        await self._submit_with_key(request, key, attend=True)

    def _some_request(self) -> RunRequest:
        rng, wanted = self._rng, dict[str, object]()
        if rng.random() < 0.2:
            wanted["retry"] = {"max_attempts": rng.choice((2, 3)), "backoff_seconds": 1}
        if rng.random() < 0.1:
            wanted["delay_seconds"] = rng.choice((0.5, 5))
        if rng.random() < 0.1:
            wanted["expires_in_seconds"] = rng.choice((1, 6, 30))
        if rng.random() < 0.1:
            wanted["deadline"] = VirtualClock(timedelta(seconds=rng.choice((1, 10, 60)))).now()
        if rng.random() < 0.2:
            limit = rng.choice(
                (("max_model_calls", 1), ("max_tool_calls", 1), ("timeout_seconds", 3))
            )
            wanted["limits"] = dict([limit, ("on_limit", rng.choice(("stop", "pause")))])
        if self._world.hooks is not None:
            wanted |= some_webhook(self._world)
        wanted |= {"team_spec": some_team(rng)} if self._world.has_teams else {"team": "t"}
        return RunRequest.model_validate({"input": str(rng.randrange(1 << 32)), **wanted})

    async def _submit_without_key(self, request: RunRequest) -> None:
        try:
            submitted = await self._request(lambda service: service.submit(TENANT, request))
        except (NoAnswer, ImpossibleTime):
            return
        self._accepted(submitted.run, attend=True)

    async def _submit_with_key(
        self, request: RunRequest, key: str, *, attend: bool = False
    ) -> None:
        try:
            submitted = await self._insist(
                lambda service: service.submit(TENANT, request, idempotency_key=key)
            )
        except ImpossibleTime:
            return
        self.accepted(submitted.run, key, attend=attend)

    def accepted(self, run: Run, key: str, *, attend: bool = True) -> None:
        """A run was acknowledged; another client may act on it."""
        self._ledger.by_key[key].add(run.id)
        self._accepted(run, attend=attend)

    def _accepted(self, run: Run, *, attend: bool) -> None:
        self._ledger.accepted.add(run.id)
        if attend:
            self._visit(run.id)

    def look_after(self, runs: list[str]) -> None:
        """Follow the runs to their end whose clients received no response."""
        for run_id in runs:
            if run_id not in self._attended:
                self._attended.add(run_id)
                self._world.visit(self._attend(run_id))

    def _visit(self, run_id: str) -> None:
        rng = self._rng
        self._attended.add(run_id)
        visits = [self._attend(run_id)]
        for chance, visit in (
            (0.2, self._cancel),
            (0.2, self._pause),
            (0.35, self._speak),
            (0.4, self._follow),
            (0.1, self._fork),
        ):
            if rng.random() < chance:
                visits.append(visit(run_id))
        for visit in visits:
            self._world.visit(visit)

    # A run's life

    async def _attend(self, run_id: str) -> None:
        """Poll a run until it ends, and answer its questions."""
        revision = 0
        while True:
            run = await self._insist(lambda service: service.get(TENANT, run_id))
            if run.revision < revision:
                self._ledger.fault(f"I10 {run_id} went back from {revision} to {run.revision}")
            revision = run.revision
            if run.status in TERMINAL:
                self._ledger.finished(run_id, run.status)
                return
            for action in run.required_actions:
                await self._answer(run_id, action)
            if run.status == "paused" and self._rng.random() < 0.3:
                await self._resume(run_id)
            await self._line.pause(0.3, 1.0, 4.0)

    async def _answer(self, run_id: str, action: RequiredAction) -> None:
        rng = self._rng
        if rng.random() < 0.2:
            return  # later, or too late
        decision = rng.choice(action.decisions)
        key = self._line.key() if rng.random() < 0.7 else None
        text = f"words {rng.randrange(1 << 20)}"
        answer = Answer(action_id=action.id, decision=decision, content=text)
        for _ in range(rng.choice((1, 1, 1, 2))):
            try:
                await self._request(
                    lambda service: service.answer(TENANT, run_id, answer, idempotency_key=key)
                )
            except (NoAnswer, StaleAction, RunEnded):
                continue
            self._ledger.answers.append(Said(run_id, action.id, text))

    async def _cancel(self, run_id: str) -> None:
        await self._line.pause(0, 0.05, 0.5, 2, 10)
        try:
            run = await self._insist(lambda service: service.cancel(TENANT, run_id))
        except RunEnded:
            return
        if run.status not in ("cancelling", "cancelled"):
            self._ledger.fault(f"I8 {run_id} was cancelled and is {run.status}")
        self._ledger.cancelled.add(run_id)

    async def _pause(self, run_id: str) -> None:
        await self._line.pause(0, 0.05, 0.5, 2)
        try:
            await self._insist(lambda service: service.pause(TENANT, run_id))
            await self._line.pause(0, 0.5, 5)
            await self._resume(run_id)
        except RunEnded:
            return

    async def _resume(self, run_id: str) -> None:
        limits = None
        if self._rng.random() < 0.5:
            limits = Limits(max_model_calls=100, max_tool_calls=100, timeout_seconds=10_000)
        with contextlib.suppress(RunEnded):
            await self._insist(lambda service: service.resume(TENANT, run_id, limits=limits))

    async def _fork(self, run_id: str) -> None:
        """Fork this run at some event."""
        await self._line.pause(0.5, 2, 10)
        page = await self._insist(lambda service: service.events(TENANT, run_id, limit=100))
        request = ForkRequest(after_seq=self._rng.choice(page.data).seq)
        key = self._line.key()
        forked = await self._insist(
            lambda service: service.fork(TENANT, run_id, request, idempotency_key=key)
        )
        self._ledger.by_key[key].add(forked.run.id)
        self._accepted(forked.run, attend=True)

    async def _speak(self, run_id: str) -> None:
        for _ in range(self._rng.choice((1, 2))):
            await self._line.pause(0, 0.05, 0.5, 2)
            key, text = self._line.key(), f"psst {self._rng.randrange(1 << 32)}"
            message = InputMessage(content=text)
            try:
                await self._insist(
                    lambda service, message=message, key=key: service.speak(
                        TENANT, run_id, message, idempotency_key=key
                    )
                )
            except RunEnded:
                return
            self._ledger.messages.append(Said(run_id, text))

    async def _follow(self, run_id: str) -> None:
        """Follow the events, with broken connections, to the last one."""
        seen = 0
        while True:
            api = self._world.some_api()
            if api is None:
                await self._line.pause(1.0)
                continue
            stream = api.service.follow(TENANT, run_id, after=seen)
            try:
                await api.point()
                async for item in stream:
                    if not isinstance(item, Event):
                        continue
                    if item.seq != seen + 1:
                        self._ledger.fault(f"I10 {run_id}: event {item.seq} follows {seen}")
                    seen = item.seq
                    self._ledger.see(item)
                    if self._rng.random() < 0.1:
                        break
                else:
                    return
            except (Died, Unavailable):
                await self._line.pause(0.5, 2.0)
            finally:
                await _closed(stream)


async def _closed(stream: AsyncGenerator[object, None]) -> None:
    with contextlib.suppress(Died, TeamrunError):
        await stream.aclose()
