"""Cases of golden logs for each form of team: with inner teams, joins, cycles, judges, people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.random_teams import Counter

from teamrun.agents import AssistantAgent
from teamrun.code import CodeExecutionTool, CodeExecutor
from teamrun.conditions.base import SimpleTermination
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage
from teamrun.messages.code import CodeBlock, CodeResult
from teamrun.models import ChatCompletionClient
from teamrun.teams import BaseGroupChat, RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools.base import Tool
from teamrun.tools.mcp import McpServer, StdioServerParams
from teamrun.tools.mcp.server import ListedTool, ListedTools
from teamrun.tools.result import ToolResult, text_result

__all__ = ["AGENTS", "FUNCTIONS", "SERVER", "SHAPES", "TOOLS", "team_in_python"]

Json = dict[str, Any]


class _Stock(McpServer):
    """An MCP server in this process, without the protocol; its list changes with an order."""

    def __init__(self) -> None:
        super().__init__(StdioServerParams(command="none"), name="stock")

    async def list_tools(self, owner: object = None) -> ListedTools:
        schema: Json = {"type": "object", "properties": {}}
        tools = [ListedTool("order", "Order.", schema, "write")]
        return ListedTools([*tools, ListedTool("pieces", "Count.", schema, "none")], 0)

    def changes(self, owner: object = None) -> int:
        return 1

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], **options: Any
    ) -> ToolResult:
        return text_result(name, f"{name}: 4", is_error=name == "pieces")


SERVER = _Stock()


class _Echo(CodeExecutor):
    """Takes the code for its output, and fails where that is `fail`."""

    async def execute_code_blocks(
        self, code_blocks: Sequence[CodeBlock], cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        code = code_blocks[-1].code.strip()
        return CodeResult(exit_code=int(code == "fail"), output=code)


def _pick(messages: Sequence[AnyMessage]) -> str | None:
    """The one who counts, after the task."""
    return "c" if messages[-1].source == "user" else None


async def _among(messages: Sequence[AnyMessage]) -> list[str]:
    return ["a", "c"]


class _Spoken(SimpleTermination):
    """Stops at the fourth item, and has to remember how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = 0

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        self._heard += len(messages)
        return f"{self._heard} heard" if self._heard > 3 else None

    def _counted(self) -> Json:
        return {"heard": self._heard}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._heard = state.get("heard", 0)


def team_in_python(tool: Tool) -> Callable[[ChatCompletionClient], BaseGroupChat]:
    """A function that makes a team with an agent of a class of its own and an inner team."""

    def made(model_client: ChatCompletionClient) -> BaseGroupChat:
        c = AssistantAgent("c", model_client, tools=[tool])
        inner = RoundRobinGroupChat([AssistantAgent("a", model_client)], name="inner", max_turns=1)
        return SelectorGroupChat(
            [inner, c, Counter("own", ScriptedModel(["more"] * 9))],
            model_client,
            selector_func=_pick,
            termination_condition=_Spoken(),
        )

    return made


FUNCTIONS: dict[str, Any] = {"pick": _pick, "among": _among, "Spoken": _Spoken}

TOOLS: list[Tool] = [CodeExecutionTool(_Echo())]
AGENTS = {"counter": Counter}

CALL: Json = {"tool_calls": [{"name": "count", "arguments": {}}]}


def agent(name: str, **options: Any) -> Json:
    return {"type": "assistant_agent", "name": name, "model": "m", **options}


def team(type: str, names: str, **options: Any) -> Json:
    """A team; `c` counts in every form of it."""
    members = [agent(name, tools=["count"] if name == "c" else []) for name in names]
    return {"type": type, "participants": members, **options}


def lines(*names: str, **others: list[Any]) -> dict[str, list[Any]]:
    return {name: [f"{name}{k}" for k in range(4)] for name in names} | others


def _passes(target: str) -> Json:
    return {"tool_calls": [{"name": f"transfer_to_{target}", "arguments": {}}]}


def edge(target: str, **options: Any) -> Json:
    return {"target": target, **options}


_GRAPH: Json = {
    "default_start_node": "a",
    "nodes": {
        "a": {"edges": [edge("b"), edge("c")]},
        **{
            name: {"edges": [edge("d", activation_group="first", activation_condition="any")]}
            for name in "bc"
        },
        "d": {
            "edges": [
                edge("a", condition="again", activation_group="back"),
                edge("e", condition="done"),
            ]
        },
        "e": {"edges": []},
    },
}
"""`d` speaks after the first of two, and sends the others round once more."""

_INNER: Json = {
    "type": "swarm",
    "name": "inner",
    "participants": [
        agent("c", tools=["count"], handoffs=[{"target": "d"}]),
        agent("d", handoffs=[{"target": "c"}]),
    ],
    "max_turns": 2,
}
_CHOSEN = team("selector_group_chat", "ef", name="chosen", model="m", max_turns=2)
_CONDITIONS: list[Json] = [
    {"type": "stop_message"},
    {"type": "external"},
    {"type": "token_usage", "max_total_token": 1000},
    {"type": "timeout", "timeout_seconds": 3600},
    {"type": "source_match", "sources": ["b"]},
    {"type": "text_message", "source": "b"},
    {"type": "handoff", "target": "b"},
    {
        "type": "and",
        "conditions": [
            {"type": "function_call", "function_name": "count"},
            {"type": "max_messages", "max_messages": 3},
        ],
    },
]

SHAPES: dict[str, tuple[Json, dict[str, list[Any]]]] = {
    "sequence": (team("sequential", "acb"), lines("a", "b", c=[CALL])),
    "at_once": (
        team("concurrent", "acb", synthesizer="b"),
        lines("a", b=["Of both"], c=[CALL]),
    ),
    "debate": (
        team("debate", "acb", judge="b", rounds=2),
        lines("a", b=["a is right"], c=["no", CALL]),
    ),
    "judged": (team("competitive", "acb", judge="b"), lines("a", b=["c"], c=[CALL])),
    "managed": (
        team("hierarchical", "acb", manager="b", rounds=2),
        lines("a", b=["a: go\nc: count", "c: again", "Done"], c=[CALL, CALL]),
    ),
    "functions": (
        team(
            "selector_group_chat",
            "ac",
            model="m",
            selector_func="pick",
            candidate_func="among",
            termination={"type": "functional", "function": "Spoken"},
        ),
        lines("a", c=["c0", CALL], selector=["c", "a"]),
    ),
    "python": (
        {"type": "custom_team", "function": "made", "model": "m", "max_turns": 4},
        lines("a", c=["c0", CALL, CALL], selector=["own", "c"]),
    ),
    "cycle": (
        team("graph_flow", "abcde", graph=_GRAPH, max_turns=12),
        lines("a", "b", "e", c=[CALL, CALL], d=["again", "done"]),
    ),
    "nested": (
        {
            "type": "round_robin_group_chat",
            "participants": [agent("a"), _INNER, _CHOSEN],
            "max_turns": 6,
            "shared_memory": True,
        },
        lines(
            "a", "e", "f", c=[_passes("d"), CALL], d=["d0", _passes("c")], selector=["f", "e"] * 2
        ),
    ),
    "conditions": (
        {
            "type": "round_robin_group_chat",
            "participants": [
                agent("a"),
                agent("c", tools=["count"], handoffs=[{"target": "b"}]),
                agent("b"),
            ],
            "max_turns": 9,
            "termination": {"type": "or", "conditions": _CONDITIONS},
        },
        lines("a", "b", c=[CALL]),
    ),
    "people": (
        {
            "type": "round_robin_group_chat",
            "participants": [
                {"type": "user_proxy_agent", "name": "boss"},
                {"type": "custom_agent", "name": "own", "agent": "counter", "model": "m"},
            ],
            "max_turns": 4,
        },
        lines("own"),
    ),
    "coder": (
        {
            "type": "round_robin_group_chat",
            "participants": [
                {
                    "type": "code_executor_agent",
                    "name": "coder",
                    "model": "m",
                    "code_executor": "run_code",
                    "max_retries_on_error": 1,
                }
            ],
            "max_turns": 1,
        },
        {
            "coder": [
                "```sh\nfail\n```",
                {"content": {"reason": "a typo", "retry": True}},
                "```sh\n8\n```",
                "It printed 8.",
            ]
        },
    ),
    "thread": (team("round_robin_group_chat", "ac", max_turns=3), lines("a", c=["c0", CALL])),
}
"""Teams, and the scripts of their agents."""
