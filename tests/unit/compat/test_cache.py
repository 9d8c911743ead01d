"""AutoGen's cache of model calls and its tool for Python code."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.agents import AssistantAgent
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.compat.autogen.cache import ChatCompletionCache, InMemoryStore
from teamrun.compat.autogen.code import PythonCodeExecutionTool
from teamrun.messages import CreateResult, RequestUsage, UserMessage
from teamrun.testing import ScriptedModel

TEA = [UserMessage(content="tea", source="user")]
STEP: dict[str, Any] = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}


class Answer(BaseModel):
    figure: int


def model(*answers: str) -> ScriptedModel:
    return ScriptedModel([{"content": text, **STEP} for text in answers])


@pytest.mark.behaviour("model.cache")
async def test_a_repeated_call_gets_the_first_answer() -> None:
    cache = ChatCompletionCache(model("one", "two", "three", "four"))

    first, again = await cache.create(TEA), await cache.create(TEA)
    others = [
        await cache.create(TEA, extra_create_args={"temperature": 1}),
        await cache.create(TEA, json_output=Answer),
        await cache.create([*TEA, *TEA]),
    ]

    assert (first.content, first.cached) == ("one", False)
    assert (again.content, again.cached) == ("one", True)
    assert [each.content for each in others] == ["two", "three", "four"]
    assert cache.actual_usage() == RequestUsage(12, 8)
    assert cache.total_usage() == RequestUsage(15, 10)


@pytest.mark.behaviour("model.cache")
async def test_a_stream_is_kept_when_it_has_ended() -> None:
    cache = ChatCompletionCache(model("one two", "three four"))
    left = cache.create_stream(TEA)
    await anext(left)
    await left.aclose()

    first, again = [[each async for each in cache.create_stream(TEA)] for _ in range(2)]

    assert first[:-1] == again[:-1] == ["three ", "four"]
    assert isinstance(again[-1], CreateResult)
    assert again[-1].cached


@pytest.mark.behaviour("core.cache_store", "model.cache.key")
async def test_clients_of_different_capabilities_share_a_store() -> None:
    store: InMemoryStore[Any] = InMemoryStore()
    plain: Any = {**ScriptedModel([]).model_info, "vision": False}
    one = ChatCompletionCache(model("one"), store)
    other = ChatCompletionCache(ScriptedModel(["other"], model_info=plain), store)
    same = ChatCompletionCache(model("never"), store)

    texts = [(await each.create(TEA)).content for each in (one, other, same)]

    assert texts == ["one", "other", "one"]
    assert len(store.store) == 2


@pytest.mark.behaviour("tools.python_code")
async def test_python_code_is_executed_by_a_tool(tmp_path: Path) -> None:
    tool = PythonCodeExecutionTool(LocalCommandLineCodeExecutor(work_dir=tmp_path))
    calls = [
        {"tool_calls": [{"name": "CodeExecutor", "arguments": {"code": code}}]}
        for code in ("print(1)", "exit(3)")
    ]
    agent = AssistantAgent("a", ScriptedModel(calls), tools=[tool], max_tool_iterations=1)

    result = await agent.run(task="go")
    failed = await tool.run(tool.args_type()(code="exit(3)"))

    assert result.messages[-1].to_text() == "1\n"
    assert failed.success is False
    assert tool.description == "Execute Python code blocks."
