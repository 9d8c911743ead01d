"""The model whose words are written beforehand."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from teamrun.core.call import CallInfo, current_call
from teamrun.errors import ModelError, UsageError
from teamrun.messages.llm import CreateResult, FunctionCall, RequestUsage, UserMessage
from teamrun.models import ChatCompletionClient
from teamrun.testing import FakeClock, ScriptedModel

ASK = [UserMessage(content="Hi", source="user")]


async def said(model: ChatCompletionClient) -> object:
    return (await model.create(ASK)).content


async def in_run(model: ChatCompletionClient, agent: str, position: int) -> object:
    token = current_call.set(CallInfo(f"{agent}/model:{position}", agent, position, "run_1"))
    try:
        return await said(model)
    finally:
        current_call.reset(token)


async def test_steps_come_in_order_in_all_their_forms() -> None:
    whole = CreateResult(
        finish_reason="length", content="cut", usage=RequestUsage(1, 2), thought="hm"
    )
    model = ScriptedModel(
        [
            "one two",
            whole,
            {"content": {"approved": True}, "usage": {"prompt_tokens": 7, "completion_tokens": 1}},
            {
                "content": "I look.",
                "tool_calls": [{"name": "f", "arguments": {"x": 1}}, {"name": "g"}],
            },
        ]
    )
    assert await model.create(ASK) == CreateResult(
        finish_reason="stop", content="one two", usage=RequestUsage(0, 2), model="scripted"
    )
    assert await model.create(ASK) is whole
    third = await model.create(ASK)
    assert json.loads(str(third.content)) == {"approved": True}
    assert third.usage == RequestUsage(7, 1)
    fourth = await model.create(ASK)
    assert fourth.content == [
        FunctionCall(id="call_step_3_0", arguments='{"x": 1}', name="f"),
        FunctionCall(id="call_step_3_1", arguments="{}", name="g"),
    ]
    assert (fourth.finish_reason, fourth.thought) == ("function_calls", "I look.")


async def test_an_error_step_is_raised_anew_each_time() -> None:
    error = {"error": {"message": "busy", "status_code": 503, "retryable": True}}
    model = ScriptedModel([error, error])
    raised: list[ModelError] = []
    for _ in range(2):
        with pytest.raises(ModelError) as info:
            await said(model)
        raised.append(info.value)
    assert [(e.status_code, e.retryable) for e in raised] == [(503, True)] * 2
    assert raised[0] is not raised[1]


async def test_agents_of_a_map_have_their_own_steps_and_counters() -> None:
    model = ScriptedModel({"ann": ["a1", "a2"], "bob": ["b1"]})
    ann, bob = model.for_agent("ann"), model.for_agent("bob")
    assert [await said(ann), await said(bob), await said(ann)] == ["a1", "b1", "a2"]
    assert model.for_agent("ann") is ann


async def test_a_list_is_played_from_its_start_by_each_agent_and_together_without_agents() -> None:
    model = ScriptedModel(["1", "2"])
    assert [await said(model.for_agent("ann")), await said(model.for_agent("bob"))] == ["1", "1"]
    assert [await said(model), await said(model)] == ["1", "2"]


async def test_in_a_run_the_answer_depends_on_the_position_only() -> None:
    model = ScriptedModel({"ann": ["a1", "a2"], "bob": ["b1"]})
    assert await in_run(model, "team/ann", 1) == "a2"
    assert await in_run(model, "team/ann", 0) == "a1"
    assert await in_run(model, "team/ann", 1) == "a2"
    assert await in_run(model.for_agent("ann"), "outer/inner/bob", 0) == "b1"


async def test_a_step_that_is_missing_names_the_agent_and_the_number() -> None:
    model = ScriptedModel({"ann": ["a1"]})
    with pytest.raises(ModelError) as raised:
        await in_run(model, "team/ann", 1)
    assert raised.value.data["agent"] == "ann"
    assert raised.value.data["position"] == 1
    assert raised.value.retryable is False
    with pytest.raises(ModelError) as raised:
        await said(model.for_agent("anne"))
    assert (raised.value.data["agent"], raised.value.data["position"]) == ("anne", 0)


async def test_a_step_left_over_is_an_error_at_the_end() -> None:
    with (
        pytest.raises(UsageError) as raised,
        ScriptedModel({"ann": ["a1", "a2"], "bob": ["b1"]}) as model,
    ):
        await said(model.for_agent("ann"))
    assert raised.value.data["left_over"] == {"ann": 1, "bob": 1}
    with ScriptedModel(["1"]) as model:
        await said(model)
    with pytest.raises(UsageError) as raised:
        ScriptedModel(["1"]).finish()
    assert raised.value.data["left_over"] == {"": 1}


def test_a_failing_test_is_not_hidden_by_steps_left_over() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedModel(["1"]):
        raise ZeroDivisionError


async def test_rewound_it_plays_from_the_start() -> None:
    model = ScriptedModel(["1", "2"], record=True)
    assert [await said(model), await said(model)] == ["1", "2"]
    model.rewind()
    assert await said(model) == "1"
    assert len(model.calls) == 1


async def test_it_keeps_requests_only_if_configured() -> None:
    async def body(model: ScriptedModel) -> None:
        await model.for_agent("ann").create(ASK, json_output=True, tool_choice="none")

    recording = ScriptedModel(["1"], record=True)
    await body(recording)
    [call] = recording.calls
    assert (call.agent, call.position, call.json_output, call.tool_choice) == (
        "ann",
        0,
        True,
        "none",
    )
    assert call.messages[0] is ASK[0]
    silent = ScriptedModel(["1"])
    await body(silent)
    assert silent.calls == []


async def test_a_stream_keeps_every_space() -> None:
    text = "  one\n\ntwo  three "
    pieces: list[Any] = [piece async for piece in ScriptedModel([text]).create_stream(ASK)]
    *words, last = pieces
    assert "".join(words) == text
    assert len(words) == 4
    assert last.content == text


async def test_latency_lets_other_work_continue() -> None:
    order: list[str] = []
    slow = ScriptedModel(["x"], latency=timedelta(milliseconds=5))

    async def call() -> None:
        await slow.create(ASK)
        order.append("answered")

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    order.append("meanwhile")
    await task
    assert order == ["meanwhile", "answered"]


WRONG: list[tuple[Any, dict[str, str]]] = [
    (["ok", {"contnt": "x"}], {"step": "step_1", "field": "contnt"}),
    ([{"tool_calls": [{"arguments": {}}]}], {"step": "step_0", "field": "tool_calls.0.name"}),
    ({"ann": [7]}, {"step": "ann_0", "field": ""}),
    ("just text", {}),
    ({"ann": "just text"}, {}),
]


@pytest.mark.parametrize(("script", "data"), WRONG)
def test_an_invalid_step_is_found_before_the_first_call(script: Any, data: dict[str, str]) -> None:
    with pytest.raises(UsageError) as raised:
        ScriptedModel(script)
    assert raised.value.data == data


async def test_a_fake_clock_moves_when_slept_on() -> None:
    clock = FakeClock()
    start = clock.now()
    await clock.sleep(90)
    clock.advance(timedelta(seconds=1))
    assert clock.now() - start == timedelta(seconds=91)
    assert clock.sleeps == [90]
