# pyright: basic, reportMissingImports=false
"""The side of AutoGen: executed by its own interpreter, with neither pytest nor this project.

stdin has `components` by name, and the `states` of teams among them. stdout gets what AutoGen made
of them (`read`), and components of AutoGen's own with what its teams did and saved (`written`).
"""

import asyncio
import json
import sys
import warnings
from typing import Any

from autogen_agentchat.agents import (
    AssistantAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import (
    ExternalTermination,
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from autogen_agentchat.teams import (
    BaseGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import ComponentLoader, FunctionCall
from autogen_core.code_executor import ImportFromModule
from autogen_core.memory import ListMemory, MemoryContent
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_core.tools import FunctionTool, StaticStreamWorkbench, StaticWorkbench
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import BaseModel

warnings.simplefilter("ignore")  # each tool that is loaded warns

INFO: Any = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "family": "unknown",
    "structured_output": False,
}


class Answer(BaseModel):
    figure: int


def look_up(word: str) -> str:
    return f"{word} is a drink"


def model(*answers: Any) -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient(list(answers), model_info=INFO)


def call(name: str, **arguments: str) -> CreateResult:
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id="1", name=name, arguments=json.dumps(arguments))],
        usage=RequestUsage(prompt_tokens=3, completion_tokens=2),
        cached=False,
    )


def tool() -> FunctionTool:
    return FunctionTool(
        look_up, "Look a word up.", global_imports=["math", ImportFromModule("typing", ("Any",))]
    )


def agent(name: str, *answers: Any, **options: Any) -> AssistantAgent:
    return AssistantAgent(name, model(*answers), **options)


def tool_team() -> BaseGroupChat:
    writer = agent(
        "writer",
        call("look_up", word="tea"),
        "Tea is a drink.",
        tools=[tool()],
        max_tool_iterations=2,
        memory=[ListMemory("notes", [MemoryContent(content="x", mime_type="text/plain")])],
    )
    return RoundRobinGroupChat(
        [writer, agent("critic", "APPROVE")],
        termination_condition=TextMentionTermination("APPROVE") | MaxMessageTermination(9),
    )


def summary_team() -> BaseGroupChat:
    return RoundRobinGroupChat(
        [agent("writer", call("look_up", word="tea"), tools=[tool()])],
        termination_condition=FunctionCallTermination("look_up"),
        max_turns=3,
    )


def reflecting_team() -> BaseGroupChat:
    writer = agent(
        "writer",
        call("look_up", word="tea"),
        "A drink.",
        tools=[tool()],
        reflect_on_tool_use=True,
        model_context=BufferedChatCompletionContext(5),
    )
    return RoundRobinGroupChat([writer], max_turns=1)


def handoff_team() -> BaseGroupChat:
    return RoundRobinGroupChat(
        [agent("clerk", call("transfer_to_user"), handoffs=["user"])],
        termination_condition=HandoffTermination("user")
        & TokenUsageTermination(max_prompt_token=1),
    )


def selected_team() -> BaseGroupChat:
    return SelectorGroupChat(
        [agent("a", "from a"), agent("b", "from b", "END")],
        model("b", "a", "b"),
        allow_repeated_speaker=True,
        termination_condition=TextMentionTermination("END"),
    )


def swarm() -> BaseGroupChat:
    return Swarm(
        [agent("a", call("transfer_to_b"), handoffs=["b"]), agent("b", "END")],
        termination_condition=TextMentionTermination("END"),
    )


def flow() -> BaseGroupChat:
    a, b, c = agent("a", "no"), agent("b", "never"), agent("c", "done")
    graph = DiGraphBuilder().add_node(a).add_node(b).add_node(c)
    graph.add_edge(a, b, "yes").add_edge(a, c, "no")
    return GraphFlow([a, b, c], graph.build())


def progress(
    speaker: str, instruction: str, *, done: bool = False, moving: bool = True, loop: bool = False
) -> str:
    answers: dict[str, Any] = {
        "is_request_satisfied": done,
        "is_in_loop": loop,
        "is_progress_being_made": moving,
        "next_speaker": speaker,
        "instruction_or_question": instruction,
    }
    return json.dumps({k: {"reason": f"{k} because", "answer": v} for k, v in answers.items()})


def magentic() -> BaseGroupChat:
    """Plans, calls a tool, gets stuck, plans again, and answers."""
    orchestrator = model(
        *("facts", "plan", "nonsense", progress("a", "Look it up.")),
        f"```json\n{progress('b', 'Check it.', moving=False)}\n```",
        progress("b", "Again.", loop=True),
        *("other facts", "other plan", progress("b", "Now."), progress("?", "", done=True)),
        "Tea is a drink.",
    )
    return MagenticOneGroupChat(
        [
            agent("a", call("look_up", word="tea"), tools=[tool()], description="Looks  up."),
            agent("b", "checked", "checked again"),
        ],
        orchestrator,
        max_stalls=2,
        emit_team_events=True,
    )


def magentic_limit() -> BaseGroupChat:
    """Has no more rounds, with one agent, which need not be named."""
    orchestrator = model(
        "facts", "plan", progress("?", "One."), progress("?", "Two."), "It is not known."
    )
    return MagenticOneGroupChat([agent("a", "1", "2")], orchestrator, max_turns=1)


def magentic_stopped() -> BaseGroupChat:
    orchestrator = model("facts", "plan", progress("a", "Speak."), progress("a", "Go on."))
    return MagenticOneGroupChat(
        [agent("a", "STOP", "1")],
        orchestrator,
        max_turns=None,
        termination_condition=TextMentionTermination("STOP"),
    )


def nested_team() -> BaseGroupChat:
    inner = RoundRobinGroupChat(
        [agent("x", "one"), agent("y", "two")],
        name="pair",
        termination_condition=MaxMessageTermination(3),
    )
    return RoundRobinGroupChat([inner, agent("z", "three")], max_turns=2)


def society() -> BaseGroupChat:
    inner = RoundRobinGroupChat(
        [agent("x", "one", "three"), agent("y", "two", "four")], max_turns=2
    )
    mind = SocietyOfMindAgent("mind", inner, model("first", "second"))
    only = MessageFilterConfig(
        per_source=[
            PerSourceFilter(source="mind", position="last", count=1),
            PerSourceFilter(source="user"),
        ]
    )
    sieve = MessageFilterAgent("sieve", agent("z", "z1", "z2"), only)
    return RoundRobinGroupChat([mind, sieve], max_turns=4)


TEAMS = {
    "society": society,
    "tools": tool_team,
    "summary": summary_team,
    "reflection": reflecting_team,
    "handoff": handoff_team,
    "selector": selected_team,
    "nested": nested_team,
    "swarm": swarm,
    "graph": flow,
    "magentic": magentic,
    "magentic, limit": magentic_limit,
    "magentic, stopped": magentic_stopped,
}

PARTS = {
    "AssistantAgent": lambda: agent(
        "clerk", output_content_type=Answer, output_content_type_format="{figure}"
    ),
    "CodeExecutorAgent": lambda: CodeExecutorAgent(
        "coder", LocalCommandLineCodeExecutor(timeout=5, work_dir="."), model_client=model()
    ),
    "SourceMatchTermination": lambda: SourceMatchTermination(["clerk"]),
    "UserProxyAgent": lambda: UserProxyAgent("boss"),
    "StopMessageTermination": StopMessageTermination,
    "TimeoutTermination": lambda: TimeoutTermination(2),
    "ExternalTermination": ExternalTermination,
    "TextMessageTermination": lambda: TextMessageTermination("a"),
    "TokenUsageTermination": lambda: TokenUsageTermination(max_total_token=5),
    "UnboundedChatCompletionContext": lambda: UnboundedChatCompletionContext(
        [UserMessage(content="Hi.", source="user")]
    ),
    "HeadAndTailChatCompletionContext": lambda: HeadAndTailChatCompletionContext(1, 2),
    "TokenLimitedChatCompletionContext": lambda: TokenLimitedChatCompletionContext(model()),
    "StaticWorkbench": lambda: StaticWorkbench([tool()]),
    "StaticStreamWorkbench": lambda: StaticStreamWorkbench([]),
    "AgentTool": lambda: AgentTool(agent("a")),
    "TeamTool": lambda: TeamTool(RoundRobinGroupChat([agent("a")]), "desk", "A desk."),
    "OpenAIChatCompletionClient": lambda: OpenAIChatCompletionClient(
        model="gpt-4o", api_key="sk-1", temperature=0.5
    ),
    "AzureOpenAIChatCompletionClient": lambda: AzureOpenAIChatCompletionClient(
        model="gpt-4o",
        api_key="sk-1",
        azure_endpoint="https://r.openai.azure.com",
        azure_deployment="d",
        api_version="2024-10-21",
    ),
}


def shown(result: TaskResult) -> Any:
    messages = [[type(m).__name__.split("[")[0], m.source, m.to_text()] for m in result.messages]
    return {"messages": messages, "stop_reason": result.stop_reason}


async def read(component: Any, state: Any) -> Any:
    """What AutoGen makes of a component; of a team with a state, what it does and saves too."""
    try:
        made: Any = ComponentLoader.load_component(component, object)
        read = {"class": type(made).__name__}
        if state is not None:
            read["ran"] = shown(await made.run(task="go"))
            again: Any = ComponentLoader.load_component(component, object)
            await again.load_state(state)
            read["state"] = await again.save_state()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return read


async def write(make: Any) -> Any:
    made = make()
    component = json.loads(made.dump_component().model_dump_json(exclude_none=True))
    if not isinstance(made, BaseGroupChat):
        return {"component": component}
    ran = shown(await made.run(task="go"))
    return {"component": component, "ran": ran, "state": await made.save_state()}


async def main() -> None:
    given = json.load(sys.stdin)
    answer = {
        "read": {
            name: await read(component, given["states"].get(name))
            for name, component in given["components"].items()
        },
        "written": {name: await write(make) for name, make in {**TEAMS, **PARTS}.items()},
    }
    json.dump(answer, sys.stdout)


asyncio.run(main())
