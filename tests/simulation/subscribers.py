"""Clients with webhooks: they register endpoints, change them, and ask for deliveries again."""

import contextlib
from typing import Any

from tests.simulation.deployment import Deployment
from tests.simulation.hooks import OWN_URL
from tests.simulation.line import Line, NoAnswer
from tests.simulation.processes import TENANT

from teamrun.errors import DeliveryNotFound, EndpointNotFound
from teamrun.webhooks.requests import WebhookPatch, WebhookRequest

__all__ = ["Subscribers", "some_webhook"]

_SUBSCRIPTIONS = (["*"], ["*"], ["run.*"], ["run.completed", "run.failed"], ["webhook.*"])
_OF_RUNS = (["*"], ["run.*"], ["run.completed", "run.failed", "run.cancelled"])


class Subscribers:
    """The clients that have webhooks."""

    def __init__(self, world: Deployment, line: Line) -> None:
        self._world = world
        self._line = line
        self._rng = world.rng
        self._count = 0

    def come(self) -> None:
        """Register some endpoints, sooner or later."""
        for _ in range(self._rng.choice((0, 1, 1, 2))):
            self._world.visit(self._register())

    async def _register(self) -> None:
        rng, line = self._rng, self._line
        self._count += 1
        request = WebhookRequest.model_validate(
            {
                "url": f"https://e{self._count}.example/hook",
                "events": rng.choice(_SUBSCRIPTIONS),
                "payload": rng.choice(("full", "thin")),
                "format": rng.choice(("standard", "cloudevents")),
            }
        )
        await line.pause(0, 0, 0.5, 5)
        key = line.key()
        made = await line.insist(lambda api: api.hooks.create(TENANT, request, idempotency_key=key))
        for chance, visit in (
            (0.15, self._disable),
            (0.1, self._delete),
            (0.2, self._rotate),
            (0.3, self._redeliver),
            (0.1, self._test),
        ):
            if rng.random() < chance:
                self._world.visit(self._while_it_exists(visit(made.id)))

    async def _while_it_exists(self, visit: Any) -> None:
        with contextlib.suppress(EndpointNotFound):
            await visit

    async def _disable(self, endpoint_id: str) -> None:
        await self._line.pause(0, 1, 10)
        for enabled in (False, True)[: self._rng.choice((1, 2, 2))]:
            patch = WebhookPatch(enabled=enabled)
            await self._line.insist(
                lambda api, patch=patch: api.hooks.update(TENANT, endpoint_id, patch)
            )
            await self._line.pause(0.5, 15)

    async def _delete(self, endpoint_id: str) -> None:
        await self._line.pause(1, 10, 40)
        await self._line.insist(lambda api: api.hooks.delete(TENANT, endpoint_id))

    async def _rotate(self, endpoint_id: str) -> None:
        await self._line.pause(0.5, 5, 20)
        await self._line.insist(lambda api: api.hooks.rotate_secret(TENANT, endpoint_id))
        await self._line.insist(lambda api: api.hooks.rotate_run_secret(TENANT))

    async def _test(self, endpoint_id: str) -> None:
        await self._line.pause(0.5, 5)
        with contextlib.suppress(NoAnswer):
            await self._line.request(
                lambda api: api.hooks.test(TENANT, endpoint_id, "webhook.tested")
            )

    async def _redeliver(self, endpoint_id: str) -> None:
        """Ask for one of the deliveries so far again."""
        await self._line.pause(2, 10, 60)
        page = await self._line.insist(lambda api: api.hooks.deliveries(TENANT, endpoint_id))
        if page.data:
            event_id = self._rng.choice(page.data).event_id
            with contextlib.suppress(DeliveryNotFound):  # the event of an endpoint that is gone
                await self._line.insist(
                    lambda api: api.hooks.redeliver(TENANT, endpoint_id, event_id)
                )


def some_webhook(world: Deployment) -> dict[str, Any]:
    """The webhook that a run names in its request, or none."""
    rng = world.rng
    if rng.random() < 0.3:
        return {}
    webhook: dict[str, Any] = {
        "url": OWN_URL,
        "payload": rng.choice(("full", "thin")),
        "format": rng.choice(("standard", "cloudevents")),
    }
    if rng.random() < 0.7:
        webhook["events"] = rng.choice(_OF_RUNS)
    return {"webhook": webhook}
