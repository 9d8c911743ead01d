"""Any text and value passes every boundary of a call, and the run continues."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json
from tests.support.examples import examples
from tests.support.foreign import FreeModel, Speaker, answer
from tests.support.runs import TENANT, Cluster, solo
from tests.unit.runs.test_recorded import difference

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive
from teamrun.messages.llm import CreateResult, FunctionCall, LLMMessage
from teamrun.messages.recordable import MAX_DEPTH, MAX_SIZE, encodable
from teamrun.runs.log.entries import Step
from teamrun.runs.service.requests import Answer, RunRequest
from teamrun.runs.service.resources import Delta, Run
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

TEXT = st.text(st.characters())  # surrogates included

TEAM: dict[str, Any] = {
    "type": "round_robin_group_chat",
    "participants": [
        {
            "type": "assistant_agent",
            "name": "a",
            "model": "m",
            "tools": ["use"],
            "reflect_on_tool_use": True,
            "model_client_stream": True,
        },
        {"type": "custom_agent", "name": "s", "agent": "speaker", "model": "m"},
        {"type": "user_proxy_agent", "name": "p"},
    ],
    "max_turns": 3,
}


class Stage:
    """A team whose model, tool, agent and person all return one text."""

    def __init__(self, text: str, *, raises: bool, live: Live | None = None) -> None:
        self.text = text
        self.raises = raises
        self.heard: list[str] = []
        self.model = FreeModel(self.answers)
        tool = FunctionTool(self.use, description="Use a text.", name="use")
        registry = Registry.of(
            teams={"team": TEAM},
            models={"m": self.model},
            tools=[tool],
            agents={"speaker": Speaker},
        )
        self.cluster = Cluster({}, team={}, registry=registry, live=live)

    def answers(self, messages: Sequence[LLMMessage]) -> CreateResult:
        if self.model.asked > 1:
            return answer(self.text, thought=self.text, model=self.text or None)
        arguments = json.dumps({"path": self.text})
        return answer([FunctionCall(id=self.text, arguments=arguments, name="use")])

    async def use(self, path: str, context: ToolContext) -> str:
        self.heard.append(path)
        context.progress(self.text, math.nan)
        context.state[self.text] = self.text
        context.artifacts.write("text.txt", self.text)
        if self.raises:
            raise ValueError(self.text)
        return self.text

    async def played(self) -> tuple[RunRef, Run]:
        service = self.cluster.service
        ref = await self.cluster.submit(self.text)
        worker = self.cluster.worker()
        await worker.execute(ref)
        [action] = (await service.get(TENANT, ref.run_id)).required_actions
        said = Answer(action_id=action.id, content=f"!{self.text}", data=[self.text])
        await service.answer(TENANT, ref.run_id, said)
        await worker.execute(ref)
        await worker.close()
        return ref, await service.get(TENANT, ref.run_id)


@given(TEXT, st.booleans())
async def test_every_text_goes_through_every_edge_of_a_call(text: str, raises: bool) -> None:
    stage, mended = Stage(text, raises=raises), encodable(text)
    ref, run = await stage.played()
    assert (run.status, run.stop_code, run.epoch) == ("completed", "max_turns", 2)
    assert (stage.heard, stage.model.asked) == ([mended], 3)
    result = await stage.cluster.service.result(TENANT, ref.run_id)
    said = [message["content"] for message in result.messages]
    assert said == [mended, mended, mended, f"!{mended}"]
    to_json([run, result])
    assert await difference(stage.cluster, ref) is None


class Heard(MemoryLive):
    """Keeps the text that was shown live."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    async def publish(self, topic: str, message: bytes) -> None:
        if message.startswith(b"{"):
            self.shown.append(Delta.model_validate_json(message).data["text"])
        await super().publish(topic, message)


@given(TEXT)
@examples(30)
async def test_live_text_forms_the_message(text: str) -> None:
    live = Heard()
    stage = Stage(text, raises=False, live=live)
    ref = await stage.cluster.submit("go")
    worker = stage.cluster.worker()
    await worker.execute(ref)
    await worker.drained()
    await worker.close()
    assert "".join(live.shown) == encodable(text)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"in": value}
    return value


def tool_cluster(use: Callable[..., Any]) -> Cluster:
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "use", "arguments": {}}]}, "DONE"]
    }
    tool = FunctionTool(use, description="Use.", name="use")
    return Cluster(script, team=solo("use", reflect_on_tool_use=True), tools=[tool])


async def called_once(cluster: Cluster, ref: RunRef) -> Step:
    """Execute a run to its end; returns the step with the only call of its tool."""
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.epoch, run.usage.tool_calls) == ("completed", 1, 1)
    assert await difference(cluster, ref) is None
    steps = [entry.body for entry in await cluster.entries(ref) if isinstance(entry.body, Step)]
    [step] = [step for step in steps if any(call.kind == "tool" for call in step.calls)]
    return step


STATES: dict[str, Any] = {
    "nan": {"x": math.nan},
    "infinity": {"x": math.inf},
    "bytes": {"x": b"\xff"},
    "integer": {"x": 10**5000},
    "deep": {"x": nested(MAX_DEPTH)},
    "deepest": {"x": nested(5000)},
    "large": {"x": "x" * (MAX_SIZE + 1)},
    "set": {"x": {1, 2}},
    "object": {"x": object()},
    "keys": {(1, 2): 3},
    "list": ["no", "dict"],
    "none": None,
}


@pytest.mark.parametrize("name", STATES)
async def test_a_state_that_is_no_json_is_the_failure_of_its_call(name: str) -> None:
    def use(context: ToolContext) -> str:
        context.state = STATES[name]
        return "used"

    cluster = tool_cluster(use)
    [call] = (await called_once(cluster, await cluster.submit())).calls
    assert call.error is not None
    assert (call.error.code, call.value, call.state) == ("usage", None, None)


RESULTS: dict[str, Any] = {
    "integer": 2**70,
    "nan": math.nan,
    "bytes": b"\xff",
    "names": {"\udcff.txt": 5},
    "set": {"\ud83d": {1}},
    "object": object(),
}


@pytest.mark.parametrize("name", RESULTS)
async def test_every_result_of_a_tool_is_text_for_the_model(name: str) -> None:
    def use() -> Any:
        return RESULTS[name]

    cluster = tool_cluster(use)
    [call] = (await called_once(cluster, await cluster.submit())).calls
    assert (call.error, type(call.value)) == (None, str)


@pytest.mark.parametrize(
    ("value", "code"),
    [("x" * (MAX_SIZE + 1), "unrecordable"), (nested(500), "tool_error")],
    ids=["large", "deep"],
)
async def test_a_result_that_is_too_large_or_too_deep_is_the_failure_of_its_call(
    value: Any, code: str
) -> None:
    cluster = tool_cluster(lambda: value)
    [call] = (await called_once(cluster, await cluster.submit())).calls
    assert call.error is not None
    assert call.error.code == code


@pytest.mark.parametrize(
    "media_type", ["text", "text/plain\r\nX-Evil: 1", "t\u00e9xt/plain", "a/\ud83d"]
)
async def test_a_media_type_that_no_header_carries_is_the_failure_of_its_call(
    media_type: str,
) -> None:
    def use(context: ToolContext) -> str:
        context.artifacts.write("f.txt", "x", media_type)
        return "used"

    cluster = tool_cluster(use)
    ref = await cluster.submit()
    [call] = (await called_once(cluster, ref)).calls
    assert call.error is not None
    assert call.error.code == "usage"
    assert await cluster.service.artifacts(TENANT, ref.run_id) == []


def nested_arguments(levels: int) -> str:
    return '{"x":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    "arguments",
    [nested_arguments(500), nested_arguments(100_000), '{"x": ' + "1" * 5000 + "}", "\ud83d"],
    ids=["deep", "deepest", "digits", "half"],
)
async def test_unreadable_arguments_are_reported_to_the_model(arguments: str) -> None:
    made: list[Any] = []

    def answers(messages: Sequence[LLMMessage]) -> CreateResult:
        if model.asked > 1:
            return answer("DONE")
        return answer([FunctionCall(id="1", arguments=arguments, name="use")])

    def use(x: str) -> str:
        made.append(x)
        return "used"

    model = FreeModel(answers)
    tool = FunctionTool(use, description="Use.")
    team = solo("use", reflect_on_tool_use=True)
    registry = Registry.of(teams={"team": team}, models={"m": model}, tools=[tool])
    cluster = Cluster({}, team={}, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.epoch, model.asked, made) == ("completed", 1, 2, [])


@pytest.mark.parametrize(
    "given",
    [
        "text",
        None,
        answer(None),
        answer([FunctionCall(id="1", arguments={"x": 1}, name="use")]),  # pyright: ignore[reportArgumentType] - a client of one's own
        answer("x" * (MAX_SIZE + 1)),
        answer("x", logprobs=[nested(MAX_DEPTH)]),
    ],
    ids=["text", "none", "no content", "arguments", "size", "depth"],
)
async def test_an_answer_that_cannot_be_recorded_fails_the_run_at_once(given: Any) -> None:
    model = FreeModel(lambda messages: given)
    registry = Registry.of(teams={"team": solo()}, models={"m": model})
    cluster = Cluster({}, team={}, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.epoch, run.usage.model_calls, model.asked) == ("failed", 1, 1, 1)


async def test_text_of_a_definition_and_a_request_is_replaced_where_no_utf_8_encodes_it() -> None:
    team = solo(system_message="half \ud83d")
    cluster = Cluster({"a": ["DONE"]}, team=team)
    request = RunRequest.model_validate({"team_spec": team, "input": "\udcff"})
    submitted = await cluster.service.submit(TENANT, request)
    for ref in (RunRef(TENANT, submitted.run.id), await cluster.submit("\ud83d")):
        worker = cluster.worker()
        await worker.execute(ref)
        await worker.close()
        run = await cluster.service.get(TENANT, ref.run_id)
        assert (run.status, run.input) == ("completed", "\ufffd")
