"""Each recipe as it is: scripted words, real tools, to its end."""

import asyncio
import re
import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.terminal import at_terminal

from teamrun.components.building.teams import build_team
from teamrun.components.team_file import load_registry
from teamrun.errors import FatalToolError
from teamrun.messages import BaseChatMessage, ToolCallExecutionEvent
from teamrun.testing import ScriptedModel
from teamrun.tools import MemoryArtifacts, use_artifacts

FOLDER = Path(__file__).parents[3] / "examples" / "recipes"
PAGE = FOLDER.parents[1] / "docs" / "how-to" / "recipes.md"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    ends: str
    """Part of the last message."""
    code: str
    """The code of the reason why it stops."""
    speakers: str
    """Those who sent the messages, in order."""
    tools: str
    """The tools that were called, in order."""
    figures: str = ""
    """Numbers of the last answer with figures, which the tools must have returned."""
    lines: tuple[str, ...] = ()
    """What a person types."""
    files: tuple[str, ...] = ()
    at_once: bool = False
    """Whether some speak at the same time, so that their order may differ."""


RECIPES = [
    Recipe(
        name="react",
        ends="3688 metres. FINISH",
        code="text_mention",
        speakers="user solver",
        tools="look_up look_up calculate",
        figures="3688",
    ),
    Recipe(
        name="plan_and_execute",
        ends="DONE",
        code="text_mention",
        speakers="user planner executor planner",
        tools="write_shared_memory read_shared_memory look_up look_up calculate",
        figures="2,962 1,345 120.223",
    ),
    Recipe(
        name="reflection",
        ends="APPROVE",
        code="text_mention",
        speakers="user author reviewer author reviewer",
        tools="",
    ),
    Recipe(
        name="human_approval",
        ends="CLOSED",
        code="text_mention",
        speakers="user clerk",
        tools="order_status refund",
        figures="58.50",
        lines=("y",),
    ),
    Recipe(
        name="customer_handoff",
        ends="CLOSED",
        code="text_mention",
        speakers="user reception orders complaints",
        tools="transfer_to_orders order_status transfer_to_complaints",
    ),
    Recipe(
        name="research_graph",
        ends="Exports come first",
        code="graph_complete",
        speakers="user planner interviews tickets writer",
        at_once=True,
        tools="search_notes search_notes",
        figures="96 240",
    ),
    Recipe(
        name="task_chain",
        ends="ticket.md",
        code="steps_complete",
        speakers="user extractor classifier scribe",
        tools="save",
        files=("ticket.md",),
    ),
    Recipe(
        name="debate",
        ends="Exports first: 96 tickets",
        code="steps_complete",
        speakers="user exports invoices DebateGroupChatManager exports invoices "
        "DebateGroupChatManager judge",
        at_once=True,
        tools="search_notes",
        figures="96 30",
    ),
    Recipe(
        name="map_and_synthesise",
        ends="agree on exports",
        code="steps_complete",
        speakers="user talks support ConcurrentGroupChatManager editor",
        at_once=True,
        tools="search_notes search_notes",
        figures="96 240 30",
    ),
    Recipe(
        name="magentic_planning",
        ends="3.57323 times",
        code="request_satisfied",
        speakers="user MagenticOneOrchestrator MagenticOneOrchestrator finder "
        "MagenticOneOrchestrator reckoner MagenticOneOrchestrator",
        tools="look_up look_up calculate",
        figures="4,806 1,345 3.57323",
    ),
    Recipe(
        name="data_analysis",
        ends="APPROVE",
        code="text_mention",
        speakers="user ann carl ann carl",
        tools="query query",
        figures="134247.5 78020.0 56227.5",
    ),
]


async def played(recipe: Recipe) -> tuple[list[Any], str | None, MemoryArtifacts]:
    path = FOLDER / f"{recipe.name}.yaml"
    registry = load_registry(path, environ={})
    assert registry.warnings == []
    team = build_team(registry.resolve(team=recipe.name).definition, registry)
    client = registry.model_client("main")
    assert isinstance(client, ScriptedModel)
    files = MemoryArtifacts()
    with use_artifacts(files), client:  # a step left over is an error
        result = await team.run(task=task_of(path))
    await registry.close()
    return list(result.messages), team.stop_code, files


def task_of(path: Path) -> str:
    """The task in the command at the head of the file."""
    text = path.read_text(encoding="utf-8")
    found = re.search(
        rf'# teamrun run {path.stem} "(.+)" --config examples/recipes/{path.name}', text
    )
    assert found, f"{path.name} has no command in its second line"
    return found[1]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_runs_to_its_end(recipe: Recipe) -> None:
    with at_terminal(recipe.lines):
        messages, code, files = asyncio.run(played(recipe))

    said = [message for message in messages if isinstance(message, BaseChatMessage)]
    results = [
        result
        for message in messages
        if isinstance(message, ToolCallExecutionEvent)
        for result in message.content
    ]
    assert recipe.ends in said[-1].to_text()
    assert (code, files.names()) == (recipe.code, list(recipe.files))
    order = sorted if recipe.at_once else list
    assert order([message.source for message in said]) == order(recipe.speakers.split())
    assert [result.name for result in results] == recipe.tools.split()
    assert [result.content for result in results if result.is_error] == []
    found = " ".join(result.content.replace(",", "") for result in results)
    answers = " ".join(message.to_text() for message in said)
    for figure in recipe.figures.split():
        assert figure in answers
        assert figure.replace(",", "") in found, f"no tool returned {figure}"


def test_every_recipe_is_tested_and_on_the_page() -> None:
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))

    assert names == sorted(recipe.name for recipe in RECIPES)
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in names if f"recipes/{name}.yaml" not in page] == []


def test_data_analysis_works_in_another_folder(tmp_path: Path) -> None:
    copied = shutil.copy(FOLDER / "recipe_tools.py", tmp_path)
    query = runpy.run_path(str(copied))["query"]
    with pytest.raises(FatalToolError, match=r"no sales\.csv in .*; copy it from") as refused:
        query("select count(*) from sales")
    assert str(tmp_path) in refused.value.message

    shutil.copy(FOLDER.parent / "sales.csv", tmp_path)

    assert query("select count(*) from sales").splitlines()[-1] == "337"
