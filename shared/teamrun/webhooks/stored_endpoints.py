"""Reads registered endpoints as they are stored: their versions, and what is known about them."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from teamrun.errors import EndpointNotFound, NotFound, StorageError
from teamrun.runs.log.keys import (
    answered_folder,
    failing_key,
    webhook_folder,
    webhooks_folder,
)
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import newest, newest_keys, version_key
from teamrun.webhooks.endpoint import Endpoint
from teamrun.webhooks.target import OWN, Target

__all__ = ["Failing", "Known", "Stored", "read_endpoint", "read_endpoints"]

logger = logging.getLogger(__name__)


class Failing(BaseModel):
    """An endpoint that has not accepted a request for some time."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    since: datetime


class Stored(NamedTuple):
    """The newest version of an endpoint."""

    version: int
    endpoint: Endpoint
    failing_since: datetime | None = None
    answered_at: datetime | None = None
    """When it last accepted a test, to the millisecond."""

    def target(self, tenant: str, now: datetime) -> Target:
        """The receiver."""
        return replace(self.endpoint.target(tenant, now), answered_at=self.answered_at)


@dataclass(slots=True)
class Known:
    """What a process knows about the endpoints of a tenant."""

    read_at: datetime
    changed_at: datetime | None = None
    """The newest change of any endpoint, deleted ones included."""
    endpoints: list[Stored] = field(default_factory=list[Stored])
    """All that are not deleted."""


async def read_endpoints(store: ObjectStore, tenant: str, *, now: datetime) -> Known:
    """The endpoints of a tenant; those that are damaged are left out, with a warning.

    Raises:
        Unavailable: Storage does not respond.
    """
    folder = webhooks_folder(tenant)
    keys: list[str] = []
    while page := await store.list(folder, after=keys[-1] if keys else ""):
        keys += page
        if len(page) < 1_000:
            break
    numbers = {
        each: number
        for each, number in newest_keys(keys).items()
        if each != webhook_folder(tenant, OWN)
    }
    failing = [key for key in keys if key.endswith("/failing")]
    wanted = [version_key(each, number) for each, number in numbers.items()]
    data = await store.get_many([*wanted, *failing]) if wanted else []
    since = _failing(failing, data[len(wanted) :])
    stored = [
        one
        for (each, number), found in zip(numbers.items(), data[: len(wanted)], strict=True)
        if (one := _stored(each, number, found, since.get(f"{each}failing"))) is not None
    ]
    answered = _answered(keys)
    stored = [
        one._replace(answered_at=answered.get(answered_folder(tenant, one.endpoint.id)))
        for one in stored
    ]
    return Known(
        now,
        max((one.endpoint.updated_at for one in stored), default=None),
        [one for one in stored if not one.endpoint.is_deleted],
    )


async def read_endpoint(store: ObjectStore, tenant: str, endpoint_id: str) -> Stored:
    """An endpoint.

    Raises:
        EndpointNotFound: The tenant has no such endpoint.
        StorageError: Storage does not respond, or the endpoint is damaged.
    """
    folder = webhook_folder(tenant, endpoint_id)
    found = await newest(store, folder) if endpoint_id != OWN else None
    if found is None:
        raise EndpointNotFound(
            f"There is no webhook {endpoint_id!r}; GET /v1/webhooks lists yours."
        )
    try:
        endpoint = Endpoint.model_validate_json(found.data)
    except ValidationError as error:
        raise StorageError(f"{version_key(folder, found.number)} is damaged.") from error
    if endpoint.is_deleted:
        raise EndpointNotFound(f"The webhook {endpoint_id!r} has been deleted.")
    since = None
    with contextlib.suppress(NotFound, ValidationError):
        data = await store.get(failing_key(tenant, endpoint_id))
        since = Failing.model_validate_json(data).since
    return Stored(found.number, endpoint, since)


def _failing(keys: Sequence[str], data: Sequence[bytes | None]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for key, each in zip(keys, data, strict=True):
        with contextlib.suppress(ValidationError):
            found[key] = Failing.model_validate_json(each or b"").since
    return found


def _answered(keys: Sequence[str]) -> dict[str, datetime]:
    """The newest time in each folder of accepted tests."""
    found: dict[str, datetime] = {}
    for key in sorted(keys):
        folder, _, name = key.rpartition("/")
        if folder.endswith("/answered") and name.isascii() and name.isdigit():
            found[f"{folder}/"] = datetime.fromtimestamp(int(name) / 1_000, UTC)
    return found


def _stored(
    folder: str, number: int, data: bytes | None, failing_since: datetime | None
) -> Stored | None:
    try:
        return Stored(number, Endpoint.model_validate_json(data or b""), failing_since)
    except ValidationError:
        logger.warning(
            "A webhook was skipped because it is damaged",
            extra={"action": "webhook.endpoint_damaged", "key": version_key(folder, number)},
        )
        return None
