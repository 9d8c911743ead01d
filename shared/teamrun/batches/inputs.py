"""The input of a batch: from what the request names to parsed items."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from teamrun.batches.files import Files
from teamrun.batches.items import Numbered, Parsed, items_of_csv, items_of_jsonl
from teamrun.batches.keys import BatchRef, source_key
from teamrun.batches.requests import BatchRequest
from teamrun.batches.sources import Sources, refused
from teamrun.errors import FileNotFound, InvalidItems, NotFound
from teamrun.json_types import JsonObject
from teamrun.storage.base import ObjectStore

__all__ = ["Inputs", "Source"]


class Source(NamedTuple):
    """Where the items of a batch come from."""

    name: str | None
    """A file name; `.csv` at its end means CSV."""
    content: AsyncIterator[bytes]
    """The bytes, in chunks."""


class Inputs:
    """The inputs that batches can have.

    Args:
        store: The store of the batches.
        files: The uploaded files.
        sources: What URLs can name.
    """

    def __init__(self, *, store: ObjectStore, files: Files, sources: Sources) -> None:
        self._store = store
        self._files = files
        self._sources = sources

    async def parsed(self, ref: BatchRef, request: BatchRequest) -> AsyncIterator[Sequence[Parsed]]:
        """The items of a request, some at a time, as they are read.

        Args:
            ref: The batch; files of its tenant can be used.
            request: Names the input.

        Raises:
            InvalidItems: There is no such input, or the template does not belong to its format.
            Unavailable: Storage does not respond.
        """
        if request.items is not None:
            return _inline(request)
        source = await self._source(ref, request)
        is_csv = (source.name or "").lower().endswith(".csv")
        if (request.input_format or ("csv" if is_csv else "jsonl")) == "csv":
            return items_of_csv(source.content, request.input_template)
        if request.input_template is not None:
            detail = "`input_template` is for CSV; set `input_format` to `csv` if the file is CSV."
            raise InvalidItems(
                detail, problems=[{"line": 0, "code": "template_without_csv", "detail": detail}]
            )
        return items_of_jsonl(source.content)

    async def _source(self, ref: BatchRef, request: BatchRequest) -> Source:
        if request.input_url is not None:
            return await self._named(ref, request.input_url)
        assert request.input_file_id is not None
        try:
            file = await self._files.get(ref.tenant, request.input_file_id)
        except FileNotFound as error:
            problem: JsonObject = {"line": 0, "code": error.code, "detail": error.message}
            raise InvalidItems(
                f"input_file_id: {error.message}",
                problems=[{**problem, "pointer": "/input_file_id"}],
            ) from None
        return Source(file.name, self._files.content(ref.tenant, file.id))

    async def _named(self, ref: BatchRef, url: str) -> Source:
        """The object that a URL names, the same one in every attempt at this batch.

        Requests with the same Idempotency-Key store their items under the same names, so they must
        not read different versions of the object.
        """
        found = await self._sources.open(url)
        tag, key = found.tag.encode(), source_key(ref)
        if not await self._store.put_new(key, tag):
            with suppress(NotFound):
                if await self._store.get(key) != tag:
                    raise refused(
                        "input_changed",
                        "The object has changed since an earlier request with this "
                        "Idempotency-Key; submit the batch again.",
                    )
        return Source(found.name, found.content)


async def _inline(request: BatchRequest) -> AsyncIterator[Sequence[Parsed]]:
    yield [Numbered(line, item) for line, item in enumerate(request.items or [], 1)]
