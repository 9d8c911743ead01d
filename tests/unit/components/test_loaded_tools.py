"""Tools and people of a loaded team behave the same outside of a run as in a run."""

from typing import Any

import pytest

from teamrun.components.building.teams import build_team
from teamrun.components.registry import Registry
from teamrun.errors import Unanswered
from teamrun.messages import ToolCallExecutionEvent, ToolCallSummaryMessage
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool
from teamrun.tools.context import ToolContext

SEEN: list[tuple[str, int]] = []


def count(context: ToolContext) -> str:
    """Count."""
    context.state["n"] = context.state.get("n", 0) + 1
    SEEN.append((context.agent, context.state["n"]))
    return "counted"


def spoil(context: ToolContext) -> str:
    """Leave something that is no JSON."""
    context.state["x"] = object()
    return "spoilt"


def _call(name: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": {}}]}


def _registry(*tools: str) -> Registry:
    agents = [
        {"type": "assistant_agent", "name": name, "model": "m", "tools": list(tools)}
        for name in "ab"
    ]
    team = {"type": "round_robin_group_chat", "participants": agents, "max_turns": 4}
    return Registry.of(
        teams={"t": team},
        models={"m": ScriptedModel({name: [_call(tools[0])] * 2 for name in "ab"})},
        tools=[FunctionTool(count), FunctionTool(spoil)],
    )


async def test_each_agent_of_each_team_has_its_own_state_of_a_tool() -> None:
    SEEN.clear()
    registry = _registry("count")
    await build_team(registry.resolve(team="t").definition, registry).run(task="go")
    assert SEEN == [("t/a", 1), ("t/b", 1), ("t/a", 2), ("t/b", 2)]


async def test_state_that_is_no_json_fails_the_call() -> None:
    registry = _registry("spoil")
    result = await build_team(registry.resolve(team="t").definition, registry).run(task="go")
    events = [m for m in result.messages if isinstance(m, ToolCallExecutionEvent)]
    assert {told.is_error for event in events for told in event.content} == {True}
    assert any(isinstance(message, ToolCallSummaryMessage) for message in result.messages)


@pytest.mark.parametrize("default", ["yes", None])
async def test_a_person_without_a_terminal_does_not_answer_in_time(
    default: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    person = {"type": "user_proxy_agent", "name": "p", "expires_in_seconds": 60}
    if default is not None:
        person["default_answer"] = default
    team = {"type": "round_robin_group_chat", "participants": [person], "max_turns": 1}
    registry = Registry.of(teams={"t": team})
    built = build_team(registry.resolve(team="t").definition, registry)
    if default is not None:
        assert (await built.run(task="go")).messages[-1].to_text() == default
        return
    with pytest.raises(RuntimeError) as raised:
        await built.run(task="go")
    assert isinstance(raised.value.__cause__, Unanswered)
