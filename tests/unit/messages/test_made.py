"""Messages that are made without validation are the same as validated ones."""

import sys
import threading
from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from pydantic import BaseModel, ValidationError

from teamrun.messages import (
    AssistantMessage,
    BaseMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    HandoffMessage,
    LLMMessage,
    RequestUsage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserMessage,
)
from teamrun.messages import origin as origins
from teamrun.messages.made import (
    checked_answer,
    made_answer,
    made_handoff,
    made_message,
    made_question,
    made_result,
    made_results,
)

USAGE = RequestUsage(prompt_tokens=1, completion_tokens=2)
CALL = FunctionCall(id="1", arguments="{}", name="t")
RESULT = FunctionExecutionResult(content="x", name="t", call_id="1", is_error=False)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class FixedOrigin:
    def new_id(self) -> str:
        return "an-id"

    def now(self) -> datetime:
        return NOW


@pytest.fixture(autouse=True)
def _fixed_origin() -> Any:
    token = origins.current_origin.set(FixedOrigin())
    yield
    origins.current_origin.reset(token)


MESSAGES: list[tuple[type[BaseMessage], object]] = [
    (TextMessage, "a text"),
    (ThoughtEvent, "a thought"),
    (ToolCallRequestEvent, [CALL]),
    (ToolCallExecutionEvent, [RESULT]),
]


def check_same(made: BaseModel, validated: BaseModel) -> None:
    assert made == validated
    assert list(vars(made)) == list(vars(validated))
    assert made.model_fields_set == set(type(made).model_fields)
    assert made.model_dump_json() == validated.model_dump_json()
    assert made.model_copy(update={}) == validated
    assert repr(made) == repr(validated)
    assert made.model_copy(deep=True) == validated
    assert type(made).model_validate_json(made.model_dump_json()) == validated


@pytest.mark.parametrize(("cls", "content"), MESSAGES)
@pytest.mark.parametrize("usage", [None, USAGE])
def test_a_message_is_as_if_it_were_validated(
    cls: type[BaseMessage], content: object, usage: RequestUsage | None
) -> None:
    made = made_message(cls, content, "a", usage, message_id="mine")
    fields: dict[str, Any] = {"content": content, "source": "a", "models_usage": usage}

    check_same(made, cls(id="mine", **fields))
    made.metadata["note"] = "x"
    made.source = "b"
    assert made_message(cls, content, "a", usage).metadata == {}
    assert made_message(cls, content, "a", usage).source == "a"
    assert made_message(cls, content, "a").id == "an-id"


@pytest.mark.behaviour("message.model_messages")
@pytest.mark.parametrize("content", ["a text", [CALL]])
@pytest.mark.parametrize("thought", [None, "a thought"])
def test_the_answer_of_a_model_is_as_if_it_were_validated(
    content: str | list[FunctionCall], thought: str | None
) -> None:
    result = CreateResult(finish_reason="stop", content=content, usage=USAGE, thought=thought)
    validated = AssistantMessage(content=content, thought=thought, source="a", provider_data=None)

    check_same(made_answer(result, "a"), validated)


@pytest.mark.parametrize("context", [[], [UserMessage(content="so far", source="b")]])
def test_a_handoff_is_as_if_it_were_validated(context: list[LLMMessage]) -> None:
    validated = HandoffMessage(content="over", source="a", target="b", context=context)

    check_same(made_handoff("over", "a", target="b", context=context), validated)


def test_a_question_is_as_if_it_were_validated() -> None:
    check_same(made_question("who?"), UserMessage(content="who?", source="user"))


def test_results_of_tools_are_as_if_they_were_validated() -> None:
    made = made_result("x", name="t", call_id="1", is_error=False)

    check_same(made, RESULT)
    check_same(made_results([made]), FunctionExecutionResultMessage(content=[RESULT]))


def test_ids_are_random_uuids_and_unique_across_threads() -> None:
    origins.current_origin.set(None)
    made: list[list[str]] = [[] for _ in range(4)]

    def make(ids: list[str]) -> None:
        ids.extend(origins.new_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [each for part in made for each in part]
    assert len(set(ids)) == len(ids)
    assert all(str(UUID(each)) == each for each in ids)
    assert {(UUID(each).version, UUID(each).variant) for each in ids} == {(4, RFC_4122)}


def _unchecked(**values: Any) -> CreateResult:
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    whole: dict[str, Any] = {"finish_reason": "stop", "content": "x", "usage": usage, **values}
    return CreateResult.model_construct(**whole)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"usage": None},
        {"thought": "hm"},
        {"content": [FunctionCall(id="1", arguments="{}", name="f")]},
    ],
    ids=str,
)
def test_an_answer_of_the_right_types_is_used_as_it_is(values: dict[str, Any]) -> None:
    result = _unchecked(**values)
    assert checked_answer(result) is result


@pytest.mark.parametrize(
    "values",
    [
        {"content": None},
        {"content": 5},
        {"content": [7]},
        {"content": [FunctionCall(id=None, arguments="{}", name="f")]},  # pyright: ignore[reportArgumentType] - a client of one's own
        {"content": [FunctionCall(id="1", arguments={}, name="f")]},  # pyright: ignore[reportArgumentType] - a client of one's own
        {"usage": 7},
        {"usage": ["x"]},
        {"thought": 7},
        {"provider_data": "x"},
    ],
    ids=str,
)
def test_an_answer_of_other_types_is_refused_before_messages_are_made_of_it(
    values: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        checked_answer(_unchecked(**values))


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="there, the first values are in the object itself"
)
def test_made_messages_share_the_names_of_their_fields() -> None:
    """Alone, the names would double the memory of a conversation."""
    message, other = (made_message(ThoughtEvent, "Hm.", "a") for _ in range(2))

    alone = dict(vars(other).items())
    assert vars(message).keys() == alone.keys()
    assert sys.getsizeof(vars(message)) < sys.getsizeof(alone)
