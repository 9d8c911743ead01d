"""A registered endpoint, as it is stored; each change is a version of its document."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from teamrun.runs.log.entries import LoggedEvent
from teamrun.runs.log.webhook import Format, Payload
from teamrun.webhooks.secret import Secret
from teamrun.webhooks.target import DisabledBecause, Target

__all__ = ["Endpoint"]


class Endpoint(BaseModel):
    """One version of an endpoint."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    url: str
    events: list[str]
    payload: Payload = "full"
    format: Format = "standard"
    description: str = ""
    metadata: dict[str, str] = {}
    secret: Secret | None
    """None once the endpoint is deleted."""
    created_at: datetime
    updated_at: datetime
    disabled_because: DisabledBecause | None = None
    disabled_at: datetime | None = None
    is_deleted: bool = False
    request_hash: str = ""
    """The digest of the request that created it, to recognize a repeated one."""
    event: LoggedEvent | None = None
    """What other webhooks are sent about this version."""

    def target(self, tenant: str, now: datetime) -> Target:
        """The receiver."""
        return Target(
            tenant=tenant,
            id=self.id,
            url=self.url,
            events=self.events,
            secrets=[] if self.secret is None else self.secret.at(now),
            payload=self.payload,
            format=self.format,
            metadata=self.metadata,
            since=self.created_at,
            is_disabled=self.disabled_because is not None,
        )
