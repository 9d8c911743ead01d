"""Large definitions: the work grows as they do, and other requests are served meanwhile."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from teamrun.components.catalog import Teams
from teamrun.components.reading.problems import Problems
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping
from teamrun.testing import ScriptedModel

Json = dict[str, Any]


def registry() -> Registry:
    return Registry.of(models={"main": ScriptedModel([])}, teams={})


def team(*agents: Json, **fields: Any) -> Json:
    return {"type": "round_robin_group_chat", "agents": list(agents), "max_turns": 1, **fields}


def agent(name: str = "a", **fields: Any) -> Json:
    return {"name": name, "model": "main", **fields}


def agents(count: int) -> list[Json]:
    return [agent(f"a{index}") for index in range(count)]


def names(count: int) -> list[str]:
    return [f"b{index}" for index in range(count)]


SHAPES: dict[str, Callable[[int], Json]] = {
    "agents": lambda n: team(*agents(n)),
    "members of one name": lambda n: team(*(agent() for _ in range(n))),
    "models that are not registered": lambda n: team(
        *(agent(f"a{index}", model="mian") for index in range(n))
    ),
    "tools that are not registered": lambda n: team(agent(tools=names(n))),
    "fields that do not exist": lambda n: team({**agent(), **dict.fromkeys(names(n), 1)}),
    "handoffs to strangers": lambda n: team(*agents(n), agent(handoffs=names(n))),
    "unknown sources": lambda n: team(
        *agents(n), termination={"type": "text_mention", "text": "x", "sources": names(n)}
    ),
    "unknown output": lambda n: team(*agents(n), output=names(n)),
}


def calls(spec: Json) -> int:
    """How many calls and returns of functions it takes to read a definition."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    read = registry()
    sys.setprofile(note)
    try:
        read.validate(team_spec=spec)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_a_definition_of_twice_the_size_takes_twice_the_work(shape: str) -> None:
    small, large = (calls(SHAPES[shape](count)) for count in (100, 200))

    assert large < 2.5 * small


def test_a_problem_is_in_its_place_and_in_all_that_is_around() -> None:
    problems = Problems()
    problems.add("/team_spec/agents/1/tools/12", "unknown_tool", "one")

    assert problems.is_in("") and problems.is_in("/team_spec/agents/1")
    assert problems.is_in("/team_spec/agents/1/tools/12")
    assert not problems.is_in("/team_spec/agents/1/tools/1")
    assert not problems.is_in("/team_spec/agents/1/tools/12/name")

    problems.add("/team_spec/agents/1/tools/1", "unknown_tool", "a later one")
    assert problems.is_in("/team_spec/agents/1/tools/1")


@pytest.mark.parametrize("count", [2, 600], ids=["small", "large"])
async def test_a_large_definition_is_read_in_a_thread(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    resolve = Registry.resolve

    def noted(self: Registry, **request: Any) -> object:
        threads.append(threading.get_ident())
        return resolve(self, **request)

    monkeypatch.setattr(Registry, "resolve", noted)
    spec: JsonMapping = team(*agents(count))
    teams = Teams(registry())

    found = await teams.validate("t", team=None, team_spec=spec)
    await teams.resolve("t", team=None, team_spec=spec)

    assert found.valid
    assert len(threads) == 2
    assert {each == threading.get_ident() for each in threads} == {count == 2}


@pytest.mark.parametrize("count", [100, 101, 1_100])
async def test_an_answer_lists_at_most_100_problems_and_says_how_many_more_there_are(
    count: int,
) -> None:
    spec: JsonMapping = team(agent(tools=names(count)))
    teams = Teams(registry())

    found = (await teams.validate("t", team=None, team_spec=spec)).errors
    with pytest.raises(DefinitionError) as raised:
        await teams.resolve("t", team=None, team_spec=spec)

    assert [each.code for each in found[:100]] == ["unknown_tool"] * 100
    assert [each.model_dump() for each in found] == raised.value.data["problems"]
    are = "is" if count == 101 else "are"
    more = f"{count - 100:,} more {are} not listed: correct the ones that are, then check again."
    last = [("/team_spec", "too_large", more)] if count > 100 else []
    assert [(each.pointer, each.code, each.detail) for each in found[100:]] == last


async def test_an_answer_lists_at_most_100_warnings() -> None:
    spec: JsonMapping = team(
        *(
            {"name": f"t{index}", "type": "round_robin_group_chat", "agents": [agent()]}
            for index in range(102)
        )
    )

    found = await Teams(registry()).validate("t", team=None, team_spec=spec)

    assert found.valid
    assert len(found.warnings) == 101
    assert found.warnings[-1].detail.startswith("2 more are not listed")
