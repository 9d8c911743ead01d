"""Calls of `/v1/teams`: the teams that the operator registered."""

from teamrun.client.building import get, json_of, path_of, post
from teamrun.client.calls.run_options import Team, team_of
from teamrun.client.requests import Paged, Request
from teamrun.components.resources import TeamPage, TeamSummary, Validation

__all__ = ["get_team", "list_teams", "validate"]

_PAGE = json_of(TeamPage)
_TEAM = json_of(TeamSummary)
_VALIDATION = json_of(Validation)


def list_teams() -> Paged[TeamSummary]:
    """List the teams that a run can name."""
    return Paged(get(path_of("teams"), _PAGE))


def get_team(name: str) -> Request[TeamSummary]:
    """Read a registered team."""
    return get(path_of("teams", name), _TEAM)


def validate(team: Team) -> Request[Validation]:
    """Check a team without running it; the result lists every error.

    Args:
        team: The name of a registered team, or a definition.
    """
    return post("/v1/teams:validate", _VALIDATION, team_of(team))
