from typing import Any

import pytest
from tests.support.api import TEAM, serve, world


def test_registered_teams_are_listed_and_read_by_name() -> None:
    async def scenario() -> None:
        async with world() as w:
            page = (await w.client.get("/v1/teams")).json()
            (team,) = page["data"]
            assert (team["name"], team["agents"], team["tools"]) == (
                "writers",
                ["writer"],
                ["note"],
            )
            assert (page["next_cursor"], page["has_more"]) == (None, False)
            assert (await w.client.get("/v1/teams/writers")).json() == team
            run = (await w.client.post("/v1/runs", json={"team": "writers", "input": "x"})).json()
            assert run["team"]["digest"] == team["digest"]

    serve(scenario())


def test_a_team_that_is_not_registered_is_404() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/teams/nobody")
            assert (answer.status_code, answer.json()["code"]) == (404, "team_not_found")

    serve(scenario())


@pytest.mark.parametrize("body", [{"team": "writers"}, {"team_spec": TEAM}])
def test_a_correct_definition_is_valid(body: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/teams:validate", json=body)
            assert (answer.status_code, answer.json()["valid"]) == (200, True)
            assert answer.json()["errors"] == []

    serve(scenario())


def test_an_invalid_definition_is_200_with_all_problems() -> None:
    agent = {**TEAM["participants"][0], "model": "nope", "tools": ["nothing"]}
    spec = {**TEAM, "participants": [agent]}

    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/teams:validate", json={"team_spec": spec})
            found = answer.json()
            assert (answer.status_code, found["valid"]) == (200, False)
            assert [(fault["pointer"], fault["code"]) for fault in found["errors"]] == [
                ("/team_spec/participants/0/model", "unknown_model"),
                ("/team_spec/participants/0/tools/0", "unknown_tool"),
            ]

    serve(scenario())


def test_a_definition_with_many_problems_has_a_bounded_answer() -> None:
    agent = {**TEAM["participants"][0], "tools": [f"t{index}" for index in range(150)]}
    spec = {**TEAM, "participants": [agent]}

    async def scenario() -> None:
        async with world() as w:
            validated = await w.client.post("/v1/teams:validate", json={"team_spec": spec})
            run = await w.client.post("/v1/runs", json={"team_spec": spec, "input": "x"})
            assert (validated.status_code, run.status_code) == (200, 422)
            assert run.json()["errors"] == validated.json()["errors"]
            assert len(run.json()["errors"]) == 101
            assert "50 more are not listed" in run.json()["errors"][-1]["detail"]

    serve(scenario())


@pytest.mark.parametrize(
    "body", [{}, {"team": "writers", "team_spec": TEAM}, {"team": 1}, {"spec": {}}, {"team": ""}]
)
def test_a_request_that_is_wrong_itself_is_422(body: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/teams:validate", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")

    serve(scenario())


AGENT = {"name": "writer", "model": "nope"}
COMPONENT: dict[str, Any] = {
    "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
    "component_type": "team",
    "config": {"participants": [], "max_turns": 1},
}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (TEAM, []),
        ({**TEAM, "participants": [AGENT]}, ["/participants/0/model"]),
        (COMPONENT, ["/config/participants"]),
        ({"participants": [AGENT]}, ["/type"]),
        ({"id": 1, "user_id": "x", "component": COMPONENT}, [""]),
        ({"name": "Default", "components": {"teams": [COMPONENT]}}, [""]),
    ],
)
def test_a_body_that_is_the_definition_itself_is_checked(
    body: dict[str, Any], pointers: list[str]
) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/teams:validate", json=body)
            found = answer.json()
            assert answer.status_code == 200
            assert [fault["pointer"] for fault in found["errors"]] == pointers
            stored = await w.client.post("/v1/teams?name=new", json=body)
            faults = stored.json().get("errors", [])
            assert [fault["pointer"] for fault in faults] == pointers

    serve(scenario())
