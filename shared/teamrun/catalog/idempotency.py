"""The records of Idempotency-Keys of requests about teams."""

from contextlib import suppress

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from teamrun.errors import IdempotencyConflict, NotFound
from teamrun.storage.base import ObjectStore

__all__ = ["KeyRecord", "first_use"]


class KeyRecord(BaseModel, defer_build=True):
    """What a key was used for."""

    request_hash: str
    team_id: str
    base: int = 0
    """The newest version when the key was first used to add a version."""
    equal: int = 0
    """The version that the answer had because it was equal and none was added; 0 if none."""


async def first_use(store: ObjectStore, place: str, record: KeyRecord) -> tuple[KeyRecord, bool]:
    """The record of an Idempotency-Key, and whether it existed before.

    Raises:
        IdempotencyConflict: The key was used with another request.
        Unavailable: Storage does not respond.
    """
    if await store.put_new(place, to_json(record)):
        return record, False
    with suppress(NotFound, ValidationError):  # deleted meanwhile, or damaged
        first = KeyRecord.model_validate_json(await store.get(place))
        if first.request_hash != record.request_hash:
            raise IdempotencyConflict(
                "The Idempotency-Key was used with another request; use a new key."
            )
        return first, True
    await store.put(place, to_json(record))
    return record, False
