"""Whose words are the output of a run: those of the agents that its definition names."""

from typing import Any

import pytest
import yaml
from tests.support.api import serve, world
from tests.support.pages import page

from teamrun.testing import ScriptedModel

Json = dict[str, Any]


def agent(name: str, **fields: Any) -> Json:
    return {"type": "assistant_agent", "name": name, "model": "default", **fields}


def team(*participants: Json, **fields: Any) -> Json:
    return {"type": "round_robin_group_chat", "participants": list(participants), **fields}


INNER = team(agent("x"), agent("y"), name="inner", max_turns=2)
SPOKEN = team(agent("x"), agent("y"), name="inner", max_turns=2, output="x")
HANDS_OVER = agent("c", handoffs=["a"])
SCRIPT: dict[str, list[Any]] = {
    "a": ["a0", "a1", "a2"],
    "b": ["b0", "b1", "b2"],
    "c": ["c0", {"tool_calls": [{"name": "transfer_to_a", "arguments": {}}]}],
    "x": ["x0", "x1"],
    "y": ["y0", "y1"],
}


async def result_of(spec: Json, script: dict[str, list[Any]], **body: Any) -> Json:
    async with world(model=ScriptedModel(script)) as here:
        run_id = await here.ended(team=None, team_spec=spec, **body)
        return (await here.client.get(f"/v1/runs/{run_id}/result")).json()


_IDS = [
    *("default", "one", "list", "last of several", "none spoke"),
    *("inner agent", "inner team", "inner team with one", "inner output alone", "a handoff"),
]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (team(agent("a"), agent("b"), max_turns=4), "b1"),
        (team(agent("a"), agent("b"), max_turns=4, output="a"), "a1"),
        (team(agent("a"), agent("b"), max_turns=3, output=["b"]), "b0"),
        (team(agent("a"), agent("b"), agent("c"), max_turns=3, output=["b", "a"]), "b0"),
        (team(agent("a"), agent("b"), max_turns=1, output="b"), None),
        (team(INNER, agent("a"), max_turns=2, output="x"), "x0"),
        (team(INNER, agent("a"), max_turns=2, output="inner"), "y0"),
        (team(SPOKEN, agent("a"), max_turns=2, output="inner"), "x0"),
        (team(SPOKEN, agent("a"), max_turns=2), "a0"),
        (team(HANDS_OVER, agent("a"), max_turns=3, output="c"), "c0"),
    ],
    ids=_IDS,
)
def test_the_output_is_the_last_message_of_those_that_are_named(
    spec: Json, text: str | None
) -> None:
    async def scenario() -> None:
        result = await result_of(spec, SCRIPT)
        assert result["status"] == "completed"
        assert (result["output"] and result["output"]["text"]) == text

    serve(scenario())


def test_a_run_ended_by_a_limit_has_the_same_output() -> None:
    async def scenario() -> None:
        spec = team(agent("a"), agent("b"), max_turns=9, output="a")
        result = await result_of(spec, SCRIPT, limits={"max_turns": 4})
        assert (result["status"], result["output"]["text"]) == ("incomplete", "a1")

    serve(scenario())


def test_the_poets_of_the_readme_return_their_haiku() -> None:
    [text] = [block.text for block in page("README.md").blocks if block.language == "yaml"]
    file = yaml.safe_load(text)
    poets = file["teams"]["poets"]
    members = [
        agent(name, **file["agents"][name] | {"model": "default"}) for name in poets["agents"]
    ]
    script = {"writer": ["a draft", "the haiku"], "critic": ["warmer", "It has warmth. APPROVE"]}

    async def scenario() -> None:
        result = await result_of({**poets, "agents": members}, script)
        assert (result["stop_code"], result["output"]["text"]) == ("text_mention", "the haiku")

    serve(scenario())


@pytest.mark.parametrize(
    ("output", "pointer"),
    [
        ("writr", "/team_spec/output"),
        (["a", "writr"], "/team_spec/output/1"),
        ([], "/team_spec/output"),
        (7, "/team_spec/output"),
        ([7], "/team_spec/output/0"),
        ("user", "/team_spec/output"),
    ],
)
def test_an_output_of_an_unknown_agent_is_refused_at_its_location(
    output: Any, pointer: str
) -> None:
    async def scenario() -> None:
        async with world() as here:
            body = {"team_spec": team(agent("a"), agent("b"), max_turns=1, output=output)}
            checked = (await here.client.post("/v1/teams:validate", json=body)).json()
            assert [error["pointer"] for error in checked["errors"]] == [pointer]

    serve(scenario())
