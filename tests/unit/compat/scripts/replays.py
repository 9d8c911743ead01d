"""Replayed answers, nested teams, filters, magentic planning, and the log of model calls."""

import asyncio
import json
import logging
import os

from autogen_agentchat.agents import (
    AssistantAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
)
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat
from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient


class Usage(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, LLMCallEvent):
            self.tokens += record.msg.prompt_tokens + record.msg.completion_tokens


def show(title, result) -> None:
    print(f"== {title}: {result.stop_reason}")
    for message in result.messages:
        print(f"{type(message).__name__} {message.source}: {message.to_text()[:60]!r}")


async def society() -> None:
    client = ReplayChatCompletionClient(["A draft.", "It is good.", "The final text."])
    inner = RoundRobinGroupChat(
        [AssistantAgent("writer", client), AssistantAgent("editor", client)],
        termination_condition=MaxMessageTermination(3),
    )
    agent = SocietyOfMindAgent("society", team=inner, model_client=client)
    outer = RoundRobinGroupChat([agent], max_turns=1)
    show("society", await outer.run(task="Write."))


async def filtered() -> None:
    client = ReplayChatCompletionClient(["one", "two", "three"])
    first = AssistantAgent("first", client)
    second = MessageFilterAgent(
        name="second",
        wrapped_agent=AssistantAgent("second", client),
        filter=MessageFilterConfig(
            per_source=[PerSourceFilter(source="user", position="first", count=1)]
        ),
    )
    show("filtered", await RoundRobinGroupChat([first, second], max_turns=3).run(task="Count."))


async def magentic() -> None:
    def ledger(done: bool) -> str:
        answer = {"reason": "because", "answer": done}
        return json.dumps(
            {
                "is_request_satisfied": answer,
                "is_in_loop": {"reason": "no", "answer": False},
                "is_progress_being_made": {"reason": "yes", "answer": True},
                "next_speaker": {"reason": "it can", "answer": "worker"},
                "instruction_or_question": {"reason": "next", "answer": "Do it."},
            }
        )

    orchestrator = ReplayChatCompletionClient(
        ["The facts.", "The plan.", ledger(False), ledger(True), "All done."]
    )
    worker = AssistantAgent("worker", ReplayChatCompletionClient(["Did it."]))
    result = await MagenticOneGroupChat([worker], model_client=orchestrator).run(task="Work.")
    print("==", [(type(each).__name__, each.source) for each in result.messages])
    print(result.messages[-1].to_text(), result.stop_reason)


async def main() -> None:
    for part in (society, filtered, magentic):
        await part()
    client = ReplayChatCompletionClient(["only one"])
    message = UserMessage(content="Hi there", source="me")
    print((await client.create([message])).content, client.total_usage().prompt_tokens)
    try:
        await client.create([message])
    except Exception as error:
        print(type(error).__name__, error)
    usage = Usage()
    logger = logging.getLogger(EVENT_LOGGER_NAME)
    logger.setLevel(logging.INFO)
    logger.handlers = [usage]
    real = OpenAIChatCompletionClient(model="gpt-4o", api_key="k", base_url=os.environ["MODEL_URL"])
    await real.create([message])
    print(EVENT_LOGGER_NAME, usage.tokens)
    logger.handlers = []
    logger.setLevel(logging.NOTSET)
    await real.close()


asyncio.run(main())
