"""agent-framework: its orchestrations and workflows. Agents are made once, workflows for each run,
because they keep the conversation. It sends no traces unless the program asks for them."""

import json
import logging
from typing import Any, Never

from agent_framework import (
    Agent,
    AgentExecutorResponse,
    BaseChatClient,
    ChatResponse,
    Content,
    Executor,
    FunctionInvocationLayer,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    handler,
    tool,
)
from agent_framework.orchestrations import GroupChatBuilder, HandoffBuilder
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

# It warns of each last round.
logging.getLogger("agent_framework_orchestrations").setLevel(logging.ERROR)


class Scripted(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    def __init__(self, script: Script) -> None:
        super().__init__(function_invocation_configuration={"max_iterations": TURNS + 1})
        self._script = script

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        assert not stream

        async def answer() -> ChatResponse[Any]:
            said = Message(role="assistant", contents=[_content(self._script.next())])
            return ChatResponse(messages=[said])

        return answer()


def _content(answer: Answer) -> Content:
    match answer:
        case Call(id, arguments):
            return Content.from_function_call(call_id=id, name="add", arguments=arguments)
        case Choice(name):
            choice = {"terminate": False, "reason": "", "next_speaker": name, "final_message": None}
            return Content.from_text(json.dumps(choice))
        case Handoff(target):
            return Content.from_function_call(
                call_id="call", name=f"handoff_to_{target}", arguments="{}"
            )
        case text:
            return Content.from_text(text)


def agents(script: Script, names: str | tuple[str, ...]) -> list[Agent]:
    client = Scripted(script)
    return [
        Agent(client, name=name, id=name, require_per_service_call_history_persistence=True)
        for name in names
    ]


def round_robin(script: Script) -> Run:
    members = agents(script, "ab")

    def select(state: Any) -> str:
        return "ab"[state.current_round % 2]

    async def run() -> None:
        chat = GroupChatBuilder(participants=members, selection_func=select, max_rounds=TURNS)
        await chat.build().run(TASK)

    return run


def selector(script: Script) -> Run:
    members, (chooser,) = agents(script, NAMES), agents(script, ("selector",))

    async def run() -> None:
        chat = GroupChatBuilder(participants=members, orchestrator_agent=chooser, max_rounds=TURNS)
        await chat.build().run(TASK)

    return run


def swarm(script: Script) -> Run:
    members = agents(script, "ab")

    async def run() -> None:
        team = HandoffBuilder(participants=members).with_start_agent(members[0])
        team.add_handoff(members[0], [members[1]]).add_handoff(members[1], [members[0]])
        await team.build().run(TASK)

    return run


class Join(Executor):
    def __init__(self, agent: Agent) -> None:
        super().__init__(id="z")
        self._agent = agent

    @handler
    async def join(
        self, parts: list[AgentExecutorResponse], ctx: WorkflowContext[Never, str]
    ) -> None:
        heard = [message for part in parts for message in part.agent_response.messages]
        await ctx.yield_output((await self._agent.run(heard)).text)


def graph(script: Script) -> Run:
    first, *branches, last = agents(script, ("a", *BRANCHES, "z"))

    async def run() -> None:
        join = Join(last)
        flow = WorkflowBuilder(start_executor=first)
        flow.add_fan_out_edges(first, branches).add_fan_in_edges(branches, join)
        await flow.build().run(TASK)

    return run


@tool(approval_mode="never_require")
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def tool_loop(script: Script) -> Run:
    agent = Agent(Scripted(script), name="a", tools=[add])
    return lambda: agent.run(TASK)


if __name__ == "__main__":
    measured(works(round_robin, selector, swarm, graph, tool_loop))
