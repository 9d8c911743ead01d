"""The secrets that sign the webhooks of runs."""

from datetime import datetime, timedelta
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.errors import StorageError
from teamrun.runs.log.keys import webhook_folder
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import newest, write_version
from teamrun.webhooks.secret import Secret
from teamrun.webhooks.target import OWN

__all__ = ["Secrets"]

_FRESH = timedelta(seconds=10)
"""How long what was read is used again; after this time a process knows of changes by others."""


class _Known(NamedTuple):
    secret: Secret
    read_at: datetime


class Secrets:
    """The secrets that sign the webhooks of runs, one for each tenant."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def of(self, tenant: str) -> Secret:
        """The secret of a tenant, as of a few seconds ago; it is created at first use.

        Raises:
            StorageError: Storage does not respond, or the stored secret is damaged.
        """
        now, known = self._clock.now(), self._known.get(tenant)
        if known is not None and now - known.read_at < _FRESH:
            return known.secret
        return await self.read(tenant)

    async def read(self, tenant: str) -> Secret:
        """The secret of a tenant as it is stored now; it is created at first use.

        Raises:
            StorageError: Storage does not respond, or the stored secret is damaged.
        """
        _, secret = await self._newest(tenant)
        return self._remember(tenant, secret)

    async def rotate(self, tenant: str, *, overlap: timedelta) -> Secret:
        """Replace the secret; requests are signed with the old one, too, until the overlap is over.

        Raises:
            StorageError: Storage does not respond, or the stored secret is damaged.
        """
        while True:
            number, secret = await self._newest(tenant)
            rotated = secret.rotated(self._clock.now(), overlap=overlap)
            if await self._write(tenant, number + 1, rotated):
                return self._remember(tenant, rotated)

    async def _newest(self, tenant: str) -> tuple[int, Secret]:
        folder = webhook_folder(tenant, OWN)
        while (found := await newest(self._store, folder)) is None:
            await self._write(tenant, 1, Secret())
        try:
            return found.number, Secret.model_validate_json(found.data)
        except ValueError as error:
            text = f"The signing secret ({folder}, version {found.number}) is damaged; rotate it."
            raise StorageError(text) from error

    async def _write(self, tenant: str, number: int, secret: Secret) -> bool:
        data = secret.model_dump_json().encode()
        return await write_version(self._store, webhook_folder(tenant, OWN), number, data)

    def _remember(self, tenant: str, secret: Secret) -> Secret:
        self._known[tenant] = _Known(secret, self._clock.now())
        return secret
