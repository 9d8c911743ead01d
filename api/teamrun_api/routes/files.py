"""`/v1/files`: files with the items of batches."""

import re
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from teamrun.batches.resources import File, FilePage
from teamrun.errors import (
    FileNotFound,
    FileTooLarge,
    IdempotencyConflict,
    InvalidItems,
    UsageError,
)
from teamrun_api.answers import json_answer, not_modified
from teamrun_api.conditional import blob_tag, matches
from teamrun_api.context import Call
from teamrun_api.declare import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    answer,
    content,
    problems,
    takes_bytes,
)
from teamrun_api.dependencies import RunReader, RunWriter
from teamrun_api.faults import (
    InvalidIdempotencyKey,
    RangeNotSatisfiable,
    RequestTimeout,
    UnsupportedMediaType,
)
from teamrun_api.queries import wrong_parameter
from teamrun_api.ranges import RANGE, start_of

__all__ = ["router"]

router = APIRouter(tags=["files"], default_response_class=Response)

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,256}")

FileId = Annotated[
    str, Path(description="The file's id.", max_length=128, examples=["file_01jd8v3m7q"])
]


@router.post(
    "/v1/files",
    operation_id="uploadFile",
    summary="Upload a file",
    status_code=201,
    responses={
        201: answer(
            "The file is stored.", File, "File.uploaded", "Location", "Idempotency-Replayed"
        ),
        **problems(
            FileTooLarge,
            InvalidItems,
            UnsupportedMediaType,
            RequestTimeout,
            InvalidIdempotencyKey,
            IdempotencyConflict,
        ),
    },
    openapi_extra={"requestBody": takes_bytes("FileLines"), "parameters": [IDEMPOTENCY_KEY]},
)
async def upload_file(
    call: RunWriter,
    name: Annotated[
        str | None,
        Query(
            max_length=256,
            pattern=f"^{_NAME.pattern}$",
            description="The client's name of the file; `.csv` at its end means CSV.",
            examples=["tasks.jsonl"],
        ),
    ] = None,
) -> Response:
    """Upload the items of a batch: the body is the file itself, as `curl --data-binary` sends it.

    The file is stored while it arrives, so it may be larger than other bodies.
    """
    file, replayed = await call.batches.files.upload_once(
        call.tenant,
        call.request.stream(),
        name=name,
        limit=call.api.settings.file_limit_bytes,
        key=call.idempotency_key(),
    )
    headers = {"Location": call.link(f"/v1/files/{file.id}")}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_answer(file, status=201, headers=headers)


@router.get(
    "/v1/files",
    operation_id="listFiles",
    summary="List files",
    responses={200: answer("A page of files.", FilePage, "Files"), **problems()},
)
async def list_files(
    call: RunReader,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of files.")] = 20,
    after: Annotated[
        str | None, Query(max_length=256, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List the files of the caller's tenant, newest first."""
    try:
        page = await call.batches.files.list(call.tenant, limit=limit, after=after)
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    return json_answer(page)


@router.get(
    "/v1/files/{file_id}",
    operation_id="getFile",
    summary="Read the description of a file",
    responses={200: answer("The file.", File, "File.uploaded"), **problems(FileNotFound)},
)
async def get_file(call: RunReader, file_id: FileId) -> Response:
    """Read the name, the size and the digest of a file."""
    return json_answer(await call.batches.files.get(call.tenant, file_id))


@router.get(
    "/v1/files/{file_id}/content",
    operation_id="getFileContent",
    summary="Download a file",
    responses={
        200: content(
            "The bytes of the file.",
            {"application/octet-stream": ({"type": "string", "format": "binary"}, "File")},
            "ETag",
            "Content-Disposition",
        ),
        206: {"description": "The bytes from the requested one on."},
        304: {"description": "The file has not changed; files never do."},
        **problems(FileNotFound, RangeNotSatisfiable),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH, RANGE]},
)
async def get_content(call: RunReader, file_id: FileId) -> Response:
    """Download a file as it was uploaded. `Range: bytes=N-` resumes a download."""
    file = await call.batches.files.get(call.tenant, file_id)
    tag = blob_tag(file.sha256)
    if matches(call.header("if-none-match"), tag):
        return not_modified(tag)
    start = start_of(call, file.size, tag)
    chunks = await _begun(call, file_id, start)
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Content-Length": str(file.size - start),
        "Content-Disposition": f'attachment; filename="{file.id}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-cache",
    }
    if start:
        headers["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
    return StreamingResponse(
        chunks,
        status_code=206 if start else 200,
        media_type="application/octet-stream",
        headers=headers,
    )


async def _begun(call: Call, file_id: str, start: int) -> AsyncGenerator[bytes, None]:
    """The content; its first chunk has been read, so that a missing file is an answer."""
    chunks = call.batches.files.content(call.tenant, file_id, start=start)
    first = await anext(chunks, b"")

    async def whole() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    return whole()


@router.delete(
    "/v1/files/{file_id}",
    operation_id="deleteFile",
    summary="Delete a file",
    status_code=204,
    responses={204: {"description": "The file is gone."}, **problems(FileNotFound)},
)
async def delete_file(call: RunWriter, file_id: FileId) -> Response:
    """Delete a file. Batches that were made of it have their own copy of its items."""
    await call.batches.files.delete(call.tenant, file_id)
    return Response(status_code=204)
