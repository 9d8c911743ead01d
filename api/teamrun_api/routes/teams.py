"""`/v1/teams`: the registered teams, and the validation of definitions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from teamrun.components.resources import TeamPage, TeamSummary, Validation
from teamrun_api.answers import json_answer
from teamrun_api.bodies import JsonBody
from teamrun_api.declare import BODY, IDEMPOTENCY_KEY, answer, problems, takes
from teamrun_api.dependencies import TeamReader
from teamrun_api.faults import InvalidIdempotencyKey, TeamNotFound
from teamrun_api.schemas import ValidateRequest

__all__ = ["router"]

router = APIRouter(tags=["teams"], default_response_class=Response)


@router.get(
    "/v1/teams",
    operation_id="listTeams",
    summary="List registered teams",
    responses={200: answer("The teams, by name.", TeamPage, "Teams"), **problems()},
)
async def list_teams(call: TeamReader) -> Response:
    """List the teams of the operator's file, and the models that they use here."""
    return json_answer(TeamPage(data=await call.service.teams.all(call.tenant)))


@router.get(
    "/v1/teams/{name}",
    operation_id="getTeam",
    summary="Read a registered team",
    responses={
        200: answer("The team.", TeamSummary, "Team"),
        **problems(TeamNotFound),
    },
)
async def get_team(
    call: TeamReader,
    name: Annotated[
        str, Path(max_length=256, description="The team's name.", examples=["analysts"])
    ],
) -> Response:
    """Read one team."""
    team = await call.service.teams.get(call.tenant, name)
    if team is None:
        raise TeamNotFound(f"There is no team {name!r}; GET /v1/teams lists them.")
    return json_answer(team)


@router.post(
    "/v1/teams:validate",
    operation_id="validateTeam",
    summary="Check a definition without running it",
    responses={
        200: answer(
            "Whether the definition is valid, with all errors and warnings.",
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
    request: Annotated[ValidateRequest, Depends(JsonBody(ValidateRequest))],
) -> Response:
    """Check a team as a submit would. The answer is 200 also if it is invalid."""
    call.idempotency_key()  # nothing is changed, so a right one makes no difference
    teams = call.service.teams
    return json_answer(
        await teams.validate(call.tenant, team=request.team, team_spec=request.team_spec)
    )
