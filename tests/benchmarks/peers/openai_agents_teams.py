"""openai-agents without its traces. It has handoffs, and no other teams: those are code, as its
documentation shows ("orchestrating via code")."""

import asyncio
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
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
    works,
)

set_tracing_disabled(True)


class Scripted(Model):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        answer = _item(self._script.next(), self._script.calls)
        usage = Usage(requests=1, input_tokens=100, output_tokens=50, total_tokens=150)
        return ModelResponse(output=[answer], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def _item(answer: Answer, number: int) -> ResponseFunctionToolCall | ResponseOutputMessage:
    match answer:
        case Call(id, arguments):
            name = "add"
        case Handoff(target):
            id, name, arguments = f"call_{number}", f"transfer_to_{target}", "{}"
        case text:
            said = text.name if isinstance(text, Choice) else text
            part = ResponseOutputText(text=said, type="output_text", annotations=[])
            return ResponseOutputMessage(
                id="message", content=[part], role="assistant", status="completed", type="message"
            )
    return ResponseFunctionToolCall(
        call_id=id, name=name, arguments=arguments, type="function_call"
    )


def agents(script: Script, names: str | tuple[str, ...]) -> dict[str, Agent]:
    model = Scripted(script)
    return {name: Agent(name=name, instructions="Help.", model=model) for name in names}


def round_robin(script: Script) -> Run:
    members = agents(script, "ab")

    async def run() -> None:
        said: Any = TASK
        for turn in range(TURNS):
            said = (await Runner.run(members["ab"[turn % 2]], said)).to_input_list()

    return run


def selector(script: Script) -> Run:
    members = agents(script, NAMES)
    chooser = agents(script, ("selector",))["selector"]

    async def run() -> None:
        said: Any = TASK
        for _ in range(TURNS):
            chosen = (await Runner.run(chooser, said)).final_output
            said = (await Runner.run(members[chosen], said)).to_input_list()

    return run


def swarm(script: Script) -> Run:
    members = agents(script, "ab")
    members["a"].handoffs, members["b"].handoffs = [members["b"]], [members["a"]]
    return lambda: Runner.run(members["a"], TASK, max_turns=TURNS + 1)


def graph(script: Script) -> Run:
    members = agents(script, ("a", *BRANCHES, "z"))

    async def run() -> None:
        said = (await Runner.run(members["a"], TASK)).to_input_list()
        parts = await asyncio.gather(*(Runner.run(members[name], said) for name in BRANCHES))
        heard = [item for part in parts for item in part.to_input_list()[len(said) :]]
        await Runner.run(members["z"], [*said, *heard])

    return run


@function_tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def tool_loop(script: Script) -> Run:
    agent = Agent(name="a", instructions="Help.", model=Scripted(script), tools=[add])
    return lambda: Runner.run(agent, TASK, max_turns=TURNS + 2)


if __name__ == "__main__":
    measured(works(round_robin, selector, swarm, graph, tool_loop))
