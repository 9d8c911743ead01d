"""The conversation in the prompt of a selector, and the context that it comes from."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.talkers import Talker

from teamrun.agents import AssistantAgent
from teamrun.context import UnboundedChatCompletionContext
from teamrun.messages import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.teams.selection import DEFAULT_SELECTOR_PROMPT, History, around_history, fill_prompt
from teamrun.testing import ScriptedModel

MESSAGES: Sequence[LLMMessage] = (
    UserMessage(content="one ", source="ann"),
    SystemMessage(content="not said"),
    AssistantMessage(content="two", source="bob"),
    UserMessage(content="three", source="ann"),
)


class Watched(UserMessage):
    reads: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        if name == "content":
            self.reads.append(name)
        return super().__getattribute__(name)


class Recorded(UnboundedChatCompletionContext):
    """Has methods of its own, as a context of the user's may."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[LLMMessage] = []
        self.asked = 0
        self.used: UnboundedChatCompletionContext = self

    async def add_message(self, message: LLMMessage) -> None:
        self.added.append(message)
        await super().add_message(message)

    async def get_messages(self) -> list[LLMMessage]:
        self.asked += 1
        return await super().get_messages()


def patched() -> Recorded:
    """A context whose methods were replaced in the object, as by a tracing library."""
    context, recorder = UnboundedChatCompletionContext(), Recorded()

    async def add_message(message: LLMMessage) -> None:
        await recorder.add_message(message)

    async def get_messages() -> list[LLMMessage]:
        return await recorder.get_messages()

    context.add_message, context.get_messages = add_message, get_messages
    recorder.used = context
    return recorder


def test_a_history_is_a_paragraph_for_each_message_of_a_person_or_agent() -> None:
    assert History().text(MESSAGES) == "ann: one\n\n\nbob: two\n\n\nann: three\n\n"


@given(views=st.lists(st.lists(st.sampled_from(MESSAGES), max_size=5), max_size=6))
def test_a_history_is_the_same_whatever_was_shown_before(views: list[list[LLMMessage]]) -> None:
    history = History()
    for view in views:
        assert history.text(view) == History().text(view)


def test_a_history_reads_each_message_once_while_it_grows() -> None:
    messages = [Watched(content=str(number), source="u") for number in range(5)]
    history = History()
    Watched.reads.clear()

    for size in range(1, 6):
        history.text(messages[:size])

    assert len(Watched.reads) == len(messages)


@given(
    pieces=st.lists(
        st.sampled_from(["{roles}", "{participants}", "{history}", "{{", "}}", "{x}", "a", "\n"])
    )
)
def test_a_prompt_around_its_history_is_the_whole_prompt(pieces: list[str]) -> None:
    template = "".join(pieces)
    texts = around_history(template, "ann: {history}", ("ann", "bob"))
    fields = {"roles": "ann: {history}", "participants": "['ann', 'bob']", "history": "{roles}"}

    assert "{roles}".join(texts) == fill_prompt(template, fields)


async def test_the_history_of_a_copy_is_its_own() -> None:
    team = SelectorGroupChat([Talker("ann"), Talker("bob")], ScriptedModel(["ann"]), max_turns=1)
    await team.run(task="First")
    asked = ScriptedModel(["bob"], record=True)
    copy = team.copy_with([Talker("ann"), Talker("bob")])
    copy._model_client = asked  # pyright: ignore[reportPrivateUsage]

    await copy.run(task="Second")

    prompt = str(asked.calls[0].messages[0].content)
    assert "Second" in prompt
    assert DEFAULT_SELECTOR_PROMPT.split("{", maxsplit=1)[0] in prompt


@pytest.mark.parametrize("make", [Recorded, patched])
async def test_agents_use_the_methods_of_a_context(make: Callable[[], Recorded]) -> None:
    recorder = make()
    agent = AssistantAgent("ann", ScriptedModel(["Hi"]), model_context=recorder.used)

    await RoundRobinGroupChat([agent], max_turns=1).run(task="Hello")

    assert [message.content for message in recorder.added] == ["Hello", "Hi"]
    assert recorder.asked == 1


@pytest.mark.parametrize("make", [Recorded, patched])
async def test_selectors_use_the_methods_of_a_context(make: Callable[[], Recorded]) -> None:
    recorder = make()
    people = [Talker(name) for name in ("ann", "bob", "cy")]
    asked = ScriptedModel(["ann", "bob"])
    team = SelectorGroupChat(people, asked, model_context=recorder.used, max_turns=2)

    await team.run(task="Hello")

    assert [message.content for message in recorder.added] == ["Hello", "ann 0"]
    assert recorder.asked == 2


@pytest.mark.parametrize("name", ["ann", "ann_b", "b"])
async def test_a_name_inside_of_another_name_is_chosen_by_one_call(name: str) -> None:
    asked = ScriptedModel([name], record=True)
    people = [Talker(each) for each in ("ann", "ann_b", "b")]

    result = await SelectorGroupChat(people, asked, max_turns=1).run(task="Go")

    assert result.messages[-1].source == name
    assert len(asked.calls) == 1


async def test_a_part_of_a_name_is_no_choice() -> None:
    asked = ScriptedModel(["nn", "ann"], record=True)

    result = await SelectorGroupChat([Talker("bob"), Talker("ann")], asked, max_turns=1).run("Go")

    assert result.messages[-1].source == "ann"
    assert len(asked.calls) == 2
