"""pydantic-ai. It has no teams: they are code around agents, as its documentation shows
("programmatic agent hand-off"). Its own test models count tokens, so this one is used instead."""

import asyncio
from typing import Any

from pydantic_ai import Agent, ToolOutput
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage, UsageLimits
from tests.benchmarks.meter import TASK, measured
from tests.benchmarks.patterns import (
    BRANCHES,
    NAMES,
    TURNS,
    Answer,
    Call,
    Choice,
    Handoff,
    Run,
    Script,
    other,
    works,
)


class Scripted(Model):
    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    async def request(self, messages: Any, settings: Any, parameters: Any) -> ModelResponse:
        self.prepare_request(settings, parameters)
        usage = RequestUsage(input_tokens=100, output_tokens=50)
        return ModelResponse(parts=[_part(self._script.next())], usage=usage, model_name="scripted")

    @property
    def model_name(self) -> str:
        return "scripted"

    @property
    def system(self) -> str:
        return "scripted"


def _part(answer: Answer) -> TextPart | ToolCallPart:
    match answer:
        case Call(id, arguments):
            return ToolCallPart("add", arguments, id)
        case Handoff(target):
            return ToolCallPart(f"transfer_to_{target}", "{}", "call")
        case Choice(name):
            return TextPart(name)
        case text:
            return TextPart(text)


def agents(script: Script, names: str | tuple[str, ...]) -> dict[str, Agent[None, str]]:
    model = Scripted(script)
    return {name: Agent(model, name=name, instructions="Help.") for name in names}


def round_robin(script: Script) -> Run:
    members = agents(script, "ab")

    async def run() -> None:
        said: Any = []
        for turn in range(TURNS):
            task = None if turn else TASK
            result = await members["ab"[turn % 2]].run(task or "Go on.", message_history=said)
            said = result.all_messages()

    return run


def selector(script: Script) -> Run:
    members = agents(script, NAMES)
    chooser = agents(script, ("selector",))["selector"]

    async def run() -> None:
        said: Any = []
        for turn in range(TURNS):
            chosen = (await chooser.run("Who speaks next?", message_history=said)).output
            task = "Go on." if turn else TASK
            said = (await members[chosen].run(task, message_history=said)).all_messages()

    return run


def swarm(script: Script) -> Run:
    """Each agent has an output function that hands over."""
    model = Scripted(script)

    def member(name: str) -> Agent[None, Any]:
        def transfer() -> Handoff:
            return Handoff(other(name))

        handover = ToolOutput(transfer, name=f"transfer_to_{other(name)}")
        return Agent(model, name=name, instructions="Help.", output_type=[handover, str])

    members = {name: member(name) for name in "ab"}

    async def run() -> None:
        result = await members["a"].run(TASK)
        while isinstance(result.output, Handoff):
            said = result.all_messages()
            result = await members[result.output.target].run("Go on.", message_history=said)

    return run


def graph(script: Script) -> Run:
    members = agents(script, ("a", *BRANCHES, "z"))

    async def run() -> None:
        said = (await members["a"].run(TASK)).all_messages()
        works = (members[name].run("Go on.", message_history=said) for name in BRANCHES)
        heard = [
            message for part in await asyncio.gather(*works) for message in part.new_messages()
        ]
        await members["z"].run("Sum up.", message_history=[*said, *heard])

    return run


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def tool_loop(script: Script) -> Run:
    agent = Agent(Scripted(script), name="a", instructions="Help.", tools=[add])
    limits = UsageLimits(request_limit=TURNS + 2)
    return lambda: agent.run(TASK, usage_limits=limits)


if __name__ == "__main__":
    measured(works(round_robin, selector, swarm, graph, tool_loop))
