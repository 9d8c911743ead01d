"""The proof, when a process starts, that its store can hold runs."""

import asyncio
import logging
from datetime import timedelta

from teamrun.errors import StorageError, Unavailable, UsageError
from teamrun.storage.base import ObjectStore

__all__ = ["prove_store"]

logger = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=5)


async def prove_store(store: ObjectStore, *, patience: timedelta = _PATIENCE) -> None:
    """Prove that the store exists and honours put-if-absent.

    A store that does not answer within `patience` is only logged: it may come up later than this
    process. A bucket proves itself before its first write in any case.

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
            "The store does not answer yet", extra={"action": "store.away", "error": reason}
        )
    except StorageError as error:
        raise UsageError(
            f"The store (TEAMRUN_STORE_URL) cannot be used: {error}", setting="store"
        ) from error
