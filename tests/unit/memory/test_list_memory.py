"""Memory in a list."""

import json
from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.context import UnboundedChatCompletionContext
from teamrun.memory import ListMemory, MemoryContent, MemoryMimeType
from teamrun.messages import Image, MemoryQueryEvent, SystemMessage, UserMessage
from teamrun.models.base import ModelInfo
from teamrun.testing import ScriptedModel

TEA = MemoryContent(content="likes tea", mime_type=MemoryMimeType.TEXT)
AGE = MemoryContent(content={"age": 7}, mime_type="application/json")


@pytest.mark.behaviour("memory.list", "memory.interface")
async def test_everything_is_put_into_the_context_in_order() -> None:
    memory, context = ListMemory(memory_contents=[TEA]), UnboundedChatCompletionContext()
    await memory.add(AGE)

    update = await memory.update_context(context)

    assert update.memories.results == [TEA, AGE]
    assert (await memory.query("tea")).results == [TEA, AGE]
    assert await context.get_messages() == [
        SystemMessage(
            content="\nRelevant memory content (in chronological order):\n"
            "1. likes tea\n2. {'age': 7}\n"
        )
    ]


@pytest.mark.behaviour("memory.interface")
async def test_an_empty_memory_adds_nothing() -> None:
    memory, context = ListMemory("mine", [TEA]), UnboundedChatCompletionContext()
    await memory.clear()

    assert (await memory.update_context(context)).memories.results == []
    assert await context.get_messages() == []
    assert memory.name == "mine"
    assert memory.content == []


@pytest.mark.behaviour("memory.list")
def test_a_memory_has_a_name_and_contents_that_can_be_set() -> None:
    memory = ListMemory()
    memory.content = [TEA]

    assert (memory.name, memory.content) == ("default_list_memory", [TEA])


PNG = b"\x89PNG\r\n\x1a\n" + bytes(4)
PICTURE = Image.from_bytes(PNG)
OCTETS, TEXT = MemoryMimeType.BINARY, MemoryMimeType.TEXT
READABLE: list[tuple[Any, str, Any]] = [
    (b"likes tea", TEXT, "likes tea"),
    ("grün".encode(), OCTETS, "grün"),
    (b"\xff\xfe", TEXT, "[text/plain, 2 bytes that are not text]"),
    (b"\xff\xfe\x00", OCTETS, "[application/octet-stream, 3 bytes that are not text]"),
    (b"a\x00", OCTETS, "[application/octet-stream, 2 bytes that are not text]"),
    (b"", OCTETS, ""),
    (PNG, "image/png", PICTURE),
    (PNG, MemoryMimeType.IMAGE, PICTURE),
    (PNG, OCTETS, "[application/octet-stream, 12 bytes that are not text]"),
    (b"\xff", "image/png", "[image/png, 1 bytes that are not text]"),
    (PICTURE, MemoryMimeType.IMAGE, PICTURE),
    ({"data": "x"}, MemoryMimeType.JSON, "{'data': 'x'}"),
]
pieces = pytest.mark.parametrize(("content", "mime_type", "readable"), READABLE)


@pytest.mark.behaviour("memory.binary")
@pieces
def test_a_piece_is_text_or_an_image_for_a_model(
    content: Any, mime_type: str, readable: Any
) -> None:
    assert MemoryContent(content=content, mime_type=mime_type).readable() == readable


@pytest.mark.behaviour("memory.binary")
@pieces
def test_a_piece_is_the_same_after_json(content: Any, mime_type: str, readable: Any) -> None:
    piece = MemoryContent(content=content, mime_type=mime_type)
    event = MemoryQueryEvent(content=[piece], source="a")

    [loaded] = MemoryQueryEvent.load(json.loads(json.dumps(event.dump()))).content

    assert loaded.readable() == readable
    written = ListMemory(memory_contents=[piece]).dump_component().model_dump_json()
    assert ListMemory.load_component(json.loads(written)).content[0].readable() == readable


@pytest.mark.behaviour("memory.binary")
def test_people_see_no_bytes() -> None:
    texts = [
        MemoryQueryEvent(
            content=[MemoryContent(content=content, mime_type=mime_type)], source="a"
        ).to_text()
        for content, mime_type, _ in READABLE
    ]

    assert not any("b'" in text or "\\x" in text for text in texts)
    assert [text for text in texts if "content='<image>'" in text] == [
        texts[6],
        texts[7],
        texts[10],
    ]


async def asked(*, vision: bool) -> list[Any]:
    """The messages that a model receives from an agent with an image in its memory."""
    info = ModelInfo(
        vision=vision,
        function_calling=True,
        json_output=True,
        family="unknown",
        structured_output=True,
    )
    model = ScriptedModel(["Nice."], model_info=info, record=True)
    memory = ListMemory(
        memory_contents=[TEA, MemoryContent(content=PICTURE, mime_type="image/png")]
    )
    await AssistantAgent("a", model, memory=[memory], system_message=None).run(task="Which?")
    return [*model.calls[0].messages]


LISTED = SystemMessage(
    content="\nRelevant memory content (in chronological order):\n1. likes tea\n2. <image>\n"
)


@pytest.mark.behaviour("memory.binary")
async def test_a_model_with_vision_sees_the_images_of_a_memory() -> None:
    assert (await asked(vision=True))[1:] == [
        LISTED,
        UserMessage(content=["Image 2 of the memory:", PICTURE], source="memory"),
    ]


@pytest.mark.behaviour("memory.binary")
async def test_a_model_without_vision_is_told_that_there_are_images() -> None:
    assert (await asked(vision=False))[1:] == [
        LISTED,
        UserMessage(content="Image 2 of the memory:\n<image>", source="memory"),
    ]


@pytest.mark.parametrize(
    "content", [{"data": "no base64!"}, {"data": 1}, {"data": "aGk=", "more": 1}]
)
def test_other_json_is_left_as_it_is(content: Any) -> None:
    piece = MemoryContent(content=content, mime_type=OCTETS)
    assert piece.content == content
