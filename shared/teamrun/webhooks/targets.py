"""The receivers of the events of a tenant."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from teamrun.core.clock import Clock
from teamrun.runs.log.webhook import RunWebhook, matches
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.run_secrets import Secrets
from teamrun.webhooks.stored_endpoints import Known
from teamrun.webhooks.target import OWN, Target

__all__ = ["Targets", "Wish"]

_LONGEST_FAILURE = timedelta(days=5)
"""An endpoint that accepts nothing for so long is disabled."""


class Wish:
    """Whether some receiver wants events of some types.

    Args:
        types: The types.
        webhook: The webhook that the request of the log named.
        as_of: A change of the endpoints that must be known.
    """

    __slots__ = ("as_of", "types", "webhook")

    def __init__(
        self, types: Sequence[str], webhook: RunWebhook | None, as_of: datetime | None = None
    ) -> None:
        self.types = types
        self.webhook = webhook
        self.as_of = as_of

    @property
    def is_own(self) -> bool:
        """Whether the webhook subscribes to one of the types."""
        return self.webhook is not None and self._is_in(self.webhook.events)

    def is_granted(self, known: Known) -> bool:
        """Whether the webhook, or one of the endpoints, subscribes to one of the types."""
        return self.is_own or any(self._is_in(one.endpoint.events) for one in known.endpoints)

    def _is_in(self, subscription: Sequence[str]) -> bool:
        return any(matches(subscription, name) for name in self.types)


class Targets:
    """Decides who receives an event."""

    def __init__(self, secrets: Secrets, endpoints: Endpoints, clock: Clock) -> None:
        self._secrets = secrets
        self._endpoints = endpoints
        self._clock = clock

    def is_wanted(self, tenant: str, wish: Wish) -> bool | None:
        """Whether some receiver wants the events; None if the endpoints have to be read first."""
        if wish.is_own:
            return True
        known = self._endpoints.known(tenant, as_of=wish.as_of)
        return None if known is None else wish.is_granted(known)

    async def read(self, tenant: str, wish: Wish) -> bool:
        """The same as `is_wanted`, after reading the endpoints.

        Raises:
            Unavailable: Storage does not respond.
        """
        return wish.is_granted(await self._endpoints.read(tenant, as_of=wish.as_of))

    async def of(
        self,
        tenant: str,
        webhook: RunWebhook | None,
        *,
        after: datetime | None = None,
        as_of: datetime | None = None,
    ) -> list[Target]:
        """The receivers of a tenant's events, whatever their types.

        Args:
            tenant: The tenant.
            webhook: The one that the request of the log named.
            after: Use the endpoints as they were after this time; None if those of a few seconds
                ago are enough.
            as_of: A change of the endpoints that these must include.

        Raises:
            StorageError: Storage does not respond, or a secret is damaged.
        """
        now, endpoints = self._clock.now(), self._endpoints
        if after is not None:
            known = await endpoints.reread(tenant, after=after, as_of=as_of)
        else:
            known = await endpoints.read(tenant, as_of=as_of)
        found = [one.target(tenant, now) for one in known.endpoints]
        if webhook is not None:
            secret = await self._secrets.of(tenant)
            found.append(_own(tenant, webhook, secret.at(now)))
        return found

    async def report(self, target: Target, *, is_accepted: bool, is_gone: bool) -> None:
        """Record how a request to a receiver ended; one that fails for long is disabled.

        Raises:
            StorageError: Storage does not respond.
        """
        if target.id == OWN:
            return
        if is_accepted:
            await self._endpoints.succeeded(target.tenant, target.id)
        elif is_gone:
            await self._endpoints.disable(target.tenant, target.id, because="gone")
        else:
            since = await self._endpoints.failed(target.tenant, target.id)
            if self._clock.now() - since >= _LONGEST_FAILURE:
                await self._endpoints.disable(target.tenant, target.id, because="failing")


def _own(tenant: str, webhook: RunWebhook, secrets: Iterable[str]) -> Target:
    return Target(
        tenant=tenant,
        id=OWN,
        url=webhook.url,
        events=webhook.events,
        secrets=list(secrets),
        payload=webhook.payload,
        format=webhook.format,
        metadata=webhook.metadata,
    )
