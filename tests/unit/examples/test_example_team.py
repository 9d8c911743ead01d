"""The example as it is: scripted words, real tools, to the approval."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from teamrun.components.building.teams import build_team
from teamrun.components.team_file import load_registry
from teamrun.core.protocols import TaskResult
from teamrun.messages import (
    ModelClientStreamingChunkEvent,
    TextMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import MemoryArtifacts, use_artifacts

CONFIG = Path(__file__).parents[3] / "examples" / "teamrun.yaml"
NUMBER = re.compile(r"\d[\d,]*\.\d+")


class Played:
    """One run of the example."""

    def __init__(self) -> None:
        self.files = MemoryArtifacts()
        self.items: list[Any] = []

    async def play(self) -> "Played":
        registry = load_registry(CONFIG, environ={})
        team = build_team(registry.resolve(team="analysts").definition, registry)
        client = registry.model_client("main")
        assert isinstance(client, ScriptedModel)
        with use_artifacts(self.files), client:  # a step left over is an error
            async for item in team.run_stream(task="Which region sold most?"):
                self.items.append(item)
        await registry.close()
        self.stop_code = team.stop_code
        return self

    @property
    def result(self) -> TaskResult:
        return self.items[-1]

    def of(self, kind: type[Any]) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]


@pytest.fixture(scope="module")
def played() -> Played:
    return asyncio.run(Played().play())


def test_the_team_ends_with_the_approval_of_the_reviewer(played: Played) -> None:
    last = played.result.messages[-1]

    assert (last.source, played.stop_code) == ("reviewer", "text_mention")
    assert last.to_text().endswith("APPROVE")


def test_the_reviewer_asks_for_one_more_cut(played: Played) -> None:
    speakers = [message.source for message in played.of(TextMessage)]

    assert speakers == ["user", "analyst", "reviewer", "analyst", "reviewer"]


def test_every_tool_call_succeeds_and_some_run_side_by_side(played: Played) -> None:
    requests = [len(event.content) for event in played.of(ToolCallRequestEvent)]
    results = [result for event in played.of(ToolCallExecutionEvent) for result in event.content]

    assert requests == [1, 2, 1, 1, 2, 1]
    assert [result.is_error for result in results] == [False] * 8
    assert {result.name for result in results} == {"load", "filter", "aggregate", "chart"}


def test_every_figure_in_the_script_is_computed(played: Played) -> None:
    computed: set[str] = set()
    for item in played.items:
        if isinstance(item, ToolCallExecutionEvent):
            for result in item.content:
                computed.update(NUMBER.findall(result.content))
        elif isinstance(item, TextMessage):
            said = set(NUMBER.findall(item.content))
            assert said <= computed, said - computed

    assert len(computed) > 40


def test_tables_and_charts_are_left_behind(played: Played) -> None:
    assert played.files.names() == [
        "by_month.csv",
        "by_region.csv",
        "north-by-channel.svg",
        "north.csv",
        "north_by_channel.csv",
        "north_by_product.csv",
        "revenue-by-month.svg",
        "sales.csv",
    ]


def test_the_words_are_streamed(played: Played) -> None:
    chunks = [event.content for event in played.of(ModelClientStreamingChunkEvent)]

    assert "".join(chunks) == "".join(
        message.content for message in played.of(TextMessage) if message.source != "user"
    )


@pytest.mark.parametrize(
    ("environ", "active"),
    [
        ({"OPENAI_API_KEY": "k"}, "main"),
        ({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "main"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, "own_server"),
        ({}, "scripted"),
    ],
)
def test_the_environment_selects_the_model(environ: dict[str, str], active: str) -> None:
    registry = load_registry(CONFIG, environ=environ)

    [use] = registry.teams()[0].models

    assert (use.profile, use.active, use.missing) == ("main", active, None)
    notes = registry.validate(team="analysts").warnings
    assert [repr(active) in note.detail for note in notes] == ([] if active == "main" else [True])


def test_the_digest_does_not_depend_on_the_environment() -> None:
    plain = load_registry(CONFIG, environ={}).resolve(team="analysts")
    keyed = load_registry(CONFIG, environ={"OPENAI_API_KEY": "k"}).resolve(team="analysts")

    assert plain == keyed
