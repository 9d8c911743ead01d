"""`/v1/teams`: the teams of the operator and of the tenant, and the validation of definitions."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from teamrun.catalog.public import SPEC
from teamrun.catalog.requests import TeamPatch, TeamRequest
from teamrun.catalog.resources import TeamGraph, TeamSchema
from teamrun.components.resources import (
    DefinitionProblem,
    Note,
    TeamPage,
    TeamSummary,
    Validation,
)
from teamrun.errors import (
    DefinitionError,
    IdempotencyConflict,
    PreconditionFailed,
    TeamDeleted,
    TeamNameTaken,
    TeamNotFound,
    TeamReadOnly,
    TeamVersionNotFound,
    TooManyTeams,
    UsageError,
)
from teamrun_api.answers import json_answer, not_modified
from teamrun_api.bodies import Defined, DefinitionBody, JsonBody
from teamrun_api.conditional import (
    blob_tag,
    matches,
    version_if_given,
    version_in,
    version_tag,
)
from teamrun_api.declare import (
    BODY,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_MATCH_OR_ANY,
    IF_NONE_MATCH,
    answer,
    problems,
    takes,
)
from teamrun_api.dependencies import TeamName, TeamReader, TeamWriter
from teamrun_api.faults import InvalidIdempotencyKey, PreconditionRequired
from teamrun_api.queries import wrong_parameter
from teamrun_api.schemas import ValidateRequest

__all__ = ["WhichVersion", "router", "tagged"]

Placed = TypeVar("Placed", DefinitionProblem, Note)

router = APIRouter(tags=["teams"], default_response_class=Response)

WhichVersion = Annotated[
    str,
    Query(max_length=64, description="A number, an alias or `latest`.", examples=["latest"]),
]


def tagged(
    team: TeamSummary, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A team with its entity tag."""
    return json_answer(team, status=status, headers={"ETag": _tag(team), **(headers or {})})


def _tag(team: TeamSummary) -> str:
    return blob_tag(team.digest) if team.revision is None else version_tag(team.revision)


@router.post(
    "/v1/teams",
    operation_id="createTeam",
    summary="Register a team",
    status_code=201,
    responses={
        201: answer(
            "The team.", TeamSummary, "StoredTeam", "Location", "ETag", "Idempotency-Replayed"
        ),
        **problems(
            *BODY,
            InvalidIdempotencyKey,
            DefinitionError,
            IdempotencyConflict,
            TeamDeleted,
            TeamNameTaken,
            TooManyTeams,
        ),
    },
    openapi_extra={
        "requestBody": takes(TeamRequest, "CreateTeam", "CreateTeamOfComponent"),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def create_team(
    call: TeamWriter,
    request: Annotated[Defined[TeamRequest], Depends(DefinitionBody(TeamRequest))],
    name: Annotated[
        str | None,
        Query(max_length=64, description="The name, if the body is the definition itself."),
    ] = None,
) -> Response:
    """Register a team with its first version; runs of the tenant can name it from now on.

    The body may also be the definition, or AutoGen component JSON, itself.
    """
    key, body = call.idempotency_key(), request.body
    if name is not None:
        try:
            body = TeamRequest.model_validate({**body.model_dump(exclude_unset=True), "name": name})
        except ValueError:
            raise wrong_parameter(
                "name",
                "`name` begins with a letter or digit and has A-Z, a-z, digits, '_' and '-'",
                code="invalid_name",
            ) from None
    made = await call.teams.create(call.tenant, body, key=key, at=request.at)
    headers = {"Location": call.link(f"/v1/teams/{made.team.name}")}
    if made.replayed:
        headers["Idempotency-Replayed"] = "true"
    return tagged(made.team, status=201, headers=headers)


@router.get(
    "/v1/teams",
    operation_id="listTeams",
    summary="List registered teams",
    responses={200: answer("A page of teams, by name.", TeamPage, "Teams"), **problems()},
)
async def list_teams(
    call: TeamReader,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of teams.")] = 100,
    after: Annotated[
        str | None, Query(max_length=256, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List the teams of the operator's file and of the tenant, and the models that they use."""
    try:
        return json_answer(await call.teams.list(call.tenant, limit=limit, after=after))
    except UsageError as error:
        raise wrong_parameter("after", error.message, code="invalid_cursor") from None


@router.get(
    "/v1/teams/{name}",
    operation_id="getTeam",
    summary="Read a registered team",
    responses={
        200: answer("The team.", TeamSummary, "Team", "ETag"),
        304: {"description": "The team has not changed."},
        **problems(TeamNotFound),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def get_team(call: TeamReader, name: TeamName) -> Response:
    """Read one team."""
    team = await call.teams.get(call.tenant, name)
    if matches(call.header("if-none-match"), _tag(team)):
        return not_modified(_tag(team))
    return tagged(team)


@router.patch(
    "/v1/teams/{name}",
    operation_id="updateTeam",
    summary="Change a team",
    responses={
        200: answer("The team.", TeamSummary, "StoredTeam", "ETag"),
        **problems(
            *BODY,
            TeamNotFound,
            TeamReadOnly,
            TeamNameTaken,
            TooManyTeams,
            PreconditionFailed,
            PreconditionRequired,
        ),
    },
    openapi_extra={"requestBody": takes(TeamPatch, "UpdateTeam"), "parameters": [IF_MATCH]},
)
async def update_team(
    call: TeamWriter,
    name: TeamName,
    request: Annotated[TeamPatch, Depends(JsonBody(TeamPatch))],
) -> Response:
    """Change the name, the description or the metadata of a team; `If-Match` is required.

    Its versions do not change. Runs that are accepted already do not notice.
    """
    revision = version_in(call.header("if-match"))
    return tagged(await call.teams.update(call.tenant, name, request, revision=revision))


@router.delete(
    "/v1/teams/{name}",
    operation_id="deleteTeam",
    summary="Delete a team",
    status_code=204,
    responses={
        204: {"description": "The team is gone."},
        **problems(TeamNotFound, TeamReadOnly, PreconditionFailed),
    },
    openapi_extra={"parameters": [IF_MATCH_OR_ANY]},
)
async def delete_team(call: TeamWriter, name: TeamName) -> Response:
    """Delete a team with all versions. Its runs go on: each has its own copy of the definition."""
    revision = version_if_given(call.header("if-match"))
    await call.teams.delete(call.tenant, name, revision=revision)
    return Response(status_code=204)


@router.get(
    "/v1/teams/{name}/graph",
    operation_id="getTeamGraph",
    summary="Read the graph of a team",
    responses={
        200: answer("The graph.", TeamGraph, "TeamGraph"),
        **problems(TeamNotFound, TeamVersionNotFound),
    },
)
async def get_team_graph(
    call: TeamReader, name: TeamName, version: WhichVersion = "latest"
) -> Response:
    """Read the agents and teams of a version, and who may follow whom."""
    return json_answer(await call.teams.graph(call.tenant, name, version=version))


@router.get(
    "/v1/teams/{name}/schema",
    operation_id="getTeamSchema",
    summary="Read the schemas of a team",
    responses={
        200: answer("The schemas.", TeamSchema, "TeamSchema"),
        **problems(TeamNotFound, TeamVersionNotFound),
    },
)
async def get_team_schema(
    call: TeamReader, name: TeamName, version: WhichVersion = "latest"
) -> Response:
    """Read JSON Schemas of the input and output of runs of a version, and of people's answers."""
    return json_answer(await call.teams.schema(call.tenant, name, version=version))


@router.post(
    "/v1/teams:validate",
    operation_id="validateTeam",
    summary="Check a definition without running it",
    responses={
        200: answer(
            "Whether the definition is valid, with its errors and warnings.",
            Validation,
            "Validation",
        ),
        **problems(*BODY, InvalidIdempotencyKey),
    },
    openapi_extra={
        "requestBody": takes(ValidateRequest, "Validate"),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def validate_team(
    call: TeamReader,
    request: Annotated[Defined[ValidateRequest], Depends(DefinitionBody(ValidateRequest))],
) -> Response:
    """Check a team as a submit would. The answer is 200 also if it is invalid.

    The body may also be the definition, or AutoGen component JSON, itself.
    """
    call.idempotency_key()  # nothing is changed, so a right one makes no difference
    teams, body = call.service.teams, request.body
    found = await teams.validate(call.tenant, team=body.team, team_spec=body.team_spec)
    return json_answer(_placed(found, request.at))


def _placed(found: Validation, at: str) -> Validation:
    """A result with its pointers moved from `/team_spec` to `at`."""

    def moved(each: Placed) -> Placed:
        return each.model_copy(update={"pointer": at + each.pointer.removeprefix(SPEC)})

    if at == SPEC:
        return found
    errors, warnings = map(moved, found.errors), map(moved, found.warnings)
    return found.model_copy(update={"errors": [*errors], "warnings": [*warnings]})
