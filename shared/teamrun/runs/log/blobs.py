"""Reads the files of a run in chunks, so that memory does not grow with their size."""

import hashlib
from collections.abc import AsyncGenerator

from teamrun.core.refs import RunRef
from teamrun.errors import DamagedBlob, NotFound, StorageError, Unavailable
from teamrun.runs.log.keys import artifact_blob
from teamrun.storage.base import ObjectStore

__all__ = ["stream_blob"]


async def stream_blob(
    store: ObjectStore, ref: RunRef, sha256: str, *, size: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The bytes of a file of the run, in chunks.

    The last chunk follows only when the digest of all is right. A reader of a damaged file
    therefore never gets all of its bytes, and none if the file has a single chunk.

    Raises:
        DamagedBlob: The file is missing, or does not match the size or the digest.
        Unavailable: Storage does not respond.
    """
    key = artifact_blob(ref, sha256)
    digest, count, last = hashlib.sha256(), 0, b""
    try:
        async for chunk in store.stream(key):
            count += len(chunk)
            if size is not None and count > size:
                break
            if last:
                yield last
            digest.update(chunk)
            last = chunk
    except NotFound as error:
        raise DamagedBlob(f"The object {key!r} is missing.", key=key) from error
    except Unavailable:
        raise
    except StorageError as error:
        text = f"The object {key!r} cannot be read: {error.message}"
        raise DamagedBlob(text, key=key) from error
    if size not in (None, count):
        raise DamagedBlob(f"The object {key!r} has another size.", key=key)
    if digest.hexdigest() != sha256:
        raise DamagedBlob(f"The object {key!r} differs from what was stored.", key=key)
    if last:
        yield last
