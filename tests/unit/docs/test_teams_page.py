"""`docs/reference/teams.md`: each picture is the graph of its example, and each example runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.pages import merged, page
from tests.support.team_cases import progress

from teamrun.catalog.graph import graph_of
from teamrun.components.building.teams import build_team
from teamrun.components.definitions.kinds import TEAMS
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.messages import BaseChatMessage

BLOCKS = [block for block in page("docs/reference/teams.md").blocks if block.language]
FILES = [yaml.safe_load(block.text) for block in BLOCKS if block.language == "yaml"]
PICTURES = [block for block in BLOCKS if block.language == "mermaid"]
NAMES = [list(each["teams"])[-1] for each in FILES[1:]]
"""The team of each picture: the last one of the block before it."""

team_file: dict[str, Any] = {}
for part in FILES:
    team_file = merged(team_file, part)


def handoff(target: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": f"transfer_to_{target}", "arguments": {}}]}


RUNS: dict[str, tuple[dict[str, list[Any]], str]] = {
    "reflection": (
        {"writer": ["One", "Two"], "critic": ["No", "APPROVE"]},
        "writer critic writer critic",
    ),
    "newsroom": (
        {
            "selector": ["researcher", "writer", "critic"],
            "researcher": ["Facts"],
            "writer": ["Text"],
            "critic": ["APPROVE"],
        },
        "researcher writer critic",
    ),
    "service": (
        {"reception": [handoff("orders")], "orders": ["CLOSED"]},
        "reception orders",
    ),
    "desk": (
        {
            "writer": ["One", "Two"],
            "researcher": ["Facts", "Facts"],
            "critic": ["REVISE", "APPROVE"],
            "editor": ["Done"],
        },
        "writer critic+researcher writer critic+researcher editor",
    ),
    "expedition": (
        {
            "orchestrator": [
                "Facts",
                "Plan",
                progress("researcher", "Look."),
                progress("writer", "Write."),
                progress("writer", "Nothing.", done=True),
                "Answer",
            ],
            "researcher": ["Facts"],
            "writer": ["Text"],
        },
        "researcher writer",
    ),
    "chain": (
        {"researcher": ["1"], "writer": ["2"], "editor": ["3"]},
        "researcher writer editor",
    ),
    "survey": (
        {"researcher": ["1"], "writer": ["2"], "editor": ["3"]},
        "researcher+writer editor",
    ),
    "project": (
        {
            "editor": ["researcher: look\nwriter: write", "Done"],
            "researcher": ["1"],
            "writer": ["2"],
        },
        "editor researcher+writer editor",
    ),
    "panel": (
        {"writer": ["1", "2"], "critic": ["3", "4"], "editor": ["Done"]},
        "critic+writer critic+writer editor",
    ),
    "contest": (
        {"writer": ["1"], "researcher": ["2"], "editor": ["writer"]},
        "researcher+writer editor writer",
    ),
    "magazine": (
        {"researcher": ["1"], "writer": ["2"], "critic": ["3"], "editor": ["4"]},
        "researcher writer critic editor",
    ),
    "bureau": (
        {
            "lead": [{"tool_calls": [{"name": "pair", "arguments": {"task": "Go"}}]}, "Done"],
            "writer": ["1"],
            "critic": ["2"],
        },
        "writer critic lead",
    ),
    "office": (
        {"researcher": ["1"], "writer": ["2"], "critic": ["3"], "desk_head": ["4"]},
        "researcher writer critic desk_head",
    ),
}
"""What the models answer, and who speaks; `a+b` at the same time, in any order."""


def registry(folder: Path, script: dict[str, list[Any]]) -> Registry:
    path = folder / "teamrun.yaml"
    models = {"main": {"type": "scripted", "script": script}}
    path.write_text(json.dumps({**team_file, "models": models}), encoding="utf-8")
    return load_registry(path, environ={})


def test_every_picture_is_of_a_team_that_runs_here() -> None:
    assert len(PICTURES) == len(NAMES)
    assert set(NAMES) == RUNS.keys()
    assert {team["type"] for team in team_file["teams"].values()} == set(TEAMS.types) - {
        "custom_team"  # its members are not visible, so there is no picture
    }


@pytest.mark.parametrize(("name", "picture"), list(zip(NAMES, PICTURES, strict=True)), ids=NAMES)
def test_a_picture_is_the_graph_of_its_example(name: str, picture: Any, tmp_path: Path) -> None:
    team = registry(tmp_path, {}).resolve(team=name)

    assert picture.text == graph_of(team.definition, name=name, version=team.version).mermaid


@pytest.mark.parametrize("name", NAMES)
async def test_an_example_runs_in_the_order_of_its_picture(name: str, tmp_path: Path) -> None:
    script, expected = RUNS[name]
    known = registry(tmp_path, script)
    team = build_team(known.resolve(team=name).definition, known)

    result = await team.run(task="Go")

    agents = {
        node.name
        for node in graph_of(known.resolve(team=name).definition, name=name, version="").nodes
    }
    spoke = [
        message.source
        for message in result.messages
        if isinstance(message, BaseChatMessage) and message.source in agents
    ]
    for step in expected.split():
        those, spoke = spoke[: step.count("+") + 1], spoke[step.count("+") + 1 :]
        assert "+".join(sorted(those)) == step
    assert spoke == []
