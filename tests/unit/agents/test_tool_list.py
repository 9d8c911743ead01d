"""The tools of an agent as a list, and a pool of capabilities."""

import pytest

from teamrun import AssistantAgent, FunctionTool
from teamrun.errors import UsageError
from teamrun.testing import ScriptedModel
from teamrun.tools import Capabilities, StaticWorkbench


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


async def halve(number: int) -> int:
    """Halve a number."""
    return number // 2


HALVE = FunctionTool(halve, tags=("math", "small"))


def agent(*steps: object, **options: object) -> AssistantAgent:
    model = ScriptedModel([*steps] or ["One", "Two", "Three"], record=True)  # pyright: ignore[reportArgumentType] - steps
    return AssistantAgent("a", model, **options)  # pyright: ignore[reportArgumentType] - options


def offered(of: AssistantAgent) -> list[list[str]]:
    model = of.model_client
    assert isinstance(model, ScriptedModel)
    return [[tool["name"] for tool in call.tools] for call in model.calls]


@pytest.mark.behaviour("agent.tools.change")
async def test_a_change_is_seen_by_the_next_call() -> None:
    a = agent(tools=[double])

    await a.run("1")
    a.tools.append(HALVE)
    await a.run("2")
    a.tools.remove("double")
    await a.run("3")

    assert offered(a) == [["double"], ["double", "halve"], ["halve"]]
    assert (len(a.tools), a.tools[0], repr(a.tools)) == (1, HALVE, "[halve]")
    assert HALVE in a.tools
    assert double not in a.tools
    assert a.tools.tagged("math") == [HALVE]
    assert a.tools.tagged("sql") == []


@pytest.mark.behaviour("agent.tools.change")
async def test_a_tool_may_change_the_tools_of_its_agent_in_the_middle_of_a_turn() -> None:
    async def learn() -> str:
        """Learn to halve."""
        a.tools[:] = [HALVE]
        return "learned"

    def call(name: str, **arguments: int) -> dict[str, object]:
        return {"tool_calls": [{"name": name, "arguments": arguments}]}

    a = agent(call("learn"), call("halve", number=4), "Done", tools=[learn], max_tool_iterations=3)

    result = await a.run("Go")

    assert offered(a) == [["learn"], ["halve"], ["halve"]]
    assert "content='2'" in str(result.messages)


def test_a_wrong_change_changes_nothing() -> None:
    a = agent(tools=[double], handoffs=["b"])

    with pytest.raises(ValueError, match="unique"):
        a.tools.append(double)
    with pytest.raises(ValueError, match="Unsupported tool type"):
        a.tools.append(7)  # pyright: ignore[reportArgumentType] - a wrong call
    with pytest.raises(ValueError, match="Handoff names"):
        a.tools.append(FunctionTool(halve, name="transfer_to_b"))
    with pytest.raises(ValueError, match=r"no tool 'halve'; it has \[double\]"):
        a.tools.remove(halve)
    assert repr(a.tools) == "[double]"
    with pytest.raises(ValueError, match="workbench"):
        agent(workbench=StaticWorkbench([HALVE])).tools.append(double)


@pytest.mark.behaviour("agent.parts")
def test_the_parts_of_an_agent_can_be_read() -> None:
    a = agent(system_message="Be brief.")

    assert a.system_message == "Be brief."
    assert agent(system_message=None).system_message is None
    assert isinstance(a.model_client, ScriptedModel)


@pytest.mark.behaviour("agent.capabilities")
async def test_capabilities_are_requested_and_released_by_tag() -> None:
    pool = Capabilities([HALVE])
    pool.register(FunctionTool(double), "math")
    a = agent()

    given = pool.request(a, "math")
    again = pool.request(a, "math")
    await a.run("1")
    pool.release(a, "small")
    await a.run("2")

    assert ([tool.name for tool in given], again) == (["halve", "double"], [])
    assert offered(a) == [["halve", "double"], ["double"]]
    assert [tool.name for tool in pool.find("small")] == ["halve"]
    pool.unregister("double")
    assert [tool.name for tool in pool.find("math")] == ["halve"]
    with pytest.raises(UsageError, match=r"no capability 'double'; there are \['halve'\]"):
        pool.unregister("double")
    with pytest.raises(UsageError, match="'sql'; the tags are"):
        pool.request(a, "sql")
    with pytest.raises(UsageError, match="'halve' already"):
        pool.register(HALVE)
