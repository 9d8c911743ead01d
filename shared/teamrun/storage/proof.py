"""The check, at the start of a process, that its store works."""

import asyncio
import logging
import secrets
from datetime import timedelta

from teamrun.errors import StorageError, Unavailable, UsageError
from teamrun.storage.base import ObjectStore

__all__ = ["prove_store", "store_identity"]

logger = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=5)


async def prove_store(store: ObjectStore, *, patience: timedelta = _PATIENCE) -> None:
    """Check that the store exists and honours put-if-absent.

    If the store does not answer within `patience`, this only logs a warning, because the store may
    start later than this process. A bucket is checked again before its first write in any case.

    Raises:
        UsageError: The store cannot be used: it ignores put-if-absent, does not exist or refuses
            the credentials.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await store.check()
    except (TimeoutError, Unavailable) as error:
        reason = str(error) or "no answer in time"
        logger.warning(
            "The store does not respond yet",
            extra={"action": "storage.unavailable", "error": reason},
        )
    except StorageError as error:
        raise UsageError(
            f"The store (TEAMRUN_STORE_URL) cannot be used: {error}", setting="store"
        ) from error


_IDENTITY = "store-id"


async def store_identity(store: ObjectStore) -> str:
    """The unique id of this store; the first process that asks creates it.

    Processes may share a namespace in Redis but, by mistake, not the store. Work that they do for
    their own store must then not prevent the others from doing it for theirs.

    Raises:
        StorageError: The store cannot be read or written.
    """
    await store.put_new(_IDENTITY, secrets.token_hex(8).encode())
    return (await store.get(_IDENTITY)).decode(errors="replace")
