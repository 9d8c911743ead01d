"""Chat messages: their content, sharing, and form for models."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from teamrun.core import Response, TaskResult
from teamrun.errors import UsageError
from teamrun.messages import (
    CreateResult,
    HandoffMessage,
    Image,
    MultiModalMessage,
    RequestUsage,
    StopMessage,
    StructuredMessage,
    TextMessage,
    UserMessage,
)
from teamrun.messages.origin import current_origin

LOOSE: Any = TextMessage
"""The class as people without a type checker call it."""
PNG = b"\x89PNG\r\n\x1a\n-"


class Answer(BaseModel):
    city: str
    people: int


class FixedOrigin:
    def new_id(self) -> str:
        return "00000000-0000-4000-8000-000000000001"

    def now(self) -> datetime:
        return datetime(2030, 1, 2, tzinfo=UTC)


@pytest.mark.behaviour("message.fields")
def test_a_message_has_an_id_and_a_time_of_its_own() -> None:
    first, second = (TextMessage(content="hi", source="ada") for _ in range(2))

    assert first.id != second.id
    assert first.created_at.tzinfo is UTC
    assert (first.models_usage, first.metadata) == (None, {})
    assert first.metadata is not second.metadata


def test_inside_a_run_ids_and_times_come_from_its_origin() -> None:
    token = current_origin.set(FixedOrigin())
    try:
        message = TextMessage(content="hi", source="ada")
    finally:
        current_origin.reset(token)

    assert message.id == "00000000-0000-4000-8000-000000000001"
    assert message.created_at == datetime(2030, 1, 2, tzinfo=UTC)


def test_usage_is_kept_as_the_object_that_was_given() -> None:
    usage = RequestUsage(3, 4)

    assert TextMessage(content="hi", source="ada", models_usage=usage).models_usage is usage


@pytest.mark.behaviour("model.usage")
def test_usage_is_written_without_counts_that_no_provider_gave() -> None:
    assert repr(RequestUsage(3, 4)) == "RequestUsage(prompt_tokens=3, completion_tokens=4)"
    assert repr(RequestUsage(3, 4, cached_tokens=1, reasoning_tokens=2)) == (
        "RequestUsage(prompt_tokens=3, completion_tokens=4, cached_tokens=1, reasoning_tokens=2)"
    )


@pytest.mark.behaviour("model.result")
def test_a_result_is_written_as_autogen_writes_it() -> None:
    result = CreateResult(finish_reason="stop", content="x", usage=RequestUsage(1, 1), model="m")

    assert str(result) == (
        "finish_reason='stop' content='x' usage=RequestUsage(prompt_tokens=1, completion_tokens=1)"
        " cached=False logprobs=None thought=None"
    )


@pytest.mark.behaviour("message.from_response")
def test_text_may_be_given_as_a_response_or_a_message() -> None:
    said = StopMessage(content="enough", source="ada")

    assert LOOSE(content=said, source="bob").content == "enough"
    assert LOOSE(content=Response(chat_message=said), source="bob").content == "enough"


def test_anything_else_is_refused_as_text() -> None:
    with pytest.raises(ValidationError) as caught:
        LOOSE(content=7, source="ada")

    assert [error["loc"] for error in caught.value.errors()] == [("content",)]


@pytest.mark.behaviour("message.models_used")
def test_models_used_are_kept_in_the_metadata() -> None:
    message = LOOSE(content="hi", source="ada", models_used=["small", "large"], metadata={"k": "v"})

    assert message.metadata == {"k": "v", "models_used": "small,large"}


@pytest.mark.behaviour("message.text")
def test_all_receivers_of_a_message_share_one_model_message() -> None:
    message = TextMessage(content="hi", source="ada")

    heard = message.to_model_message()

    assert heard == UserMessage(content="hi", source="ada")
    assert message.to_model_message() is heard


def test_a_changed_message_is_delivered_in_its_present_form() -> None:
    message = TextMessage(content="hi", source="ada")
    message.to_model_message()

    renamed = message.model_copy(update={"source": "bob"})
    message.content = "bye"

    assert renamed.to_model_message() == UserMessage(content="hi", source="bob")
    assert message.to_model_message() == UserMessage(content="bye", source="ada")
    message.source = "cy"
    assert message.to_model_message() == UserMessage(content="bye", source="cy")


@pytest.mark.behaviour("message.json")
def test_delivery_leaves_a_message_unchanged() -> None:
    message = TextMessage(content="hi", source="ada")
    before = copy.deepcopy(message)
    result = TaskResult(messages=[message])

    message.to_model_message()

    assert message == before
    assert TextMessage.load(message.dump()) == message
    assert result.model_dump_json() == TaskResult(messages=[before]).model_dump_json()


@pytest.mark.behaviour("message.text")
def test_images_are_named_in_text_and_shown_to_models() -> None:
    image = Image.from_bytes(PNG)
    message = MultiModalMessage(content=["look:", image], source="ada")

    assert message.to_text() == "look:\n<image>"
    assert message.to_model_text() == "look: [image]"
    assert message.to_model_text(None) == f"look: {image.to_base64()}"
    assert message.to_model_message() == UserMessage(content=["look:", image], source="ada")
    assert MultiModalMessage.load(message.dump()) == message


@pytest.mark.behaviour("message.handoff")
def test_a_handoff_names_its_target_and_brings_context() -> None:
    context = [UserMessage(content="so far", source="ada")]
    message = HandoffMessage(content="yours", source="ada", target="bob", context=list(context))

    assert HandoffMessage.load(message.dump()) == message
    assert message.context == context
    assert HandoffMessage(content="", source="a", target="b").context == []


@pytest.mark.behaviour("message.structured")
def test_structured_content_is_json_unless_a_format_is_given() -> None:
    content = Answer(city="Oslo", people=7)
    plain = StructuredMessage[Answer](content=content, source="ada")
    written = StructuredMessage[Answer](
        content=content, source="ada", format_string="{city}: {people}"
    )

    assert plain.to_text() == plain.to_model_text() == '{"city":"Oslo","people":7}'
    assert written.to_text() == written.to_model_text() == "Oslo: 7"
    assert written.to_model_message() == UserMessage(content="Oslo: 7", source="ada")


@pytest.mark.behaviour("message.structured")
def test_a_structured_message_names_the_class_of_its_content() -> None:
    message = StructuredMessage[Answer](content=Answer(city="Oslo", people=7), source="ada")

    assert message.type == "StructuredMessage[Answer]"
    assert message.dump()["content"] == {"city": "Oslo", "people": 7}
    assert StructuredMessage[Answer].load(message.dump()) == message


@pytest.mark.behaviour("message.response")
def test_a_response_prints_as_its_text() -> None:
    response = Response(chat_message=TextMessage(content="hi", source="ada"))

    assert f"{response}" == str(response) == "hi"


def test_a_result_keeps_the_messages_that_it_was_given() -> None:
    message = TextMessage(content="hi", source="ada")

    result = TaskResult(messages=[message])

    assert result.messages[0] is message
    assert result.stop_reason is None


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_document_is_no_image_and_the_error_says_what_to_do(data: bytes) -> None:
    with pytest.raises(UsageError, match="put the document's text into the message"):
        Image.from_bytes(data)
    with pytest.raises(UsageError, match="PNG, JPEG, GIF or WebP"):
        Image.from_bytes(b"text")
