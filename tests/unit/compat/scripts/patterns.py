"""Graphs with filters and loops, memories, agents of one's own, agents as tools, people."""

import asyncio
import json
import tempfile
from pathlib import Path

from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import Response, TaskResult, TerminationCondition
from autogen_agentchat.conditions import (
    MaxMessageTermination,
    TextMentionTermination,
    TokenUsageTermination,
)
from autogen_agentchat.messages import StopMessage, TextMessage, ToolCallExecutionEvent
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    RoundRobinGroupChat,
    SelectorGroupChat,
)
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_agentchat.ui import Console
from autogen_core import CancellationToken, FunctionCall
from autogen_core.memory import (
    ListMemory,
    Memory,
    MemoryContent,
    MemoryMimeType,
    MemoryQueryResult,
    UpdateContextResult,
)
from autogen_core.model_context import HeadAndTailChatCompletionContext
from autogen_core.models import CreateResult, RequestUsage, SystemMessage
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import BaseModel

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": True,
}


def model(*answers):
    return ReplayChatCompletionClient(list(answers), model_info=INFO)


def agent(name, *answers, **more):
    return AssistantAgent(name, model(*answers), **more)


def call(name, **arguments):
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id="1", name=name, arguments=json.dumps(arguments))],
        usage=RequestUsage(prompt_tokens=3, completion_tokens=2),
        cached=False,
    )


def show(result):
    print("==", result.stop_reason)
    for m in result.messages:
        print(type(m).__name__, m.source, "|", m.to_text(), "|", m.models_usage)


async def filters():
    first, second = agent("researcher", "Facts."), agent("analyst", "Critique.")
    last = PerSourceFilter(source="researcher", position="last", count=1)
    sieve = MessageFilterAgent("analyst", second, MessageFilterConfig(per_source=[last]))
    builder = DiGraphBuilder()
    builder.add_node(first).add_node(sieve).add_edge(first, sieve)
    flow = GraphFlow(builder.get_participants(), graph=builder.build())
    show(await flow.run(task="Summarise."))
    print([m.content for m in await second.model_context.get_messages()])


async def loops():
    writer, critic = agent("writer", "One", "Two"), agent("critic", "Revise", "APPROVE")
    end = agent("end", "The end.")
    builder = DiGraphBuilder()
    builder.add_node(writer).add_node(critic).add_node(end)
    builder.add_edge(writer, critic)
    builder.add_edge(critic, end, condition=lambda m: "APPROVE" in m.to_model_text())
    builder.add_edge(critic, writer, condition=lambda m: "APPROVE" not in m.to_model_text())
    builder.set_entry_point(writer)
    flow = GraphFlow(
        builder.get_participants(),
        graph=builder.build(),
        termination_condition=MaxMessageTermination(10),
    )
    await Console(flow.run_stream(task="Brainstorm."))


async def society():
    inner = RoundRobinGroupChat(
        [agent("a", "A poem.", "x"), agent("b", "APPROVE", "x")],
        termination_condition=TextMentionTermination("APPROVE"),
    )
    client = model("The final poem.", "x")
    mind = SocietyOfMindAgent("mind", team=inner, model_client=client)
    team = RoundRobinGroupChat([mind, agent("c", "El poema.")], max_turns=2)
    await Console(team.run_stream(task="Write."), output_stats=False)
    print([m.content.splitlines()[0] for m in client.create_calls[0]["messages"]])


class Notes(Memory):
    async def update_context(self, model_context):
        last = (await model_context.get_messages())[-1]
        await model_context.add_message(SystemMessage(content=f"On {last.content}"))
        found = MemoryContent(content="a note", mime_type=MemoryMimeType.TEXT)
        return UpdateContextResult(memories=MemoryQueryResult(results=[found]))

    async def query(self, query, cancellation_token=None, **kwargs):
        return MemoryQueryResult(results=[])

    async def add(self, content, cancellation_token=None):
        pass

    async def clear(self):
        pass

    async def close(self):
        pass


async def memories():
    listed = ListMemory()
    await listed.add(MemoryContent(content="Metric units.", mime_type=MemoryMimeType.TEXT))
    client = model("21 degrees.", "x")
    await Console(AssistantAgent("a", client, memory=[listed, Notes()]).run_stream(task="Weather?"))
    print([m.content for m in client.create_calls[0]["messages"]][1:])


class CountDown(BaseChatAgent):
    def __init__(self, name, count=3):
        super().__init__(name, "Counts down.")
        self._count = count

    @property
    def produced_message_types(self):
        return (TextMessage,)

    async def on_messages(self, messages, cancellation_token):
        async for item in self.on_messages_stream(messages, cancellation_token):
            if isinstance(item, Response):
                return item
        return None

    async def on_messages_stream(self, messages, cancellation_token):
        inner = []
        for i in range(self._count, 0, -1):
            inner.append(TextMessage(content=f"{i}...", source=self.name))
            yield inner[-1]
        done = TextMessage(content="Done!", source=self.name)
        yield Response(chat_message=done, inner_messages=inner)

    async def on_reset(self, cancellation_token):
        print("reset", self.name)


class Executed(TerminationCondition):
    def __init__(self, name):
        self._name, self._terminated = name, False

    @property
    def terminated(self):
        return self._terminated

    async def __call__(self, messages):
        for m in messages:
            if isinstance(m, ToolCallExecutionEvent) and m.content[0].name == self._name:
                self._terminated = True
                return StopMessage(content=f"{self._name} was executed", source="Executed")
        return None

    async def reset(self):
        self._terminated = False


def approve() -> None:
    """Approve the text."""


async def own():
    counter = CountDown("counter")
    async for item in counter.run_stream(task="go"):
        print(len(item.messages) if isinstance(item, TaskResult) else item.to_text())
    critic = agent("critic", "not yet", call("approve"), tools=[approve])
    condition = Executed("approve") | MaxMessageTermination(30)
    team = RoundRobinGroupChat([counter, critic], termination_condition=condition)
    show(await team.run(task="Write."))
    await team.reset()


async def choices():
    def select(messages):
        return None if messages[-1].source == "planner" else "planner"

    client = model("web", "web or data", "data")
    team = SelectorGroupChat(
        [agent("planner", "1", "2", "3 END"), agent("web", "w"), agent("data", "d")],
        model_client=client,
        selector_func=select,
        selector_prompt="{roles}\n{history}\n{participants}",
        allow_repeated_speaker=True,
        termination_condition=TextMentionTermination("END", sources=["planner"]),
    )
    await Console(team.run_stream(task="Who?"))


class Answer(BaseModel):
    thoughts: str
    answer: str


async def answers():
    text = '{"thoughts": "t", "answer": "happy"}'
    formed = agent("a", text, output_content_type=Answer, output_content_type_format="{answer}!")
    show(await formed.run(task="I am happy."))
    streamed = agent("s", "hello there you", model_client_stream=True)
    async for item in streamed.run_stream(task="Name cities."):
        print(type(item).__name__)


async def delegates():
    tool = AgentTool(agent("writer", "A haiku.", description="Writes."))
    main = agent("main", call("writer", task="haiku"), "Here.", tools=[tool], max_tool_iterations=2)
    show(await main.run(task="Write."))
    inner = RoundRobinGroupChat([agent("x", "one"), agent("y", "two")], max_turns=2)
    desk = TeamTool(inner, "desk", "A desk.", return_value_as_last_message=True)
    show(await agent("main", call("desk", task="story"), tools=[desk]).run(task="Write."))


async def people():
    asked = []

    async def answer(prompt, cancellation_token):
        asked.append(prompt)
        return "APPROVE" if len(asked) > 1 else "more"

    team = RoundRobinGroupChat(
        [agent("yoda", "Do.", "Done."), UserProxyAgent("user", input_func=answer)],
        termination_condition=TextMentionTermination("APPROVE", sources=["user"]),
    )
    async for item in team.run_stream(task="hello"):
        print(item.stop_reason if isinstance(item, TaskResult) else type(item).__name__)
    print(asked)


async def files():
    members = []

    def made(*texts):
        context = HeadAndTailChatCompletionContext(1, 2)
        condition = TokenUsageTermination(max_completion_token=2) & MaxMessageTermination(2)
        members.append(agent("poet", *texts, model_context=context))
        return RoundRobinGroupChat(members[-1:], termination_condition=condition)

    with tempfile.TemporaryDirectory() as folder:
        path, team = Path(folder) / "state.json", made("A line.", "x y", "z")
        show(await team.run(task="Write."))
        path.write_text(json.dumps(await team.save_state()), encoding="utf-8")
        other = made("It was: a line.", "x")
        await other.load_state(json.loads(path.read_text(encoding="utf-8")))
    show(await other.run(task="Which line?"))
    message = TextMessage(content="?", source="u")
    again = await members[-1].on_messages([message], CancellationToken())
    print(again.chat_message.content, again.chat_message.models_usage)


async def main():
    parts = (filters, loops, society, memories, own, choices, answers, delegates, people, files)
    for part in parts:
        print("==========", part.__name__)
        await part()


asyncio.run(main())
