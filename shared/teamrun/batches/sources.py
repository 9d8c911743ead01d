"""Inputs of batches that a URL in a request names: which the operator allows, and their content.

A URL from input selects an object below one of the operator's prefixes and nothing else. The
endpoint and the credentials are those of the prefix, so no request decides where a key is sent.
"""

import logging
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from teamrun.errors import (
    InvalidItems,
    InvalidKey,
    NotFound,
    ObjectChanged,
    StorageError,
    Unavailable,
    UsageError,
)
from teamrun.json_types import JsonObject
from teamrun.storage.address import StoreAddress, read_store_url
from teamrun.storage.keys import check_key
from teamrun.storage.open import open_reader
from teamrun.storage.pinned import ObjectReader, Pinned

__all__ = ["FOUND_BY", "NamedInput", "Sources"]

logger = logging.getLogger(__name__)

FOUND_BY: Final = "/input_url"
"""The field of a request that names such an input."""

SETTING: Final = "TEAMRUN_BATCH_INPUTS"

_MOST_BYTES = 1024 * 1024 * 1024

_URL = re.compile(r"(s3|az|azure|file)://([A-Za-z0-9$][A-Za-z0-9._-]*|)/([^?#\\]+)")
"""No user, no port, no query, no fragment, no backslash."""
_OF_THE_STORE = re.compile(r"^The store( URL)? \(TEAMRUN_STORE_URL\) (is invalid|cannot be used): ")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KINDS = {"azure": "az"}

_NOT_ALLOWED = (
    "The URL is not one that the operator allows for inputs of batches. An operator allows "
    f"prefixes with {SETTING}; otherwise upload the file."
)
_FORMS = (
    "Write s3://bucket/key, az://container/key or file:///path, with special characters as %xx, "
    "without a query and without `.` or `..`."
)


class _Place(NamedTuple):
    """What a URL names: a bucket or the file system, and the way in it."""

    kind: str
    bucket: str
    path: tuple[str, ...]


class _Prefix(NamedTuple):
    """A prefix that the operator allows."""

    place: _Place
    reader: ObjectReader

    def key(self, place: _Place) -> str | None:
        """The key below the prefix; None if the place is not below it."""
        depth = len(self.place.path)
        if place._replace(path=place.path[:depth]) != self.place or len(place.path) == depth:
            return None
        return "/".join(place.path[depth:])


class NamedInput(NamedTuple):
    """An input that was found."""

    name: str
    """The last part of its URL."""
    tag: str
    """Differs after every change of the object."""
    content: AsyncGenerator[bytes, None]
    """Its bytes, in chunks."""


class Sources:
    """The prefixes that the operator allows, for all tenants alike.

    Args:
        prefixes: URLs of stores, as in `TEAMRUN_STORE_URL`, with their options.
        limit: Maximum size of an input in bytes.
        apart_from: The URL of the store of the runs, of which no prefix may contain a part.
        opener: Opens a prefix.

    Raises:
        UsageError: A prefix is invalid, or contains the store.
        MissingPackage: A package for a bucket is not installed.
    """

    def __init__(
        self,
        prefixes: Sequence[str] = (),
        *,
        limit: int = _MOST_BYTES,
        apart_from: str | None = None,
        opener: Callable[[StoreAddress], ObjectReader] = open_reader,
    ) -> None:
        self._limit = limit
        store = None if apart_from is None else _place_of(read_store_url(apart_from))
        found = [_prefix(url, number, store, opener) for number, url in enumerate(prefixes, 1)]
        # The innermost prefix has the most specific options.
        self._prefixes = sorted(found, key=lambda each: -len(each.place.path))

    async def open(self, url: str) -> NamedInput:
        """Find the input that a URL names.

        Raises:
            InvalidItems: The URL is not allowed, or its object does not exist, is too large or
                cannot be read; `problems` has the field.
            Unavailable: Storage does not respond.
        """
        place = _read(url)
        for prefix in self._prefixes:
            key = prefix.key(place)
            if key is not None:
                found = await self._find(prefix.reader, key)
                return NamedInput(place.path[-1], found.tag, _content(prefix.reader, found))
        raise refused("input_not_allowed", _NOT_ALLOWED)

    async def close(self) -> None:
        """Release connections and threads."""
        for prefix in self._prefixes:
            await prefix.reader.close()

    async def _find(self, reader: ObjectReader, key: str) -> Pinned:
        try:
            found = await reader.pin(key)
        except NotFound:
            raise refused("input_not_found", "There is no such object; correct the URL.") from None
        except Unavailable:
            raise
        except StorageError as error:
            raise _unreadable(error) from error
        if found.size > self._limit:
            raise refused(
                "input_too_large",
                f"The object has more than {self._limit} bytes; divide it, or have the operator "
                "raise TEAMRUN_FILE_LIMIT_BYTES.",
            )
        return found


def refused(code: str, detail: str) -> InvalidItems:
    """The error of an input that cannot be used."""
    problem: JsonObject = {"line": 0, "pointer": FOUND_BY, "code": code, "detail": detail}
    return InvalidItems(f"input_url: {detail}", problems=[problem])


async def _content(reader: ObjectReader, found: Pinned) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in reader.pinned(found):
            yield chunk
    except ObjectChanged as error:
        raise refused(
            "input_changed", "The object changed while it was read; submit the batch again."
        ) from error
    except Unavailable:
        raise
    except StorageError as error:
        raise _unreadable(error) from error


def _unreadable(error: StorageError) -> InvalidItems:
    # The text of the store names hosts and settings of the operator, so it stays in the log.
    logger.warning(
        "An input of a batch cannot be read",
        extra={"action": "batch.input_unreadable", "error": error.message},
    )
    return refused(
        "input_unreadable",
        "The object cannot be read; the log of the server has the reason.",
    )


def _read(url: str) -> _Place:
    """What a URL of a request names.

    Raises:
        InvalidItems: It is malformed.
    """
    parts = _URL.fullmatch(url)
    if parts is None or _BROKEN_ESCAPE.search(url):
        raise refused("invalid_input_url", f"The URL is malformed. {_FORMS}")
    kind, bucket, path = parts.groups()
    if (kind == "file") != (bucket in ("", "localhost")):
        raise refused("invalid_input_url", f"The URL has no bucket, or one too many. {_FORMS}")
    try:
        names = [unquote(name, errors="strict") for name in path.split("/")]
        for name in names:
            check_key(name)  # no empty one, no `.` or `..`, no control characters
    except (UnicodeDecodeError, InvalidKey):
        names = []
    if not names or any("/" in name or "\\" in name for name in names):
        raise refused("invalid_input_url", f"The path of the URL is malformed. {_FORMS}")
    return _Place(_KINDS.get(kind, kind), "" if kind == "file" else bucket, tuple(names))


def _prefix(
    url: str, number: int, store: _Place | None, opener: Callable[[StoreAddress], ObjectReader]
) -> _Prefix:
    try:
        address = read_store_url(url)
        place = _place_of(address)
        if address.kind == "memory" or not _is_apart(place, store):
            raise UsageError(
                "it contains a part of the store (TEAMRUN_STORE_URL), or is not a folder or bucket"
            )
        return _Prefix(place, opener(address))
    except UsageError as error:
        reason = _OF_THE_STORE.sub("", error.message)
        raise type(error)(f"{SETTING}, entry {number}: {reason}", setting="batch_inputs") from None


def _place_of(address: StoreAddress) -> _Place:
    if address.folder is not None:
        return _Place("file", "", address.folder.parts[1:])
    return _Place(address.kind, address.bucket, tuple(filter(None, address.prefix.split("/"))))


def _is_apart(place: _Place, store: _Place | None) -> bool:
    """Whether neither contains the other."""
    if store is None or (place.kind, place.bucket) != (store.kind, store.bucket):
        return True
    one, other = _resolved(place), _resolved(store)
    depth = min(len(one), len(other))
    return one[:depth] != other[:depth]


def _resolved(place: _Place) -> tuple[str, ...]:
    """The way to a place without links."""
    if place.kind != "file":
        return place.path
    return Path("/", *place.path).resolve().parts[1:]
