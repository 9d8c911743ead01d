"""Clients with threads: they submit runs, one after the other and at the same time."""

from typing import Any

from tests.simulation.clients import Clients
from tests.simulation.deployment import Deployment
from tests.simulation.line import Line
from tests.simulation.processes import TENANT
from tests.simulation.team_stories import some_team
from tests.simulation.threads import ThreadDesk

from teamrun.errors import ThreadBusy
from teamrun.runs.service.requests import RunRequest
from teamrun.threads.requests import ThreadRequest

__all__ = ["ThreadClients"]


class ThreadClients:
    """The clients that have threads; they treat their runs as other clients do."""

    def __init__(self, world: Deployment, line: Line, clients: Clients, desk: ThreadDesk) -> None:
        self._world = world
        self._line = line
        self._clients = clients
        self._desk = desk
        self._rng = world.rng

    def come(self) -> None:
        """Begin one or two conversations."""
        for _ in range(self._rng.choice((1, 1, 2))):
            self._world.visit(self._converse())

    async def _converse(self) -> None:
        rng, key = self._rng, self._line.key()
        made = await self._line.insist(
            lambda api: api.threads.create(TENANT, ThreadRequest(), key=key)
        )
        team = some_team(rng)
        for _ in range(rng.choice((2, 3, 4, 6))):
            request = self._some_request(made.thread.id, team)
            if rng.random() < 0.5:
                await self._submit(request)
            else:
                self._world.visit(self._submit(request))
            await self._line.pause(0, 0, 0.5, 3, 10)

    def _some_request(self, thread_id: str, team: Any) -> RunRequest:
        rng = self._rng
        policy = rng.choice(("enqueue", "enqueue", "reject", "interrupt", "rollback"))
        wanted: dict[str, Any] = {"thread_id": thread_id, "on_busy_thread": policy}
        for chance, fields in (
            (0.2, {"retry": {"max_attempts": 2, "backoff_seconds": 1}}),
            (0.1, {"expires_in_seconds": rng.choice((1, 6, 30))}),
            (0.1, {"limits": {"max_model_calls": 2, "on_limit": rng.choice(("stop", "pause"))}}),
        ):
            if rng.random() < chance:
                wanted |= fields
        text = str(rng.randrange(1 << 32))
        return RunRequest.model_validate({"input": text, "team_spec": team, **wanted})

    async def _submit(self, request: RunRequest) -> None:
        key, since, thread_id = self._line.key(), self._desk.now(), request.thread_id
        assert thread_id is not None
        try:
            submitted = await self._line.insist(
                lambda api: api.service.submit(TENANT, request, idempotency_key=key)
            )
        except ThreadBusy as error:
            self._world.stats["refused by a busy thread"] += 1
            self._desk.refused(thread_id, error.data.get("run_id"), since)
            return
        policy, run_id = request.on_busy_thread, submitted.run.id
        self._world.stats[f"thread {policy}"] += 1
        self._desk.acknowledged(thread_id, run_id, since, policy)
        self._clients.accepted(submitted.run, key)
