"""Tools that belong together."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from teamrun.core import CancellationToken
from teamrun.messages import Image, ThoughtEvent
from teamrun.tools import (
    FunctionTool,
    ImageResultContent,
    StaticStreamWorkbench,
    StaticWorkbench,
    StreamTool,
    TextResultContent,
    ToolContext,
    ToolOverride,
    ToolResult,
    ToolSchema,
)


async def add(a: int, b: int) -> int:
    return a + b


async def fail() -> None:
    raise ExceptionGroup("two", [ValueError("first"), KeyError("second")])


def count(context: ToolContext) -> int:
    context.state["n"] = context.state.get("n", 0) + 1
    return context.state["n"]


class Thinker(StreamTool):
    def __init__(self) -> None:
        super().__init__("think", "Thinks.")

    @property
    def schema(self) -> ToolSchema:
        return ToolSchema(name="think", description="Thinks.")

    async def run_json_stream(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        yield ThoughtEvent(content="hm", source="think")
        if "hang" in args:
            await asyncio.Event().wait()
        if "fail" in args:
            raise ValueError("no idea")
        yield "42"


def text(name: str, content: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=content)], is_error=is_error)


@pytest.mark.behaviour("workbench.results")
async def test_a_call_gives_a_result_also_where_it_fails() -> None:
    async with StaticWorkbench([FunctionTool(add, "Adds."), FunctionTool(fail, "d")]) as bench:
        assert [
            await bench.call_tool("add", {"a": 1, "b": 2}),
            await bench.call_tool("fail"),
            await bench.call_tool("none"),
        ] == [
            text("add", "3"),
            text("fail", "first\n'second'", is_error=True),
            text("none", "Tool none not found.", is_error=True),
        ]


@pytest.mark.behaviour("workbench.overrides")
async def test_tools_may_go_by_other_names() -> None:
    bench = StaticStreamWorkbench(
        [FunctionTool(add, "Adds."), Thinker()],
        {"add": ToolOverride(name="plus", description="Sums."), "think": ToolOverride(name="mull")},
    )
    tools = [(tool["name"], tool.get("description")) for tool in await bench.list_tools()]
    streamed = [item async for item in bench.call_tool_stream("mull")]
    assert (tools, await bench.call_tool("plus", {"a": 1, "b": 1}), streamed[-1]) == (
        [("plus", "Sums."), ("mull", "Thinks.")],
        text("plus", "2"),
        text("mull", "42"),
    )


@pytest.mark.behaviour("workbench.overrides.collision")
def test_names_that_collide_or_are_not_there_are_refused() -> None:
    tools = [FunctionTool(add, "d"), FunctionTool(add, "d", name="plus")]

    with pytest.raises(ValueError):
        StaticWorkbench(tools, {"add": ToolOverride(name="plus")})
    with pytest.raises(ValueError):
        StaticWorkbench(tools, {"sub": ToolOverride(name="minus")})


@pytest.mark.behaviour("workbench.stream")
async def test_progress_of_a_tool_is_streamed_before_its_result() -> None:
    bench = StaticStreamWorkbench([Thinker(), FunctionTool(add, "d")])

    async def items(name: str, args: Mapping[str, Any]) -> list[Any]:
        return [item async for item in bench.call_tool_stream(name, args)]

    stream = bench.call_tool_stream("think", {"hang": True})
    assert (await anext(stream)).content == "hm"
    await stream.aclose()
    thought, result = await items("think", {})
    assert (thought.content, result) == ("hm", text("think", "42"))
    assert await items("add", {"a": 1, "b": 2}) == [text("add", "3")]
    failed = await items("think", {"fail": True})
    assert failed[-1] == text("think", "no idea", is_error=True)


async def test_a_stream_tool_may_be_called_for_its_value_alone() -> None:
    assert await Thinker().run_json({}) == "42"


@pytest.mark.behaviour("workbench.state")
async def test_the_state_of_tools_is_saved_by_their_names() -> None:
    first, second = (
        StaticWorkbench([FunctionTool(count)]),
        StaticWorkbench([FunctionTool(count)]),
    )
    await first.call_tool("count")
    state = await first.save_state()
    await second.load_state(state)
    result = await second.call_tool("count")
    assert state == {"type": "StaticWorkbenchState", "tools": {"count": {"n": 1}}}
    assert result == text("count", "2")


async def test_a_cancel_ends_a_call() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    token = CancellationToken()
    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await StaticWorkbench([FunctionTool(hang, "d")]).call_tool("hang", {}, token)


def test_images_in_a_result_can_be_replaced() -> None:
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\n-")
    result = ToolResult(
        name="draw", result=[TextResultContent(content="see"), ImageResultContent(content=image)]
    )

    assert result.to_text("<chart>") == "see\n<chart>"
    assert result.to_text() == f"see\n[Image: {image.to_base64()}]"
    assert ToolResult.model_validate_json(result.model_dump_json()) == result
