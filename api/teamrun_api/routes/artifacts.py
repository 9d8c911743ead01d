"""`/v1/runs/{run_id}/artifacts`: the files that a run has left."""

import re
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response, StreamingResponse

from teamrun.errors import ArtifactNotFound, DamagedBlob, RunNotFound, UnreadableEntry
from teamrun.runs.log.entries import ArtifactRecord
from teamrun.runs.service.resources import Artifact, ArtifactPage
from teamrun_api.answers import json_answer, not_modified
from teamrun_api.conditional import blob_tag, matches
from teamrun_api.context import Call
from teamrun_api.declare import IF_NONE_MATCH, Responses, answer, content, problems
from teamrun_api.dependencies import RunId, RunReader

__all__ = ["router"]

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(; ?charset=[\w-]{1,32})?", re.ASCII)

_FILE: Responses = {
    200: content(
        "The bytes of the file.",
        # The type is the file's own; generators look for the first.
        {
            "application/octet-stream": ({"type": "string", "format": "binary"}, "File"),
            "*/*": ({"type": "string", "format": "binary"}, "File"),
        },
        "ETag",
        "Content-Disposition",
    ),
    304: {"description": "The file has not changed."},
    **problems(RunNotFound, ArtifactNotFound, UnreadableEntry, DamagedBlob),
}

Name = Annotated[str, Path(max_length=128, description="The file's name.", examples=["chart.png"])]

router = APIRouter(tags=["artifacts"], default_response_class=Response)


@router.get(
    "/v1/runs/{run_id}/artifacts",
    operation_id="listRunArtifacts",
    summary="List the files of a run",
    responses={
        200: answer("Every version of every file.", ArtifactPage, "Artifacts"),
        **problems(RunNotFound, UnreadableEntry),
    },
)
async def list_artifacts(call: RunReader, run_id: RunId) -> Response:
    """List the files of the run; while it runs, more may follow."""
    records = await call.service.artifacts(call.tenant, run_id)
    return json_answer(ArtifactPage(data=[_resource(call, run_id, record) for record in records]))


@router.get(
    "/v1/runs/{run_id}/artifacts/{name}",
    operation_id="getRunArtifact",
    summary="Download the newest version of a file",
    responses=_FILE,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def get_artifact(call: RunReader, run_id: RunId, name: Name) -> Response:
    """Download a file. It is sent as an attachment, so that browsers never display it."""
    record = await call.service.artifact_record(call.tenant, run_id, name)
    return await _file(call, run_id, record)


@router.get(
    "/v1/runs/{run_id}/artifacts/{name}/versions/{version}",
    operation_id="getRunArtifactVersion",
    summary="Download one version of a file",
    responses=_FILE,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def get_artifact_version(
    call: RunReader,
    run_id: RunId,
    name: Name,
    version: Annotated[
        int, Path(ge=1, le=1_000_000, description="The version, from 1.", examples=[1])
    ],
) -> Response:
    """Download a version of a file; it never changes."""
    record = await call.service.artifact_record(call.tenant, run_id, name, version=version)
    return await _file(call, run_id, record, cache="private, max-age=31536000, immutable")


def _resource(call: Call, run_id: str, record: ArtifactRecord) -> Artifact:
    url = f"/v1/runs/{run_id}/artifacts/{record.name}/versions/{record.version}"
    return Artifact(
        name=record.name,
        version=record.version,
        media_type=record.media_type,
        size=record.size,
        sha256=record.sha256,
        url=call.link(url),
    )


async def _file(
    call: Call, run_id: str, record: ArtifactRecord, *, cache: str = "private, no-cache"
) -> Response:
    tag, given = blob_tag(record.sha256), record.media_type
    if matches(call.header("if-none-match"), tag):
        return not_modified(tag)
    return StreamingResponse(
        await call.service.open_artifact(call.tenant, run_id, record),
        media_type=given if _MEDIA_TYPE.fullmatch(given) else "application/octet-stream",
        headers={
            "ETag": tag,
            "Content-Length": str(record.size),
            "Content-Disposition": f'attachment; filename="{record.name}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": cache,
        },
    )
