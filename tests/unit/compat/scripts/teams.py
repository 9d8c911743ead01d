"""Reflection, selection, handoffs and a graph, with states and components."""

import asyncio
import json
import os

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import (
    ExternalTermination,
    HandoffTermination,
    MaxMessageTermination,
    TextMentionTermination,
)
from autogen_agentchat.messages import HandoffMessage, StopMessage, TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import ModelFamily
from autogen_ext.models.openai import OpenAIChatCompletionClient

client = OpenAIChatCompletionClient(
    model="my-model",
    api_key="key",
    base_url=os.environ["MODEL_URL"],
    model_info={
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "family": ModelFamily.UNKNOWN,
        "structured_output": True,
    },
)


def show(title: str, result: TaskResult) -> None:
    print(f"== {title}: {result.stop_reason}")
    for message in result.messages:
        print(f"{type(message).__name__} {message.source}: {message.to_text()[:60]}")


class Counter(BaseChatAgent):
    def __init__(self, name: str) -> None:
        super().__init__(name, "It counts.")
        self._count = 0

    @property
    def produced_message_types(self):
        return (TextMessage, StopMessage)

    async def on_messages(self, messages, cancellation_token: CancellationToken) -> Response:
        self._count += len(messages)
        text = f"{self._count} messages"
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._count = 0


async def round_robin() -> None:
    primary = AssistantAgent("primary", client, model_context=BufferedChatCompletionContext(5))
    runtime = SingleThreadedAgentRuntime()
    team = RoundRobinGroupChat(
        [primary, Counter("counter")],
        termination_condition=TextMentionTermination("APPROVE") | MaxMessageTermination(4),
    )
    show("round robin", await team.run(task="Write a poem."))
    state = await team.save_state()
    print(sorted(state["agent_states"]), json.loads(json.dumps(state))["type"])
    show("continued", await team.run())
    await team.reset()
    external = ExternalTermination()
    external.set()
    await runtime.close()


async def selector() -> None:
    agents = [
        AssistantAgent(name, client, description=f"The {name}") for name in ("planner", "writer")
    ]
    team = SelectorGroupChat(
        agents, model_client=client, termination_condition=MaxMessageTermination(3)
    )
    show("selector", await team.run(task="Plan a trip."))


async def swarm() -> None:
    triage = AssistantAgent("triage", client, handoffs=["refunds", "user"])
    refunds = AssistantAgent("refunds", client, handoffs=["triage"])
    team = Swarm(
        [triage, refunds],
        termination_condition=HandoffTermination("user") | MaxMessageTermination(6),
    )
    show("swarm", await team.run(task="I want my money back."))
    task = HandoffMessage(source="user", target="refunds", content="It is order 7.")
    show("swarm again", await team.run(task=task))


async def graph() -> None:
    first, second, third = (Counter(name) for name in ("first", "second", "third"))
    builder = DiGraphBuilder()
    for agent in (first, second, third):
        builder.add_node(agent)
    builder.add_edge(first, second).add_edge(first, third)
    team = GraphFlow(builder.get_participants(), graph=builder.build())
    result = await team.run(task="Go.")
    print("==", result.stop_reason, sorted(m.source for m in result.messages))


async def person() -> None:
    user = UserProxyAgent("person", input_func=lambda prompt: "APPROVE")
    team = RoundRobinGroupChat([user], termination_condition=TextMentionTermination("APPROVE"))
    show("person", await team.run(task="Is it good?"))


async def components() -> None:
    condition = TextMentionTermination("DONE") | MaxMessageTermination(3)
    dumped = condition.dump_component()
    print(dumped.provider, dumped.component_type, dumped.version)
    print([(each["provider"], each["config"]) for each in dumped.config["conditions"]])
    loaded = type(condition).load_component(dumped)
    print(type(loaded).__name__)


async def main() -> None:
    for part in (round_robin, selector, swarm, graph, person, components):
        await part()
    await client.close()


asyncio.run(main())
