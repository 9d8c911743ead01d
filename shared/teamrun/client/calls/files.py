"""Calls of `/v1/files`: uploaded files with the items of batches."""

from os import PathLike
from pathlib import Path

from teamrun.batches.resources import File, FilePage
from teamrun.client.building import delete, get, json_of, path_of, query_of
from teamrun.client.calls.targets import target_of
from teamrun.client.requests import Download, Paged, Reply, Request, Upload
from teamrun.errors import UsageError

__all__ = ["delete_file", "download", "get_file", "list_files", "read", "upload"]

_FILE = json_of(File)
_PAGE = json_of(FilePage)

_TYPES = {".csv": "text/csv", ".jsonl": "application/x-ndjson"}


def upload(path: str | PathLike[str], *, name: str | None = None) -> Request[File]:
    """Upload a file with the items of a batch; it is sent while it is read.

    Args:
        path: The file.
        name: Its name on the server, by default the same; `.csv` at its end means CSV.

    Raises:
        UsageError: There is no such file.
    """
    source = Path(path)
    if not source.is_file():
        raise UsageError(f"{str(source)!r} is not a file.")
    return Request(
        method="POST",
        path=path_of("files"),
        read=_FILE,
        query=query_of({"name": name or source.name}),
        body=Upload(source, _TYPES.get(source.suffix.lower(), "application/octet-stream")),
    )


def list_files(*, limit: int | None = None, after: str | None = None) -> Paged[File]:
    """List the uploaded files, newest first. Iterating the result reads page after page.

    Args:
        limit: The number of files per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return Paged(get(path_of("files"), _PAGE, query={"limit": limit, "after": after}))


def get_file(file_id: str) -> Request[File]:
    """Read the name, the size and the digest of a file."""
    return get(path_of("files", file_id), _FILE)


def read(file_id: str) -> Request[bytes]:
    """Read a file into memory."""
    return get(path_of("files", file_id, "content"), _content, headers={"Accept": "*/*"})


def download(file_id: str, to: str | PathLike[str], *, replace: bool = False) -> Download:
    """Download a file piece by piece; the result is its path. A download that breaks is resumed.

    Args:
        file_id: The file.
        to: The path to write to, or a folder, in which its name is the id.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsError: There is a file, and `replace` is not set.
    """
    return Download(read(file_id), target_of(to, file_id), replace)


def delete_file(file_id: str) -> Request[None]:
    """Delete a file. Batches that were made of it have their own copy of its items."""
    return delete(path_of("files", file_id))


def _content(reply: Reply) -> bytes:
    return reply.content
