"""The events of registered webhooks themselves: one was disabled."""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from teamrun.core.refs import RunRef
from teamrun.errors import NotFound, StorageError
from teamrun.json_types import JsonObject
from teamrun.runs.log.keys import endpoint_hook_folder, webhook_folder
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import newest_keys, version_key
from teamrun.webhooks.endpoint import Endpoint
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.sources import GONE, Gone, Logged

__all__ = ["EndpointSource"]


class EndpointSource:
    """Implements `Source`: the versions of an endpoint are its log, each with one event or none."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def folder(self, ref: RunRef) -> str:
        """Beside the versions of all endpoints."""
        return endpoint_hook_folder(ref)

    async def read(self, job: Job) -> Logged | Gone | None:
        """The event of a version.

        Raises:
            StorageError: The version is damaged, or storage does not respond.
        """
        folder = webhook_folder(job.ref.tenant, job.ref.run_id)
        key = version_key(folder, job.n)
        try:
            endpoint = Endpoint.model_validate_json(await self._store.get(key))
        except NotFound:
            # A deletion removes all versions but the last one.
            newest = newest_keys(await self._store.list(folder)).get(folder, 0)
            return GONE if newest > job.n else None
        except ValidationError as error:
            raise StorageError(f"{key} is damaged.") from error
        if endpoint.is_deleted:
            return GONE
        return Logged(
            n=job.n,
            at=endpoint.updated_at,
            folder=self.folder(job.ref),
            webhook=None,
            events=_events(job, endpoint),
        )

    async def history(self, ref: RunRef) -> Sequence[Logged] | None:
        """All versions with an event; None if the endpoint is deleted."""
        folder = webhook_folder(ref.tenant, ref.run_id)
        newest = newest_keys(await self._store.list(folder)).get(folder, 0)
        found = [await self.read(Job(ref, n)) for n in range(1, newest + 1)]
        if not found or isinstance(found[-1], Gone):
            return None
        return [each for each in found if isinstance(each, Logged) and each.events]


def _events(job: Job, endpoint: Endpoint) -> list[JsonObject]:
    if endpoint.event is None:
        return []
    return [
        {
            "id": f"{job.ref.run_id}-{job.n}",
            "seq": job.n,
            "type": endpoint.event.type,
            "time": from_json(to_json(endpoint.updated_at)),
            "webhook_id": endpoint.id,
            "agent": None,
            "data": endpoint.event.data,
        }
    ]
