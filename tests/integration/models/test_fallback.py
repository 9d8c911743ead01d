"""Profiles of the operator's file that stand in for each other, over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.messages_wire import SIGNATURE
from tests.support.model_replies import Reply, ToolCall
from tests.support.model_server import ModelServer

from teamrun.agents import AssistantAgent
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.models.answers import LocalAnswers

pytestmark = pytest.mark.integration

ASK = [UserMessage(content="Hi", source="user")]
BUSY = Reply(status=503, content="busy")
FILE = """\
version: 1
models:
  main: {{type: openai, model: gpt-4o, base_url: "{first}", api_key: key-of-first, max_retries: 0,
          fallback: [second, written]}}
  guarded: {{type: openai, model: gpt-4o, base_url: "{first}", api_key: k, max_retries: 3,
             circuit_breaker: {{failures: 1}}, fallback: second}}
  second: {{type: openai, model: gpt-4o-mini, base_url: "{second}", api_key: key-of-second,
            max_retries: 0}}
  claude: {{type: anthropic, model: claude-sonnet-5, base_url: "{root}", api_key: k,
            max_retries: 0, fallback: second}}
  written: {{type: scripted, script: ["No model wrote this."]}}
"""


class Pair(NamedTuple):
    """Two servers, and the profiles `main` and `second` that call them."""

    first: ModelServer
    second: ModelServer
    registry: Registry


@asynccontextmanager
async def pair(folder: Path) -> AsyncGenerator[Pair]:
    async with ModelServer() as first, ModelServer() as second:
        path = folder / "teamrun.yaml"
        root = first.address
        text = FILE.format(first=first.base_url, second=second.base_url, root=root)
        path.write_text(text, encoding="utf-8")
        registry = load_registry(path, environ={})
        try:
            yield Pair(first, second, registry)
        finally:
            await registry.close()


async def test_the_second_server_answers_if_the_first_is_busy_or_gone(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, registry):
        model = registry.model_client("main")
        first.plan.queue.append(BUSY)
        second.plan.default = Reply(content="second", prompt_tokens=5)
        result = await model.create(ASK)
        assert (result.content, result.model, result.usage.prompt_tokens) == (
            "second",
            "gpt-4o-mini",
            5,
        )
        assert (first.calls, second.calls) == (1, 1)
        assert [each["body"]["model"] for each in second.requests] == ["gpt-4o-mini"]
        assert second.requests[0]["headers"]["authorization"] == "Bearer key-of-second"
        await first.stop()
        *_, last = [piece async for piece in model.create_stream(ASK)]
        assert isinstance(last, CreateResult)
        assert last.content == "second"


async def test_an_open_circuit_leaves_the_first_server_alone(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, registry):
        first.plan.default = Reply(status=503, headers={"retry-after-ms": "1"})
        for _ in range(3):
            await registry.model_client("guarded").create(ASK)
        assert (first.calls, second.calls) == (1, 3)


async def test_a_wrong_request_is_not_sent_to_the_second_server(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, registry):
        first.plan.queue.append(Reply(status=400, content="no such argument"))
        with pytest.raises(ModelError) as raised:
            await registry.model_client("main").create(ASK)
        assert (raised.value.status_code, second.calls) == (400, 0)


async def test_a_script_does_not_answer_for_servers_that_fail(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, registry):
        first.plan.queue.append(BUSY)
        second.plan.queue.append(BUSY)
        with pytest.raises(ModelError):
            await registry.model_client("main").create(ASK)


async def test_the_second_server_does_not_get_what_the_first_attached(tmp_path: Path) -> None:
    async def add(a: int) -> str:
        """Add one."""
        return str(a + 1)

    async with pair(tmp_path) as (first, second, registry):
        call = ToolCall(name="add", arguments={"a": 1})
        first.plan.queue += [Reply(tool_calls=[call], reasoning="I must add."), BUSY]
        first.plan.default = Reply(content="DONE")
        second.plan.default = Reply(content="two")
        agent = AssistantAgent(
            "a", registry.model_client("main"), tools=[add], max_tool_iterations=2
        )
        await agent.run(task="Add one to 1.")
        await agent.run(task="Again.")
        assert (first.calls, second.calls) == (3, 1)
        assert "reasoning_content" not in str(second.requests)
        assert "reasoning_content" in str(first.requests[-1]["body"])  # its own data returns to it


async def test_a_model_of_another_company_answers_without_the_signatures(tmp_path: Path) -> None:
    async def add(a: int) -> str:
        """Add one."""
        return str(a + 1)

    async with pair(tmp_path) as (first, second, registry):
        call = ToolCall(name="add", arguments={"a": 1})
        overloaded = Reply(status=529, content="overloaded")
        first.plan.queue += [Reply(tool_calls=[call], reasoning="I must add."), overloaded]
        first.plan.default = Reply(content="DONE")
        second.plan.default = Reply(content="two")
        model = registry.model_client("claude")
        agent = AssistantAgent("a", model, tools=[add], max_tool_iterations=2)
        assert (await agent.run(task="Add one to 1.")).messages[-1].to_text() == "two"
        assert (await agent.run(task="Again.")).messages[-1].to_text() == "DONE"
        assert SIGNATURE not in str(second.requests)
        assert SIGNATURE in str(first.requests[-1]["body"])


CACHED = """\
version: 1
models:
  main: {{type: openai, model: "${{M:-gpt-4o}}", base_url: "{address}", api_key: "${{KEY}}",
          cache: {{}}}}
  other: {{type: openai, model: gpt-4o, base_url: "{address}", api_key: "${{KEY}}"}}
"""


async def test_a_profile_with_a_cache_sends_a_request_once(tmp_path: Path) -> None:
    async with ModelServer() as server:
        path = tmp_path / "teamrun.yaml"
        path.write_text(CACHED.format(address=server.base_url), encoding="utf-8")
        answers = LocalAnswers()
        for environ, calls in (
            ({"KEY": "1"}, 1),
            ({"KEY": "2"}, 1),  # a rotated key
            ({"KEY": "2", "M": "gpt-4o-mini"}, 2),
        ):
            registry = load_registry(path, environ=environ)
            registry.share_answers(answers)
            for _ in range(2):
                await registry.model_client("main").create(ASK)
            await registry.close()
            assert server.calls == calls
        await registry.model_client("other").create(ASK)
        assert server.calls == 3
        await registry.close()


async def test_a_process_without_shared_state_keeps_answers_itself(tmp_path: Path) -> None:
    async with ModelServer() as server:
        path = tmp_path / "teamrun.yaml"
        path.write_text(CACHED.format(address=server.base_url), encoding="utf-8")
        registry = load_registry(path, environ={"KEY": "k"})
        for _ in range(2):
            await registry.model_client("main").create(ASK)
        await registry.close()
        assert server.calls == 1
