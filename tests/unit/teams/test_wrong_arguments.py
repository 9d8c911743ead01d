"""Arguments that a type checker would refuse are refused by name, when they are given."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from teamrun.agents import AssistantAgent
from teamrun.conditions import (
    MaxMessageTermination,
    OrTerminationCondition,
    SourceMatchTermination,
    TextMentionTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from teamrun.errors import ModelError, UnfitOutput, UsageError
from teamrun.models import OpenAIChatCompletionClient
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel
from teamrun.validation import misfits


def agent(name: Any = "a", model: Any = None, **options: Any) -> AssistantAgent:
    return AssistantAgent(name, model or ScriptedModel(["x"]), **options)


def team(participants: Any = None, **options: Any) -> RoundRobinGroupChat:
    return RoundRobinGroupChat(participants or [agent()], **options)


def selector(**options: Any) -> SelectorGroupChat:
    given: dict[str, Any] = {"model_client": ScriptedModel([]), **options}
    return SelectorGroupChat([agent("a"), agent("b")], **given)


CASES: list[tuple[str, type[Exception], Callable[[], Any]]] = [
    ("name", TypeError, lambda: agent(5)),
    ("model_client", TypeError, lambda: AssistantAgent("a", None)),  # type: ignore[arg-type]
    ("model_client", TypeError, lambda: agent(model="gpt-4o")),
    ("model_client", TypeError, lambda: agent(model=OpenAIChatCompletionClient)),
    ("tools", TypeError, lambda: agent(tools=print)),
    ("tools", TypeError, lambda: agent(tools="add")),
    ("tools", ValueError, lambda: agent(tools=["add"])),
    ("handoffs", TypeError, lambda: agent(handoffs="b")),
    ("handoffs", ValueError, lambda: agent(handoffs=[5])),
    ("workbench", TypeError, lambda: agent(workbench=["x"])),
    ("output_content_type", TypeError, lambda: agent(output_content_type=dict)),
    ("output_content_type", TypeError, lambda: agent(output_content_type="Verdict")),
    ("max_tool_iterations", ValueError, lambda: agent(max_tool_iterations=0)),
    ("max_tool_iterations", TypeError, lambda: agent(max_tool_iterations="3")),
    ("participants", TypeError, lambda: team(agent())),
    ("participants", TypeError, lambda: team({"a": agent()})),
    ("participants", TypeError, lambda: team("ab")),
    ("participant", TypeError, lambda: team(["a"])),
    ("termination_condition", TypeError, lambda: team(termination_condition="DONE")),
    ("max_turns", ValueError, lambda: team(max_turns=0)),
    ("max_turns", ValueError, lambda: team(max_turns=-1)),
    ("max_turns", TypeError, lambda: team(max_turns=True)),
    ("max_turns", TypeError, lambda: team(max_turns=2.5)),
    ("model_client", TypeError, lambda: selector(model_client="gpt-4o")),
    ("max_selector_attempts", ValueError, lambda: selector(max_selector_attempts=0)),
    ("max_messages", ValueError, lambda: MaxMessageTermination(0)),
    ("max_messages", TypeError, lambda: MaxMessageTermination("3")),  # type: ignore[arg-type]
    ("max_total_token", ValueError, lambda: TokenUsageTermination(max_total_token=-1)),
    ("timeout_seconds", ValueError, lambda: TimeoutTermination(-1)),
    ("timeout_seconds", ValueError, lambda: TimeoutTermination(math.nan)),
    ("timeout_seconds", TypeError, lambda: TimeoutTermination("9")),  # type: ignore[arg-type]
    ("text", ValueError, lambda: TextMentionTermination("")),
    ("text", TypeError, lambda: TextMentionTermination(None)),  # type: ignore[arg-type]
    ("sources", TypeError, lambda: TextMentionTermination("x", sources="clerk")),
    ("sources", TypeError, lambda: SourceMatchTermination("clerk")),
    ("conditions", TypeError, lambda: OrTerminationCondition(MaxMessageTermination(1), None)),  # type: ignore[arg-type]
    ("|", TypeError, lambda: MaxMessageTermination(1) | None),  # type: ignore[operator]
    ("&", TypeError, lambda: MaxMessageTermination(1) & "y"),  # type: ignore[operator]
]


@pytest.mark.parametrize(("parameter", "error", "make"), CASES)
def test_a_wrong_argument_is_refused_by_name(
    parameter: str, error: type[Exception], make: Callable[[], Any]
) -> None:
    with pytest.raises(error) as raised:
        make()
    assert parameter in str(raised.value).partition(" must ")[0]


@pytest.mark.parametrize("task", [5, {"a": 1}, b"x", 2.5, object()])
@pytest.mark.parametrize("make", [agent, team])
async def test_a_task_that_is_none_is_refused_by_name(make: Callable[[], Any], task: Any) -> None:
    with pytest.raises(TypeError) as raised:
        await make().run(task=task)
    assert str(raised.value).partition(" ")[0] == "task"


@pytest.mark.parametrize(
    "names", ["b", ("b",), {"b"}, iter(["b"]), (name for name in "b"), ["b", "b"]]
)
async def test_candidates_may_be_any_collection_of_names(names: Any) -> None:
    chat = selector(candidate_func=lambda _: names, max_turns=1)  # pyright: ignore[reportUnknownLambdaType]
    result = await chat.run(task="go")
    assert [message.source for message in result.messages] == ["user", "b"]


@pytest.mark.parametrize("version", ["9.9", "2.0.0", "", None, 3])
@pytest.mark.parametrize("make", [agent, team])
async def test_a_state_of_a_later_release_is_refused(make: Callable[[], Any], version: Any) -> None:
    made = make()
    state = {**await made.save_state(), "version": version}
    with pytest.raises(UsageError):
        await made.load_state(state)
    await made.load_state({**state, "version": "1.4.0"})


class Verdict(BaseModel):
    approved: bool


@pytest.mark.parametrize(
    "text",
    [
        '{"approved": true}',
        '```json\n{"approved": true}\n```',
        ' ```\n{"approved":\n true}\n``` \n',
    ],
)
async def test_a_fence_around_a_structured_answer_is_no_part_of_it(text: str) -> None:
    asked = agent(model=ScriptedModel([text]), output_content_type=Verdict)
    message: Any = (await asked.run(task="?")).messages[-1]
    assert message.content == Verdict(approved=True)


@pytest.mark.parametrize("text", ["Yes.", '{"approved": "perhaps"}', "```json\nYes\n```", ""])
async def test_a_structured_answer_that_does_not_fit_is_an_error_of_the_model(text: str) -> None:
    asked = agent(model=ScriptedModel([text]), output_content_type=Verdict, output_repairs=0)
    with pytest.raises(UnfitOutput) as raised:
        await asked.run(task="?")
    assert raised.value.data["text"] == text
    assert "https://" not in raised.value.message


class Review(BaseModel):
    verdict: Verdict
    points: list[int]


@pytest.mark.parametrize(
    ("answer", "paths"),
    [
        ({"verdict": {"approved": "s3cret"}, "points": []}, ["verdict.approved"]),
        ({"verdict": {}, "points": [1, "s3cret"]}, ["verdict.approved", "points.1"]),
        ({"points": "s3cret"}, ["verdict", "points"]),
    ],
)
async def test_each_fault_of_a_structured_answer_has_its_path_and_the_wording_of_every_refusal(
    answer: dict[str, Any], paths: list[str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        Review.model_validate(answer)
    found = misfits(refused.value, answer)
    assert [".".join(map(str, misfit.path)) for misfit in found] == paths

    script = [json.dumps(answer)]
    asked = agent(model=ScriptedModel(script), output_content_type=Review, output_repairs=0)
    with pytest.raises(ModelError) as raised:
        await asked.run(task="?")
    faults = [misfit.sentence(repr(path)) for misfit, path in zip(found, paths, strict=True)]
    assert raised.value.message.endswith(" ".join(["does not fit Review.", *faults]))
    assert "s3cret" not in raised.value.message
