"""The shared memory of a team: its tools, its limits, and the state that has it."""

from typing import Any

import pytest

from teamrun import AssistantAgent, RoundRobinGroupChat
from teamrun.errors import UsageError
from teamrun.messages import ToolCallSummaryMessage
from teamrun.teams.shared_memory import SharedMemory
from teamrun.testing import ScriptedModel
from teamrun.tools import TeamTool


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": f"{name}_shared_memory", "arguments": arguments}]}


def team(**script: list[Any]) -> RoundRobinGroupChat:
    members = [AssistantAgent(name, ScriptedModel(steps)) for name, steps in script.items()]
    turns = max(map(len, script.values())) * len(members)
    return RoundRobinGroupChat(members, max_turns=turns).open_shared_memory()


async def answers(of: RoundRobinGroupChat) -> list[str]:
    result = await of.run(task="Go")
    return [m.content for m in result.messages if isinstance(m, ToolCallSummaryMessage)]


@pytest.mark.behaviour("pattern.shared_memory")
async def test_members_read_what_others_write() -> None:
    t = team(
        a=[
            call("write", key="plan", value=[1, {"x": None}]),
            call("write", key="plan", value=None),
        ],
        b=[call("read", key="plan"), call("read", key="plan")],
        c=[call("read"), call("read")],
    )

    assert await answers(t) == [
        "Stored 'plan'.",
        '[1, {"x": null}]',
        '["plan"]',
        "Deleted 'plan'.",
        "There is no key 'plan'; there are [].",
        "[]",
    ]


@pytest.mark.behaviour("pattern.shared_memory")
async def test_a_program_shares_values_and_they_are_saved_with_the_state() -> None:
    t = team(a=[call("read", key="goal")])
    t.share_memory("goal", {"lines": 3})
    state = await t.save_state()
    other = team(a=[call("read", key="goal")])

    await other.load_state(state)

    assert other.get_shared_memory("goal") == {"lines": 3}
    assert other.get_shared_memory("none", 7) == 7
    assert await answers(other) == ['{"lines": 3}']
    await other.reset()
    assert other.shared_memory.keys() == []
    other.share_memory("x", 1)
    await other.load_state(await team(a=["x"]).save_state())
    assert other.shared_memory.keys() == []


async def test_the_state_of_a_team_without_one_is_as_before() -> None:
    t = RoundRobinGroupChat([AssistantAgent("a", ScriptedModel([]))])

    assert "shared_memory" not in str(await t.save_state())


def test_members_of_inner_teams_share_it_unless_they_have_their_own() -> None:
    def agent(name: str) -> AssistantAgent:
        return AssistantAgent(name, ScriptedModel([]))

    a, b, c = agent("a"), agent("b"), agent("c")
    own = RoundRobinGroupChat([c], name="own").open_shared_memory()
    inner = RoundRobinGroupChat([b], name="inner")
    outer = RoundRobinGroupChat([a, inner, own]).open_shared_memory()

    outer.share_memory("x", 1)

    assert [len(each.tools) for each in (a, b, c)] == [2, 2, 2]
    assert own.shared_memory.keys() == []


@pytest.mark.parametrize(
    ("value", "why"),
    [(object(), "JSON"), ("x" * 70_000, "65,536"), (float("nan"), "JSON")],
)
def test_a_value_that_cannot_be_stored(value: object, why: str) -> None:
    memory = SharedMemory()

    with pytest.raises(UsageError, match=why):
        memory.set("k", value)
    assert memory.keys() == []


def test_there_is_a_limit_of_keys_and_values_are_copies() -> None:
    memory, value = SharedMemory(), [1]
    for number in range(1000):
        memory.set(str(number), value)

    value.append(2)
    memory.get("0").append(3)

    assert memory.get("0") == [1]
    memory.set("0", 2)
    with pytest.raises(UsageError, match="1,000 keys"):
        memory.set("one more", 1)


def test_a_run_does_not_copy_a_team_with_one() -> None:
    from teamrun.components.building.delegates import as_it_is
    from teamrun.errors import DefinitionError

    with pytest.raises(DefinitionError, match="shared memory"):
        as_it_is(TeamTool(team(a=["x"]), "t", "A team."))


async def test_a_value_that_is_too_long_is_an_error_for_the_model() -> None:
    t = team(a=[call("write", key="k", value="x" * 70_000)])

    assert "65,536" in (await answers(t))[0]
