"""`teamrun teams`: the teams of a server."""

from pydantic import BaseModel

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.components.resources import ModelUse

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams"


class _Team(BaseModel):
    name: str
    type: str = ""
    agents: list[str] = []
    models: list[ModelUse] = []
    description: str | None = None


class _TeamPage(BaseModel):
    data: list[_Team]


def command(
    url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, json_: JsonOption = False
) -> None:
    """List the teams that a run can name."""
    answer = ApiClient(url, api_key=api_key).get("teams")
    if json_:
        print_json(answer)
        return
    rows = [
        (
            team.name,
            team.type,
            ", ".join(team.agents),
            ", ".join(use.answerer for use in team.models),
            team.description or "",
        )
        for team in _TeamPage.model_validate_json(answer).data
    ]
    print_table(("name", "type", "agents", "models", "description"), rows)
