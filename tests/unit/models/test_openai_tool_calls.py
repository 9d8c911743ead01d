"""Tool calls come out as the model made them, however a server cuts and labels their parts."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.models.openai.request import Request
from teamrun.models.openai.tool_calls import ToolCalls
from teamrun.models.tool_names import ToolNames

Json = dict[str, Any]
Made = tuple[str, Json]
"""The name and the arguments of a call."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MADE = st.tuples(
    st.sampled_from(["add", "sub", "now"]),
    st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=3),
)


def labelled(
    *, index: bool, own_index: bool = False, ids: bool, repeat: bool = False
) -> Callable[[list[Made], list[list[str]]], Iterator[Json]]:
    def parts(made: list[Made], pieces: list[list[str]]) -> Iterator[Json]:
        for number, ((name, _), cut) in enumerate(zip(made, pieces, strict=True)):
            for k, piece in enumerate(cut):
                part: Json = {"function": {"arguments": piece}}
                if index:
                    part["index"] = number if own_index else 0
                if ids and (k == 0 or repeat):
                    part["id"] = f"call_{number}"
                if k == 0 or repeat:
                    part["function"]["name"] = name
                yield part

    return parts


DIALECTS = {
    "openai": labelled(index=True, own_index=True, ids=True),
    "openai_without_ids": labelled(index=True, own_index=True, ids=False),
    "all_on_each_part": labelled(index=True, own_index=True, ids=True, repeat=True),
    "one_index": labelled(index=True, ids=True),
    "one_index_all_on_each_part": labelled(index=True, ids=True, repeat=True),
    "one_index_without_ids": labelled(index=True, ids=False),
    "no_index": labelled(index=False, ids=True),
    "no_index_all_on_each_part": labelled(index=False, ids=True, repeat=True),
    "no_index_without_ids": labelled(index=False, ids=False),
    "names_on_each_part_alone": labelled(index=False, ids=False, repeat=True),
}


@st.composite
def cut(draw: st.DrawFn, made: list[Made]) -> list[list[str]]:
    """The arguments of each call in pieces; the first may be empty."""
    result: list[list[str]] = []
    for _, arguments in made:
        text = json.dumps(arguments)
        places = draw(st.lists(st.integers(0, len(text)), max_size=4))
        result.append([text[a:b] for a, b in pairwise(sorted([0, *places, len(text)]))])
    return result


def read(parts: Iterator[Json]) -> list[Made]:
    calls = ToolCalls()
    for part in parts:
        calls.add(part, whole=False)
    made = calls.result(Request({}, ToolNames()), taken=())
    assert len({call.id for call in made} - {""}) == len(made)
    return [(call.name, json.loads(call.arguments)) for call in made]


@pytest.mark.parametrize("dialect", DIALECTS)
@examples(40)
@given(data=st.data(), made=st.lists(MADE, min_size=1, max_size=4))
def test_calls_are_put_together_from_any_parts(
    dialect: str, data: st.DataObject, made: list[Made]
) -> None:
    pieces = data.draw(cut(made))
    assert read(DIALECTS[dialect](made, pieces)) == made


def test_long_arguments_in_small_parts_are_not_parsed_at_each_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parses: list[str] = []
    monkeypatch.setattr("teamrun.models.openai.tool_calls.json.loads", parses.append)
    calls = ToolCalls()
    calls.add({"index": 0, "function": {"name": "add", "arguments": '{"x'}}, whole=False)
    for _ in range(1_000):
        calls.add({"index": 0, "function": {"arguments": "}x}"}}, whole=False)
    assert len(parses) <= 1
