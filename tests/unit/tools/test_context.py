"""The surroundings of a tool call."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from teamrun.errors import ArtifactNotFound, UsageError
from teamrun.tools import FunctionTool, MemoryArtifacts, ToolContext, use_artifacts


async def test_a_tool_reads_files_of_another() -> None:
    def load(context: ToolContext) -> None:
        context.artifacts.write("rows.csv", "a,b\n1,2\n", "text/csv")

    async def count(context: ToolContext) -> int:
        return len((await context.artifacts.load("rows.csv")).splitlines())

    with use_artifacts(MemoryArtifacts()) as artifacts:
        await FunctionTool(load).run_json({})
        assert await FunctionTool(count).run_json({}) == 2
        assert artifacts.names() == ["rows.csv"]


def test_files_stay_where_they_were_put() -> None:
    with use_artifacts(MemoryArtifacts()) as inner:
        ToolContext().artifacts.write("note.txt", "here")

    assert inner.read("note.txt") == b"here"
    assert "note.txt" not in ToolContext().artifacts.names()


def test_writing_a_name_again_replaces_the_file() -> None:
    artifacts = MemoryArtifacts()
    artifacts.write("a", b"1", "text/plain")
    artifacts.write("a", b"2")

    assert artifacts.read("a") == b"2"
    assert artifacts.media_types == {"a": None}


def test_a_file_that_is_not_there_is_named_with_those_that_are() -> None:
    artifacts = MemoryArtifacts()
    artifacts.write("a.txt", "")

    with pytest.raises(ArtifactNotFound) as caught:
        artifacts.read("b.txt")
    assert "'a.txt'" in caught.value.message


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../a", "a b", "x" * 129, "a\n", "ä"])
def test_names_that_are_unsafe_anywhere_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        MemoryArtifacts().write(name, b"")
    assert caught.value.data == {"name": name}


def test_progress_is_reported_to_the_listener() -> None:
    notes: list[tuple[str, float | None]] = []
    context = ToolContext(on_progress=lambda note, percent: notes.append((note, percent)))

    context.progress("half", 50)
    context.progress("more")
    ToolContext().progress("to nobody")

    assert notes == [("half", 50), ("more", None)]


@pytest.mark.parametrize(
    ("percent", "reported"),
    [
        *((0, 0.0), (33.5, 33.5), (Decimal("33.5"), 33.5), (Fraction(1, 2), 0.5), ("12", 12.0)),
        *((None, None), ("half", None), (math.nan, None), (math.inf, None), ([1], None)),
        *((10**400, None), ({}, None), (Decimal("NaN"), None)),
    ],
)
def test_progress_is_a_finite_number_whatever_the_tool_gives(
    percent: Any, reported: float | None
) -> None:
    heard: list[tuple[str, float | None]] = []
    context = ToolContext(on_progress=lambda note, done: heard.append((note, done)))

    context.progress("Reading", percent)

    assert heard == [("Reading", reported)]
    assert type(heard[0][1]) is type(reported)
