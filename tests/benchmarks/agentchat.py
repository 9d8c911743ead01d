"""The teams of `patterns.py`, written once for Teamrun and for AutoGen, which have the same API."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from tests.benchmarks.meter import TASK
from tests.benchmarks.patterns import (
    BRANCHES,
    NAMES,
    TURNS,
    Answer,
    Call,
    Choice,
    Handoff,
    Making,
    Run,
    Script,
    other,
)

__all__ = ["Library", "teams"]


@dataclass(frozen=True, slots=True)
class Library:
    """The classes of one of the two."""

    agents: Any
    """The module with `AssistantAgent`."""
    teams: Any
    """The module with the teams."""
    FunctionTool: Any
    FunctionCall: Any
    CreateResult: Any
    RequestUsage: Any
    Speaker: Any
    """The base of models that cost next to nothing."""


def teams(library: Library) -> list[Making]:
    """Functions that make the teams; a team keeps its conversation, so each run has its own."""

    def making(team: Callable[[Any], Any]) -> Making:
        def made(script: Script) -> Run:
            model = _model(library, script)
            return lambda: team(model).run(task=TASK)

        return wraps(team)(made)

    return [making(team) for team in _teams(library)]


def _model(library: Library, script: Script) -> Any:
    def content(answer: Answer) -> Any:
        match answer:
            case Call(id, arguments):
                return [library.FunctionCall(id=id, name="add", arguments=arguments)]
            case Choice(name):
                return name
            case Handoff(target):
                name = f"transfer_to_{target}"
                return [library.FunctionCall(id="call", name=name, arguments="{}")]
            case text:
                return text

    class Scripted(library.Speaker):
        async def create(self, messages: Any, **options: Any) -> Any:
            said = content(script.next())
            return library.CreateResult(
                finish_reason="stop" if isinstance(said, str) else "function_calls",
                content=said,
                usage=library.RequestUsage(prompt_tokens=100, completion_tokens=50),
                cached=False,
            )

    return Scripted()


async def _add(a: int, b: int) -> int:
    return a + b


def _teams(library: Library) -> list[Callable[[Any], Any]]:
    agent, kinds = library.agents.AssistantAgent, library.teams
    edges = {"a": BRANCHES, "z": (), **dict.fromkeys(BRANCHES, "z")}
    nodes = {
        name: kinds.DiGraphNode(name=name, edges=[kinds.DiGraphEdge(target=t) for t in targets])
        for name, targets in edges.items()
    }
    flow = kinds.DiGraph(nodes=nodes)
    tool = library.FunctionTool(_add, description="Add two numbers.", name="add")

    def round_robin(model: Any) -> Any:
        return kinds.RoundRobinGroupChat([agent(name, model) for name in "ab"], max_turns=TURNS)

    def selector(model: Any) -> Any:
        return kinds.SelectorGroupChat(
            [agent(name, model) for name in NAMES], model, max_turns=TURNS
        )

    def swarm(model: Any) -> Any:
        members = [agent(name, model, handoffs=[other(name)]) for name in "ab"]
        return kinds.Swarm(members, max_turns=TURNS)

    def graph(model: Any) -> Any:
        members = [agent(name, model) for name in ("a", *BRANCHES, "z")]
        return kinds.GraphFlow(members, flow)

    def tool_loop(model: Any) -> Any:
        member = agent("a", model, tools=[tool], max_tool_iterations=TURNS + 1)
        return kinds.RoundRobinGroupChat([member], max_turns=1)

    return [round_robin, selector, swarm, graph, tool_loop]
