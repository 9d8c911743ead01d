"""Memory in a list."""

import pytest

from teamrun.context import UnboundedChatCompletionContext
from teamrun.memory import ListMemory, MemoryContent, MemoryMimeType
from teamrun.messages import SystemMessage

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
