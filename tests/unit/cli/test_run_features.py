"""`teamrun run` executes definitions like a durable run and the library."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel
from tests.support.agent_cases import AGENT_CASES
from tests.support.run_cases import CASES
from tests.support.team_cases import TEAM_CASES
from tests.support.ways_to_run import Case, check_same_in_every_way, written

from teamrun.components.definitions.agents import HandoffDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import AGENTS, CONDITIONS, DELEGATES, TEAMS
from teamrun.components.definitions.mcp import McpWorkbenchDefinition
from teamrun.components.definitions.tools import ToolEntry
from teamrun.components.team_file import load_registry

TABLE = [*CASES, *TEAM_CASES, *AGENT_CASES]
NO_FEATURE = frozenset(
    {
        *("name", "type", "shared_memory", "objectives", "constraints"),
        *("output_model", "output_repairs"),
    }
)
"""Fields of every definition; a class implies its type. Those after it, which have rows of their
own, are the same for all teams."""


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
def test_a_feature_is_the_same_in_every_way_to_run_it(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_same_in_every_way(case, tmp_path, capsys)

    # A job may be given up while it closes: the loop reports what its callbacks raise.
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_every_feature_of_definitions_has_a_row(tmp_path: Path) -> None:
    used: set[str] = set()
    for number, case in enumerate(TABLE):
        folder = tmp_path / str(number)
        folder.mkdir()
        registry = load_registry(written(case, folder), environ={})
        used |= set(_used(registry.resolve(team="t").definition))
        for tool in case.tools.values():
            used |= {f"tool.{name}" for name in tool} | set(_choices("tool", tool))

    assert sorted(_features() - used) == []


def _models() -> Iterator[type[BaseModel]]:
    yield from (HandoffDefinition, ContextDefinition, McpWorkbenchDefinition)
    for table in (AGENTS, TEAMS, CONDITIONS, DELEGATES):
        yield from (kind.model for kind in table)


def _features() -> set[str]:
    """Classes, their fields, and every value of a field that takes one of several words."""
    found: set[str] = set()
    for model in _models():
        name, hints = model.__name__, get_type_hints(model)
        not_taken: frozenset[str] = NO_FEATURE | getattr(model, "not_written", frozenset[str]())
        fields = [field for field in model.model_fields if field not in not_taken]
        found |= {name, *(f"{name}.{field}" for field in fields)}
        found |= {f"{name}.{key}={word}" for key, hint in hints.items() for word in _words(hint)}
    # `where` is no option, and `timeout` is `timeout_seconds` in the file.
    fields = set(ToolEntry._fields) - {"name", "where"}
    found |= {f"tool.{name.removesuffix('_seconds')}" for name in fields}
    hints = get_type_hints(ToolEntry)
    return found | {f"tool.{key}={word}" for key in fields for word in _words(hints[key])}


def _words(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint) if len(get_args(hint)) > 1]
    return [word for inner in get_args(hint) for word in _words(inner)]


def _used(item: Any) -> Iterator[str]:
    if isinstance(item, tuple):
        for inner in item:  # pyright: ignore[reportUnknownVariableType]
            yield from _used(inner)
    if not isinstance(item, BaseModel):
        return
    name, fields = type(item).__name__, type(item).model_fields
    given = {key: getattr(item, key) for key in item.model_fields_set}
    yield name
    for key, value in given.items():
        if fields[key].is_required() or value != fields[key].default:
            yield f"{name}.{key}"
        yield from _used(value)
    yield from _choices(name, {key: getattr(item, key) for key in fields})


def _choices(name: str, values: dict[str, Any]) -> Iterator[str]:
    return (f"{name}.{key}={word}" for key, word in values.items() if isinstance(word, str))
