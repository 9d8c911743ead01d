"""Registered tools: import, conversion, and errors."""

import sys
from pathlib import Path
from typing import Any

import pytest

from teamrun.components.building.tools import ToolTable, entry_point_tools
from teamrun.components.definitions.tools import ToolEntry
from teamrun.errors import DefinitionError
from teamrun.tools import FunctionTool

MODULE = '''
from teamrun.tools import FunctionTool

def double(number: int) -> int:
    """Double a number.

    More about it.
    """
    return 2 * number

def silent(number: int) -> int:
    return number

def untyped(number):
    """No annotation."""
    return number

class Group:
    @staticmethod
    def triple(number: int) -> int:
        """Triple a number."""
        return 3 * number

halve = FunctionTool(lambda: 1, "Halve.", name="halve")
seven = 7
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # A unique name per test: modules of a process are shared.
    (tmp_path / f"{tmp_path.name}_tools.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def table(folder: Path, name: str, function: str, description: str | None = None) -> ToolTable:
    path = f"{folder.name}_tools:{function}"
    entry = ToolEntry(name=name, function=path, description=description, where=f"/tools/{name}")
    return ToolTable([entry], folder=folder)


def refused(tools: ToolTable, name: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        tools.get(name)
    return caught.value


@pytest.mark.behaviour("config.tools.function")
async def test_a_function_beside_the_team_file_becomes_a_tool(folder: Path) -> None:
    tool = table(folder, "twice", "double").get("twice")

    assert (tool.name, tool.description) == ("twice", "Double a number.")
    assert await tool.run_json({"number": 4}) == 8


def test_a_description_in_the_file_wins_over_the_docstring(folder: Path) -> None:
    tool = table(folder, "twice", "double", description="Times two.").get("twice")

    assert tool.description == "Times two."


async def test_a_function_may_be_inside_a_class(folder: Path) -> None:
    tool = table(folder, "thrice", "Group.triple").get("thrice")

    assert await tool.run_json({"number": 4}) == 12


def test_a_tool_object_is_taken_as_it_is(folder: Path) -> None:
    assert table(folder, "halve", "halve").get("halve").description == "Halve."


def test_a_tool_object_defines_its_call_options(folder: Path) -> None:
    path = f"{folder.name}_tools:halve"
    entry = ToolEntry(name="halve", function=path, approval=True, where="/tools/halve")

    error = refused(ToolTable([entry], folder=folder), "halve")

    assert error.pointer == "/tools/halve/function"
    assert "'approval'" in error.message


def test_the_digest_of_a_tool_object_covers_its_call_options() -> None:
    def made(**conduct: Any) -> str:
        tool = FunctionTool(lambda: 1, "Measure.", name="size", **conduct)
        return ToolTable(tools=[tool]).digest("size")

    assert len({made(), made(effects="write"), made(needs_approval=True)}) == 3


def test_a_tool_is_made_once(folder: Path) -> None:
    tools = table(folder, "twice", "double")

    assert tools.get("twice") is tools.get("twice")


def test_nothing_is_imported_before_the_first_use(folder: Path) -> None:
    tools = table(folder, "twice", "double")
    assert "twice" in tools and len(tools.digest("twice")) == 64

    assert f"{folder.name}_tools" not in sys.modules


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("duoble", "'double'"),
        ("seven", "int"),
        ("silent", "docstring"),
        ("untyped", "number"),
        ("halve", "'halve'"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_named_with_its_place(
    folder: Path, function: str, says: str
) -> None:
    error = refused(table(folder, "tool", function), "tool")

    assert (error.code, error.pointer) == ("invalid_definition", "/tools/tool/function")
    assert says in error.message


def test_a_module_that_cannot_be_imported_is_named_with_its_place(tmp_path: Path) -> None:
    entry = ToolEntry(name="x", function="no_such_module_here:f", where="/tools/x")

    error = refused(ToolTable([entry], folder=tmp_path), "x")

    assert error.pointer == "/tools/x/function"
    assert "no_such_module_here" in error.message


def test_a_module_is_never_taken_for_another_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def dumps(x: int) -> int:\n    return x", encoding="utf-8")
    entry = ToolEntry(name="x", function="json:dumps", where="/tools/x")

    error = refused(ToolTable([entry], folder=tmp_path), "x")

    assert "another name" in error.message


def test_an_unknown_tool_names_a_near_one(folder: Path) -> None:
    error = refused(table(folder, "twice", "double"), "twise")

    assert error.code == "unknown_tool" and "'twice'" in error.message


@pytest.mark.behaviour("config.tools.function")
def test_an_installed_package_offers_tools_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: offered\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[teamrun.tools]\nsize = builtins:len\n", encoding="utf-8"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    [entry] = [entry for entry in entry_point_tools() if entry.name == "size"]

    assert (entry.function, entry.where) == ("builtins:len", "")


def test_a_tool_that_was_handed_in_is_found_by_its_name() -> None:
    async def ping() -> str:
        return "pong"

    tool = FunctionTool(ping, "Answers.")

    assert ToolTable(tools=[tool]).get("ping") is tool
