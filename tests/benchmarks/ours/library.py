"""The library alone, as in a notebook: the measured work, in a separate process."""

import asyncio

from tests.benchmarks.meter import TASK, Meter, gathered, measured, memory_kb
from tests.benchmarks.ours.models import Halting, Speaker, ToolCaller

from teamrun import AssistantAgent, FunctionTool, RoundRobinGroupChat
from teamrun.models import ChatCompletionClient


def team(model: ChatCompletionClient, turns: int) -> RoundRobinGroupChat:
    agents = [AssistantAgent(name, model) for name in ("a", "b")]
    return RoundRobinGroupChat(agents, max_turns=turns)


async def add(a: int, b: int) -> int:
    return a + b


async def turn(*, runs: int, turns: int) -> dict[str, float]:
    model = Speaker()
    await team(model, turns).run(task=TASK)
    with Meter() as meter:
        for _ in range(runs):
            result = await team(model, turns).run(task=TASK)
            assert len(result.messages) == turns + 1
    return {"cpu_us": meter.cpu_s / runs / turns * 1e6}


async def items(*, runs: int) -> dict[str, float]:
    """Runs of one call each, one after another, as in a script without Teamrun's service."""
    model = Speaker()
    await team(model, 1).run(task=TASK)
    with Meter() as meter:
        for _ in range(runs):
            await team(model, 1).run(task=TASK)
    return {"cpu_ms": meter.cpu_s / runs * 1e3, "wall_s": meter.wall_s}


def calculator(rounds: int, delay_s: float = 0) -> RoundRobinGroupChat:
    tool = FunctionTool(add, description="Add two numbers.")
    model = ToolCaller(rounds, delay_s)
    agent = AssistantAgent("a", model, tools=[tool], max_tool_iterations=rounds + 1)
    return RoundRobinGroupChat([agent], max_turns=1)


async def tool_round(*, runs: int, rounds: int) -> dict[str, float]:
    await calculator(rounds).run(task=TASK)
    with Meter() as meter:
        for _ in range(runs):
            result = await calculator(rounds).run(task=TASK)
            assert len(result.messages) == 2 * rounds + 2
    return {"cpu_us": meter.cpu_s / runs / rounds * 1e6}


async def at_once(*, runs: int, turns: int, delay_s: float) -> dict[str, float]:
    model = Speaker(delay_s)
    await team(model, 2).run(task=TASK)
    with Meter() as meter:
        done = await gathered(team(model, turns).run(task=TASK) for _ in range(runs))
    figures = {"wall_s": meter.wall_s, "cpu_ms": meter.cpu_s / runs * 1e3, "done": done}
    return {**figures, "cpu_us": meter.cpu_s / runs / turns * 1e6}


async def rounds_at_once(*, runs: int, rounds: int, delay_s: float) -> dict[str, float]:
    await calculator(2).run(task=TASK)
    with Meter() as meter:
        done = await gathered(calculator(rounds, delay_s).run(task=TASK) for _ in range(runs))
    return {"cpu_us": meter.cpu_s / runs / rounds * 1e6, "done": done}


async def halfway(*, runs: int, turns: int) -> dict[str, float]:
    await team(Speaker(), turns).run(task=TASK)
    model = Halting(turns // 2)
    idle_kb = memory_kb()
    tasks = [asyncio.ensure_future(team(model, turns).run(task=TASK)) for _ in range(runs)]
    await model.all_halted(runs)
    used_kb = memory_kb() - idle_kb
    model.go.set()
    done = await gathered(tasks)
    return {"memory_kb": used_kb / runs, "done": done}


if __name__ == "__main__":
    works = {"turn": turn, "tool_round": tool_round, "halfway": halfway, "items": items}
    measured({**works, "at_once": at_once, "rounds_at_once": rounds_at_once})
