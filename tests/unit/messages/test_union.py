"""All messages as one union, and messages made from JSON data."""

from dataclasses import dataclass
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from teamrun import messages as m
from teamrun.messages import (
    AGENT_EVENT,
    CHAT_MESSAGE,
    MESSAGE,
    BaseChatMessage,
    BaseMessage,
    MessageFactory,
    StructuredMessage,
    TextMessage,
)

CALL = m.FunctionCall(id="c1", arguments='{"a":1}', name="add")
RESULT = m.FunctionExecutionResult(content="1", name="add", call_id="c1", is_error=False)
PNG = b"\x89PNG\r\n\x1a\n-"


class Answer(BaseModel):
    city: str


@dataclass(frozen=True)
class Case:
    message: BaseMessage
    text: str

    @property
    def id(self) -> str:
        return type(self.message).__name__


CHAT = [
    Case(TextMessage(content="hi", source="s"), "hi"),
    Case(m.MultiModalMessage(content=["hi", m.Image.from_bytes(PNG)], source="s"), "hi\n<image>"),
    Case(m.StopMessage(content="stop", source="s"), "stop"),
    Case(m.HandoffMessage(content="go", source="s", target="t"), "go"),
    Case(
        m.ToolCallSummaryMessage(content="1", source="s", tool_calls=[CALL], results=[RESULT]), "1"
    ),
]
EVENTS = [
    Case(m.ToolCallRequestEvent(content=[CALL], source="s"), str([CALL])),
    Case(m.ToolCallExecutionEvent(content=[RESULT], source="s"), str([RESULT])),
    Case(
        m.CodeGenerationEvent(
            retry_attempt=0,
            content="code",
            code_blocks=[m.CodeBlock(code="1", language="python")],
            source="s",
        ),
        "code",
    ),
    Case(
        m.CodeExecutionEvent(
            retry_attempt=1, result=m.CodeResult(exit_code=0, output="out"), source="s"
        ),
        "out",
    ),
    Case(m.UserInputRequestedEvent(request_id="r", source="s"), ""),
    Case(
        m.MemoryQueryEvent(
            content=[m.MemoryContent(content="x", mime_type="text/plain")], source="s"
        ),
        "[MemoryContent(content='x', mime_type='text/plain', metadata=None)]",
    ),
    Case(m.ModelClientStreamingChunkEvent(content="ch", full_message_id="i", source="s"), "ch"),
    Case(m.ThoughtEvent(content="hm", source="s"), "hm"),
    Case(m.SelectSpeakerEvent(content=["a", "b"], source="s"), "['a', 'b']"),
    Case(m.SelectorEvent(content="a!", source="s"), "a!"),
]
ALL = [*CHAT, *EVENTS]


@pytest.mark.behaviour(
    "message.fields", "message.classes", "message.json", "message.factory.selector_event"
)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_a_message_survives_json_by_its_type_alone(case: Case) -> None:
    data = case.message.dump()

    assert data["type"] == type(case.message).__name__
    assert MESSAGE.validate_python(data) == case.message
    assert MessageFactory().create(data) == case.message
    assert MESSAGE.validate_json(MESSAGE.dump_json(case.message)) == case.message


@pytest.mark.behaviour("message.text")
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_a_message_can_be_read_by_people(case: Case) -> None:
    assert case.message.to_text() == case.text


def test_chat_messages_and_events_are_distinguished() -> None:
    with pytest.raises(ValidationError):
        CHAT_MESSAGE.validate_python(EVENTS[0].message.dump())
    with pytest.raises(ValidationError):
        AGENT_EVENT.validate_python(CHAT[0].message.dump())


AUTOGEN = {
    "CodeExecutionEvent": {"result", "retry_attempt"},
    "CodeGenerationEvent": {"code_blocks", "content", "retry_attempt"},
    "HandoffMessage": {"content", "context", "target"},
    "MemoryQueryEvent": {"content"},
    "ModelClientStreamingChunkEvent": {"content", "full_message_id"},
    "MultiModalMessage": {"content"},
    "SelectSpeakerEvent": {"content"},
    "SelectorEvent": {"content"},
    "StopMessage": {"content"},
    "StructuredMessage": {"content", "format_string"},
    "TextMessage": {"content"},
    "ThoughtEvent": {"content"},
    "ToolCallExecutionEvent": {"content"},
    "ToolCallRequestEvent": {"content"},
    "ToolCallSummaryMessage": {"content", "results", "tool_calls"},
    "UserInputRequestedEvent": {"content", "request_id"},
}
"""The fields of the classes of AutoGen 0.7.5, besides those that all have."""


@pytest.mark.behaviour("message.classes")
def test_the_classes_of_autogen_have_its_fields() -> None:
    common = {"id", "source", "models_usage", "metadata", "created_at"}
    for name, fields in AUTOGEN.items():
        lacking = (fields | common) - getattr(m, name).model_fields.keys()
        assert lacking == set(), name


@pytest.mark.behaviour("message.classes")
def test_every_class_of_the_package_is_in_the_union() -> None:
    exported = [getattr(m, name) for name in m.__all__]
    concrete = {
        cls.__name__
        for cls in exported
        if isinstance(cls, type)
        and issubclass(cls, BaseMessage)
        and "type" in cls.model_fields
        and cls is not StructuredMessage
    }

    assert {type(case.message).__name__ for case in ALL} == concrete


@pytest.mark.behaviour("message.structured.unknown")
def test_structured_content_of_an_unknown_class_is_read_as_data() -> None:
    message = StructuredMessage[Answer](content=Answer(city="Oslo"), source="s")

    for read in (MESSAGE.validate_python(message.dump()), MessageFactory().create(message.dump())):
        assert isinstance(read, StructuredMessage)
        assert read.dump() == message.dump()
        assert read.to_text() == message.to_text()


@pytest.mark.behaviour("message.factory", "message.own_type")
def test_a_factory_refuses_unknown_types() -> None:
    with pytest.raises(ValueError) as unknown:
        MessageFactory().create({"type": "Odd"})
    assert str(unknown.value) == "Unknown message type: Odd"
    with pytest.raises(ValueError) as missing:
        MessageFactory().create({"content": "hi"})
    assert str(missing.value) == (
        "Field 'type' is required in the message data to recover the message."
    )


class Odd(BaseChatMessage):
    """A class of the user's own."""

    content: int
    type: Literal["Odd"] = "Odd"

    def to_text(self) -> str:
        return str(self.content)

    def to_model_text(self) -> str:
        return f"odd {self.content}"


@pytest.mark.behaviour("message.factory")
def test_a_factory_learns_classes_of_the_users_own() -> None:
    factory, message = MessageFactory(), Odd(content=3, source="s")
    factory.register(Odd)
    factory.register(Odd)

    assert factory.create(message.dump()) == message
    assert factory.is_registered(Odd)
    assert not MessageFactory().is_registered(Odd)
    assert message.to_model_message() == m.UserMessage(content="odd 3", source="s")
    assert message.to_model_message() == message.to_model_message()


@pytest.mark.behaviour("message.factory")
def test_two_classes_cannot_go_by_one_name() -> None:
    class TextMessage(Odd):
        pass

    with pytest.raises(ValueError) as raised:
        MessageFactory().register(TextMessage)
    assert str(raised.value) == "Message type TextMessage is already registered."


@pytest.mark.behaviour("message.names")
def test_older_names_are_the_same_classes() -> None:
    assert m.ToolCallMessage is m.ToolCallRequestEvent
    assert m.ToolResultMessage is m.ToolCallResultMessage is m.ToolCallExecutionEvent
    assert m.MultimodalMessage is m.MultiModalMessage
