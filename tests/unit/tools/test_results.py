"""The value of a tool as text for a model: the same in the library and in a run."""

import json
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from tests.support.runs import Cluster, solo

from teamrun.agents import AssistantAgent
from teamrun.errors import ToolError
from teamrun.messages import Image, ToolCallExecutionEvent
from teamrun.testing import ScriptedModel
from teamrun.tools import (
    FunctionTool,
    StaticStreamWorkbench,
    StaticWorkbench,
    StreamTool,
    Workbench,
)


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Kind(StrEnum):
    NEW = "new"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Visit:
    at: datetime
    tags: frozenset[int]


class Order(BaseModel):
    id: UUID
    at: datetime
    total: Decimal = Field(alias="sum")
    colour: Colour


class Named:
    def __str__(self) -> str:
        return "by its name"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no text")


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("00000000-0000-4000-8000-000000000001")
ORDER = Order(id=ID, at=NOON, sum=Decimal("1.50"), colour=Colour.RED)
ORDER_JSON = {"id": str(ID), "at": "2026-03-01T12:00:00Z", "total": "1.50", "colour": "red"}
LOOP: list[Any] = []
LOOP.append(LOOP)

TEXTS: list[tuple[Any, str]] = [
    ("text", "text"),
    (None, "None"),
    (True, "True"),
    (1.5, "1.5"),
    ({"a": [1, "b", None]}, "{'a': [1, 'b', None]}"),
    (NOON, "2026-03-01T12:00:00Z"),
    (date(2026, 3, 1), "2026-03-01"),
    (timedelta(seconds=3), "PT3S"),
    (ID, str(ID)),
    (Decimal("1.50"), "1.50"),
    (Colour.RED, "red"),
    (Level.HIGH, "3"),
    (Kind.NEW, "new"),
    (Path("/a/b"), "/a/b"),
    (b"plain", "plain"),
    (b"\xff\x00", "_wA="),
    (memoryview(b"plain"), "plain"),
    (memoryview(b"\xff\x00"), "_wA="),
    (Image.from_bytes(b"\x89PNG\r\n\x1a\n-"), "[image/png, 9 bytes]"),
    (Named(), "by its name"),
]
DATA: list[tuple[Any, Any]] = [
    (ORDER, ORDER_JSON),
    ([ORDER], [ORDER_JSON]),
    (Visit(at=NOON, tags=frozenset({7})), {"at": "2026-03-01T12:00:00Z", "tags": [7]}),
    (
        {"at": NOON, "who": {Colour.RED: Level.HIGH}},
        {"at": "2026-03-01T12:00:00Z", "who": {"red": 3}},
    ),
    ({1, 2}, [1, 2]),
    ((1, "a"), [1, "a"]),
    (Point(1, 2), [1, 2]),
    (OrderedDict(a=1), {"a": 1}),
    ({"of": Named()}, {"of": "by its name"}),
    ({"of": memoryview(b"plain")}, {"of": "plain"}),
]


def _id(value: object) -> str:
    return re.sub(r" at 0x\w+", "", repr(value))[:30]


def returning(value: Any) -> FunctionTool:
    async def look() -> Any:
        return value

    return FunctionTool(look, "Look.")


@pytest.mark.behaviour("tool.result.binary")
@pytest.mark.parametrize(("value", "text"), TEXTS, ids=_id)
def test_a_value_with_a_form_of_one_piece_is_that_text(value: Any, text: str) -> None:
    assert returning(value).return_value_as_string(value) == text


@pytest.mark.parametrize(("value", "data"), DATA, ids=_id)
def test_a_value_with_parts_is_json(value: Any, data: Any) -> None:
    assert json.loads(returning(value).return_value_as_string(value)) == data


@pytest.mark.parametrize(
    "value", [LOOP, Mute(), {"deep": {"a": Mute()}}], ids=["loop", "mute", "in"]
)
def test_a_value_that_cannot_be_written_is_a_failed_call(value: Any) -> None:
    with pytest.raises(ToolError):
        returning(value).return_value_as_string(value)


def values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.datetimes(),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.decimals(),
        st.sampled_from([*Colour, *Level, *Kind, Named(), Mute(), ORDER, object()]),
    )
    keys = st.one_of(st.text(), st.integers(), st.uuids(), st.sampled_from(Colour), st.dates())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner), st.tuples(inner, inner), st.dictionaries(keys, inner), inner.map(iter_)
        ),
        max_leaves=8,
    )


def iter_(value: Any) -> Any:
    return [value, {"of": value}]


@given(values())
async def test_whatever_a_tool_returns_is_a_result_or_a_failed_call(value: Any) -> None:
    tool = returning(value)

    for workbench in (StaticWorkbench([tool]), StaticStreamWorkbench([tool])):
        result = await workbench.call_tool("look")
        assert result.to_text().encode("utf-8", "surrogatepass") or value in ("", b"")


class Streaming(StreamTool):
    """Reports nothing and returns what cannot be written."""

    @property
    def schema(self) -> Any:
        return {"name": self.name}

    async def run_json_stream(
        self, args: Any, cancellation_token: Any = None, *, call_id: str | None = None
    ) -> AsyncGenerator[Any, None]:
        yield LOOP


async def test_a_tool_that_streams_fails_like_any_other() -> None:
    workbench: Workbench = StaticStreamWorkbench([Streaming("look", "Look.")])
    assert isinstance(workbench, StaticStreamWorkbench)
    [result] = [item async for item in workbench.call_tool_stream("look")]
    assert result.is_error


async def in_the_library(value: Any) -> tuple[str, bool]:
    model = ScriptedModel([{"tool_calls": [{"name": "look", "arguments": {}}]}])
    agent = AssistantAgent("a", model, tools=[returning(value)])
    result = await agent.run(task="go")
    [event] = [m for m in result.messages if isinstance(m, ToolCallExecutionEvent)]
    [told] = event.content
    return told.content, bool(told.is_error)


async def in_a_run(value: Any) -> tuple[str, bool]:
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "look", "arguments": {}}]}, "DONE"]
    }
    cluster = Cluster(script, team=solo("look"), tools=[returning(value)])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, done):
        await done
    [told] = [
        event
        for entry in await cluster.entries(ref)
        for event in entry.events
        if event.type in ("tool.call.completed", "tool.call.failed")
    ]
    return told.data["result"], told.type == "tool.call.failed"


@pytest.mark.usefixtures("clusters_are_closed")
@pytest.mark.parametrize("value", [each for each, _ in [*TEXTS, *DATA]] + [LOOP], ids=_id)
async def test_a_durable_run_tells_the_model_the_same_as_the_library(value: Any) -> None:
    assert await in_a_run(value) == await in_the_library(value)
