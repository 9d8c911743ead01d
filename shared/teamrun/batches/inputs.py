"""The input of a batch: from what the request names to parsed items."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from teamrun.batches.files import Files
from teamrun.batches.items import Numbered, Parsed, items_of_csv, items_of_jsonl
from teamrun.batches.requests import BatchRequest
from teamrun.errors import FileNotFound, InvalidItems

__all__ = ["Source", "parsed_items"]


class Source(NamedTuple):
    """Where the items of a batch come from."""

    name: str | None
    """A file name; `.csv` at its end means CSV."""
    content: AsyncIterator[bytes]
    """The bytes, in chunks."""


async def parsed_items(
    files: Files, tenant: str, request: BatchRequest
) -> AsyncIterator[Sequence[Parsed]]:
    """The items of a request, some at a time, as they are read.

    Args:
        files: The uploaded files.
        tenant: Whose files can be used.
        request: Names the input.

    Raises:
        InvalidItems: There is no such input, or the template does not belong to its format.
    """
    if request.items is not None:
        return _inline(request)
    source = await _source(files, tenant, request)
    is_csv = (source.name or "").lower().endswith(".csv")
    if (request.input_format or ("csv" if is_csv else "jsonl")) == "csv":
        return items_of_csv(source.content, request.input_template)
    if request.input_template is not None:
        detail = "`input_template` is for CSV; set `input_format` to `csv` if the file is CSV."
        raise InvalidItems(
            detail, problems=[{"line": 0, "code": "template_without_csv", "detail": detail}]
        )
    return items_of_jsonl(source.content)


async def _inline(request: BatchRequest) -> AsyncIterator[Sequence[Parsed]]:
    yield [Numbered(line, item) for line, item in enumerate(request.items or [], 1)]


async def _source(files: Files, tenant: str, request: BatchRequest) -> Source:
    assert request.input_file_id is not None
    try:
        file = await files.get(tenant, request.input_file_id)
    except FileNotFound as error:
        raise InvalidItems(
            f"input_file_id: {error.message}",
            problems=[{"line": 0, "code": error.code, "detail": error.message}],
        ) from None
    return Source(file.name, files.content(tenant, file.id))
