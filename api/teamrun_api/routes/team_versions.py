"""`/v1/teams/{name}/versions` and what points to versions: aliases, and differences."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator
from starlette.responses import Response

from teamrun.catalog.requests import AliasRequest, VersionRequest, check_alias
from teamrun.catalog.resources import TeamDiff, TeamVersion, VersionPage
from teamrun.components.resources import TeamSummary
from teamrun.errors import (
    DefinitionError,
    IdempotencyConflict,
    PreconditionFailed,
    TeamNotFound,
    TeamReadOnly,
    TeamVersionNotFound,
    TooManyTeams,
    UsageError,
)
from teamrun_api.answers import json_answer
from teamrun_api.bodies import Defined, DefinitionBody, JsonBody
from teamrun_api.conditional import version_if_given, version_in
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_MATCH_OR_ANY,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import TeamName, TeamReader, TeamWriter
from teamrun_api.faults import InvalidIdempotencyKey, PreconditionRequired
from teamrun_api.queries import wrong_parameter
from teamrun_api.routes.teams import tagged

__all__ = ["router"]

router = APIRouter(tags=["teams"], default_response_class=Response)

Version = Annotated[
    str,
    Path(max_length=64, description="A number, an alias or `latest`.", examples=["2"]),
]

Alias = Annotated[str, Path(max_length=64, description="The alias.", examples=["production"])]

NewAlias = Annotated[Alias, AfterValidator(check_alias)]


@router.post(
    "/v1/teams/{name}/versions",
    operation_id="addTeamVersion",
    summary="Add a version of a team",
    status_code=201,
    responses={
        200: answer(
            "The newest version, which has the same definition.",
            TeamVersion,
            "Version",
            "Idempotency-Replayed",
        ),
        201: answer(
            "The version.", TeamVersion, "VersionAdded", "Location", "Idempotency-Replayed"
        ),
        **problems(
            *BODY,
            InvalidIdempotencyKey,
            DefinitionError,
            IdempotencyConflict,
            TeamNotFound,
            TeamReadOnly,
            TooManyTeams,
            PreconditionFailed,
        ),
    },
    openapi_extra={
        "requestBody": takes(VersionRequest, "AddVersion"),
        "parameters": [IDEMPOTENCY_KEY, IF_MATCH_OR_ANY],
    },
)
async def add_team_version(
    call: TeamWriter,
    name: TeamName,
    request: Annotated[Defined[VersionRequest], Depends(DefinitionBody(VersionRequest))],
) -> Response:
    """Add a version, which never changes; runs that name no version use the newest one.

    The body may also be the definition, or AutoGen component JSON, itself.
    """
    key = call.idempotency_key()
    revision = version_if_given(call.header("if-match"))
    added = await call.teams.add_version(
        call.tenant, name, request.body, revision=revision, key=key, at=request.at
    )
    headers = {"Idempotency-Replayed": "true"} if added.replayed else {}
    if not added.is_new:
        return json_answer(added.version, headers=headers)
    headers["Location"] = call.link(f"/v1/teams/{name}/versions/{added.version.version}")
    return json_answer(added.version, status=201, headers=headers)


@router.get(
    "/v1/teams/{name}/versions",
    operation_id="listTeamVersions",
    summary="List the versions of a team",
    responses={
        200: answer("A page of versions, the newest first.", VersionPage, "Versions"),
        **problems(TeamNotFound),
    },
)
async def list_team_versions(
    call: TeamReader,
    name: TeamName,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of versions.")] = 20,
    after: Annotated[
        str | None, Query(max_length=64, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List the versions of a team, the newest first, without their definitions."""
    try:
        page = await call.teams.versions(call.tenant, name, limit=limit, after=after)
    except TeamNotFound:
        raise
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None
    return json_answer(page)


@router.get(
    "/v1/teams/{name}/versions/{version}",
    operation_id="getTeamVersion",
    summary="Read a version of a team",
    responses={
        200: answer("The version.", TeamVersion, "Version"),
        **problems(TeamNotFound, TeamVersionNotFound),
    },
)
async def get_team_version(call: TeamReader, name: TeamName, version: Version) -> Response:
    """Read a version with its definition."""
    return json_answer(await call.teams.version(call.tenant, name, version))


@router.put(
    "/v1/teams/{name}/aliases/{alias}",
    operation_id="putTeamAlias",
    summary="Point an alias to a version",
    responses={
        200: answer("The team.", TeamSummary, "StoredTeam", "ETag"),
        **problems(
            *BODY,
            TeamNotFound,
            TeamVersionNotFound,
            TeamReadOnly,
            TooManyTeams,
            PreconditionFailed,
            PreconditionRequired,
        ),
    },
    openapi_extra={"requestBody": takes(AliasRequest, "PutAlias"), "parameters": [IF_MATCH]},
)
async def put_team_alias(
    call: TeamWriter,
    name: TeamName,
    alias: NewAlias,
    request: Annotated[AliasRequest, Depends(JsonBody(AliasRequest))],
) -> Response:
    """Create an alias, or move it to another version; `If-Match` is required."""
    revision = version_in(call.header("if-match"))
    team = await call.teams.put_alias(call.tenant, name, alias, request, revision=revision)
    return tagged(team)


@router.delete(
    "/v1/teams/{name}/aliases/{alias}",
    operation_id="deleteTeamAlias",
    summary="Delete an alias",
    status_code=204,
    responses={
        204: {"description": "The alias is gone."},
        **problems(TeamNotFound, TeamVersionNotFound, TeamReadOnly, PreconditionFailed),
    },
    openapi_extra={"parameters": [IF_MATCH_OR_ANY]},
)
async def delete_team_alias(call: TeamWriter, name: TeamName, alias: Alias) -> Response:
    """Delete an alias; the version that it points to stays."""
    revision = version_if_given(call.header("if-match"))
    await call.teams.delete_alias(call.tenant, name, alias, revision=revision)
    return Response(status_code=204)


@router.get(
    "/v1/teams/{name}/diff",
    operation_id="diffTeamVersions",
    summary="Compare two versions of a team",
    responses={
        200: answer("The differences.", TeamDiff, "TeamDiff"),
        **problems(TeamNotFound, TeamVersionNotFound),
    },
)
async def diff_team_versions(
    call: TeamReader,
    name: TeamName,
    from_: Annotated[
        str,
        Query(alias="from", max_length=64, description="The version before.", examples=["1"]),
    ],
    to: Annotated[
        str, Query(max_length=64, description="The version after.", examples=["latest"])
    ] = "latest",
) -> Response:
    """List what differs between the definitions of two versions."""
    return json_answer(await call.teams.diff(call.tenant, name, before=from_, after=to))
