"""Random teams with all kinds of members, and scripts of their models' answers."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.support.team_cases import progress

from teamrun.agents import AssistantAgent
from teamrun.agents.base import BaseChatAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import Response
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.messages.llm import UserMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools.agent_tool import AgentTool, TeamTool
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

__all__ = ["TIME", "TOOLS", "Counter", "Grower"]

TIME = datetime(2030, 1, 1, tzinfo=UTC)


class Counter(BaseChatAgent):
    """A custom agent with a state of its own."""

    def __init__(self, name: str, model_client: ChatCompletionClient) -> None:
        super().__init__(name, "Counts.")
        self._model = model_client
        self._count = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        self._count += 1
        answer = await self._model.create([UserMessage(content="go on", source=self.name)])
        content = f"{self._count}: {answer.content}"
        message = TextMessage(
            source=self.name, content=content, id=f"{self.name}-{self._count}", created_at=TIME
        )
        return Response(chat_message=message)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._count = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"count": self._count}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]


async def count(context: ToolContext) -> str:
    """Count the calls."""
    context.state["calls"] = context.state.get("calls", 0) + 1
    return str(context.state["calls"])


async def send(text: str) -> str:
    """Send a text."""
    return f"sent {text}"


COUNT = FunctionTool(count, "Count.", effects="none")


def helper(name: str) -> AssistantAgent:
    """An agent that counts in every second answer."""
    call: dict[str, Any] = {"tool_calls": [{"name": "count", "arguments": {}}]}
    return AssistantAgent(name, ScriptedModel([call, f"{name} has counted"] * 60), tools=[COUNT])


TOOLS = [
    COUNT,
    FunctionTool(send, "Send.", effects="write"),
    AgentTool(helper("helper")),
    TeamTool(
        RoundRobinGroupChat([helper("one"), helper("two")], max_turns=2), "pair", "Two helpers."
    ),
]


class Grower:
    """Makes a random team, and what its models answer."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._wraps = random.Random(f"{seed} wraps")
        self._declares = random.Random(f"{seed} declares")
        self.script: dict[str, list[Any]] = {}
        self._hands_over = False

    def team(self) -> dict[str, Any]:
        rng = self.rng
        names = "abc"[: rng.randint(1, 3)]
        members = [self._wrapped(self._member(name, 1)) for name in names]
        conditions: list[dict[str, Any]] = [
            {"type": "text_mention", "text": "STOP"},
            {"type": "max_messages", "max_messages": rng.randint(8, 30)},
            {"type": "timeout", "timeout_seconds": rng.randint(5, 60)},
            {"type": "token_usage", "max_total_token": rng.randint(20, 200)},
            {
                "type": "and",
                "conditions": [
                    {"type": "text_mention", "text": rng.choice(["well", "so", "hm"])},
                    {"type": "max_messages", "max_messages": rng.randint(3, 40)},
                ],
            },
        ]
        if self._hands_over:
            conditions.append({"type": "handoff", "target": "human"})
        team: dict[str, Any] = {
            "type": "round_robin_group_chat",
            "participants": members,
            "max_turns": rng.randint(4, 9),
            "termination": {"type": "or", "conditions": conditions},
            "output": rng.choice([None, members[0]["name"]]),
        }
        if not self._has_teams(members) and rng.random() < 0.2:
            self._lead(team, names)
        elif len(names) > 1 and rng.random() < 0.4:
            team |= self._steps(names)
        elif len(names) > 1 and rng.random() < 0.3:
            team |= {"type": "selector_group_chat", "model": "m"}
            self.script["selector"] = [rng.choice(names) for _ in range(120)]
        elif self._can_swarm(members) and rng.random() < 0.5:
            team["type"] = "swarm"
            self._pass_on(members)
        elif len(members) > 1 and not self._has_teams(members) and rng.random() < 0.7:
            team |= {"type": "graph_flow", "graph": self._graph(names)}
        return team

    def _steps(self, names: str) -> dict[str, Any]:
        """One of the teams that work in steps, in which members are cut off now and then."""
        rng, last = self.rng, names[-1]
        kinds: list[dict[str, Any]] = [
            {"type": "sequential"},
            {"type": "concurrent", "synthesizer": rng.choice([None, last])},
            {"type": "competitive", "enough": 1},
            {"type": "competitive", "judge": last, "enough": rng.choice([None, 1])},
            {"type": "hierarchical", "manager": last, "rounds": rng.randint(1, 3)},
        ]
        if len(names) > 2:
            kinds.append({"type": "debate", "rounds": rng.randint(1, 2)})
        kind = rng.choice(kinds)
        if kind["type"] == "hierarchical" and isinstance(self.script.get(last), list):
            plan = "\n".join(f"{name}: work" for name in names[:-1])
            self.script[last][::3] = [plan] * len(self.script[last][::3])
        return kind

    def _lead(self, team: dict[str, Any], names: str) -> None:
        """Give the team an orchestrator, which gets stuck and writes no ledger now and then."""
        rng, script = self.rng, ["facts", "plan"]
        team |= {"type": "magentic_one", "model": "m", "max_stalls": 1}
        for _ in range(40):
            kind = rng.random()
            if kind < 0.1:
                script.append("no ledger")
            stuck = 0.1 < kind < 0.3
            script.append(progress(rng.choice(names), "Go on.", moving=not stuck, done=kind > 0.95))
            script += ["other facts", "other plan"] if stuck else []
        self.script["orchestrator"] = script

    def _graph(self, names: str) -> dict[str, Any]:
        """A graph in which some speak at the same time."""
        rng = self.rng
        activation = {name: rng.choice(["all", "any"]) for name in names}
        nodes: dict[str, Any] = {name: {"edges": []} for name in names}
        for k, name in enumerate(names):
            condition = rng.choice([None, None, "e"])
            for target in names[k + 1 :]:
                if rng.random() < 0.6:
                    edge = {"target": target, "condition": condition}
                    edge["activation_condition"] = activation[target]
                    nodes[name]["edges"].append(edge)
        return {"nodes": nodes}

    def _has_teams(self, members: list[dict[str, Any]]) -> bool:
        return any(member["type"] == "round_robin_group_chat" for member in members)

    def _can_swarm(self, members: list[dict[str, Any]]) -> bool:
        return members[0]["type"] == "assistant_agent" and not self._has_teams(members)

    def _pass_on(self, members: list[dict[str, Any]]) -> None:
        """Let each assistant hand off to the others, in a third of its answers."""
        for member in members:
            if member["type"] != "assistant_agent":
                continue
            others = [each["name"] for each in members if each is not member]
            targets = [{"target": name} for name in [*others, "human"]]
            member["handoffs"] = targets
            for k in range(0, 120, 3) if others else ():
                name = f"transfer_to_{self.rng.choice(others)}"
                self.script[member["name"]][k] = {"tool_calls": [{"name": name, "arguments": {}}]}

    def _wrapped(self, member: dict[str, Any]) -> dict[str, Any]:
        """Some members behind a filter, or in a society of mind."""
        rng, name = self._wraps, member["name"]
        kind = rng.choice(["filter", "society", *[""] * 6])
        if member["type"] not in ("assistant_agent", "custom_agent"):
            return member  # a person refuses handoffs to the society
        if kind == "filter":
            sources = [{"source": each} for each in ("user", *"ba") if rng.random() < 0.7]
            sources += [{"source": "c", "position": "last", "count": 1}]
            only = {"per_source": sources}
            return {"type": "message_filter_agent", "name": name, "agent": member, "filter": only}
        if kind == "society" and not self._hands_over:
            member["name"] = inner = f"{name}i"
            if name in self.script:
                self.script[inner] = self.script[name]
            self.script[name] = [f"{name} sums up {k}" for k in range(120)]
            team: dict[str, Any] = {"type": "round_robin_group_chat", "name": "within"}
            team["participants"] = [member]
            team["max_turns"] = rng.randint(1, 2)
            mind = {"type": "society_of_mind_agent", "name": name, "model": "m"}
            return {**mind, "team": team}
        return member

    def _member(self, name: str, depth: int) -> dict[str, Any]:
        rng = self.rng
        match rng.choice(["plain", "tools", "tools", "person", "custom", "team"]):
            case "person":
                return {"type": "user_proxy_agent", "name": name}
            case "custom":
                self.script[name] = [f"{name}{k}" for k in range(120)]
                return {"type": "custom_agent", "name": name, "agent": "counter", "model": "m"}
            case "team" if depth:
                members = [self._member(f"{name}{k}", depth - 1) for k in range(rng.randint(1, 2))]
                team = {"type": "round_robin_group_chat", "name": name, "participants": members}
                return {**team, "max_turns": rng.randint(1, 3)}
            case kind:
                return self._assistant(name, has_tools=kind == "tools")

    def _assistant(self, name: str, *, has_tools: bool) -> dict[str, Any]:
        rng = self.rng
        self.script[name] = [self._answer(has_tools=has_tools) for _ in range(120)]
        agent: dict[str, Any] = {"type": "assistant_agent", "name": name, "model": "m"}
        if has_tools:
            tools: list[Any] = ["count", "send", "helper", "pair"]
            if self._declares.random() < 0.3:
                tools[2:] = self._declared()
            agent |= {"tools": tools, "max_tool_iterations": rng.randint(1, 3)}
            agent |= {"reflect_on_tool_use": rng.random() < 0.5}
        if rng.random() < 0.3:
            agent["model_context"] = {"type": "buffered", "buffer_size": rng.randint(2, 5)}
        if rng.random() < 0.3:
            self._hands_over = True
            agent["handoffs"] = [{"target": "human"}]
            hand_over: dict[str, Any] = {
                "tool_calls": [{"name": "transfer_to_human", "arguments": {}}]
            }
            self.script[name][rng.randint(0, 5)] = hand_over
        return agent

    def _declared(self) -> list[Any]:
        """The agent and the team that are registered as tools, in the definition itself."""
        call: dict[str, Any] = {"tool_calls": [{"name": "count", "arguments": {}}]}
        helpers = ["helper", "one", "two"]
        self.script |= {name: [call, f"{name} has counted"] * 30 for name in helpers}
        agents = [
            {"type": "assistant_agent", "name": name, "model": "m", "tools": ["count"]}
            for name in helpers
        ]
        pair = {"type": "round_robin_group_chat", "name": "pair", "participants": agents[1:]}
        team = {**pair, "max_turns": 2, "description": "Two helpers."}
        return [{"agent": agents[0]}, {"team": team}]

    def _answer(self, *, has_tools: bool) -> Any:
        rng = self.rng
        if not has_tools or rng.random() < 0.5:
            return rng.choice(["well", "so", "hm", "STOP" if rng.random() < 0.05 else "yes"])
        calls: list[dict[str, Any]] = [
            {"name": "count", "arguments": {}},
            {"name": "send", "arguments": {"text": "x"}},
            {"name": "helper", "arguments": {"task": "count"}},
            {"name": "pair", "arguments": {"task": "count"}},
        ]
        return {"tool_calls": [rng.choice(calls) for _ in range(rng.randint(1, 2))]}
