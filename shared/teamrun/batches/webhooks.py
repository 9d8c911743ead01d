"""What batches need of webhooks: which URLs are allowed, and what is stored for a delivery."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from teamrun.batches.log import PreCommit
from teamrun.errors import DestinationRefused
from teamrun.net.destinations import Destinations
from teamrun.runs.log.log import PreErase
from teamrun.runs.log.webhook import BatchWebhook

__all__ = ["BatchWebhooks"]


async def _never(tenant: str) -> None:
    """For a service without registered webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWebhooks:
    """What batches need of webhooks."""

    destinations: Destinations = field(default_factory=Destinations)
    """Where requests may go."""
    changed_at: Callable[[str], Awaitable[datetime | None]] = _never
    """Returns the newest change of a tenant's registered webhooks."""
    pre_commit: PreCommit | None = None
    """Called before each entry of a batch's log."""
    pre_erase: PreErase | None = None
    """Called before a batch, and before each of its runs, is deleted."""

    def check(self, webhook: BatchWebhook | None) -> None:
        """Refuse a webhook whose URL is not allowed.

        Raises:
            DestinationRefused: It is not allowed; has a `pointer`.
        """
        if webhook is None:
            return
        try:
            self.destinations.check_url(webhook.url)
        except DestinationRefused as error:
            raise DestinationRefused(error.message, pointer="/webhook/url") from None
