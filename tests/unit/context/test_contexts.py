"""The contents of each model context, and the messages that it shows."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teamrun.agents import AssistantAgent
from teamrun.context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from teamrun.core.component.table import COMPONENTS
from teamrun.memory import ListMemory, MemoryContent, MemoryQueryResult, UpdateContextResult
from teamrun.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.testing import ScriptedModel

CALLS = AssistantMessage(content=[FunctionCall(id="1", arguments="{}", name="t")], source="a")
RESULTS = FunctionExecutionResultMessage(
    content=[FunctionExecutionResult(content="x", name="t", call_id="1", is_error=False)]
)


class WordModel(ScriptedModel):
    """Counts one token per message and has room for `room` of them."""

    def __init__(self, room: int = 0) -> None:
        super().__init__([])
        self.room = room

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Any = ()) -> int:
        return len(messages) + len(tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Any = ()) -> int:
        return self.room - self.count_tokens(messages, tools=tools)


def say(*words: str) -> list[LLMMessage]:
    return [UserMessage(content=word, source="u") for word in words]


async def shown(context: ChatCompletionContext) -> list[LLMMessage]:
    return await context.get_messages()


@pytest.mark.behaviour("context.unbounded")
async def test_unbounded_shows_everything_and_copies_nothing() -> None:
    first, second = say("a", "b")
    context = UnboundedChatCompletionContext([first])

    await context.add_message(second)

    assert [id(message) for message in await shown(context)] == [id(first), id(second)]


async def test_the_initial_messages_stay_the_callers_own() -> None:
    initial = say("a")
    context = UnboundedChatCompletionContext(initial)

    await context.add_message(RESULTS)

    assert initial == say("a")


@pytest.mark.behaviour("context.clear")
async def test_clear_forgets_the_initial_messages_too() -> None:
    context = UnboundedChatCompletionContext(say("a"))

    await context.clear()

    assert await shown(context) == []


@pytest.mark.behaviour("context.state")
async def test_a_context_continues_from_its_state() -> None:
    messages = [*say("a"), CALLS, RESULTS]
    context = UnboundedChatCompletionContext()

    state = await BufferedChatCompletionContext(1, messages).save_state()
    await context.load_state(state)

    assert list(state) == ["messages"]
    assert await shown(context) == messages


MAKES: list[Callable[[], ChatCompletionContext]] = [
    UnboundedChatCompletionContext,
    lambda: BufferedChatCompletionContext(2),
    lambda: HeadAndTailChatCompletionContext(1, 1),
    lambda: TokenLimitedChatCompletionContext(WordModel(), token_limit=3),
]


@pytest.mark.behaviour("context.state")
@pytest.mark.parametrize("make", MAKES)
async def test_every_context_shows_the_same_after_its_state_was_json(
    make: Callable[[], ChatCompletionContext],
) -> None:
    context, loaded = make(), make()
    for message in [*say("a", "b", "c"), CALLS, RESULTS, *say("d")]:
        await context.add_message(message)

    await loaded.load_state(json.loads(json.dumps(await context.save_state())))

    assert await shown(loaded) == await shown(context)
    assert json.dumps(await loaded.save_state()) == json.dumps(await context.save_state())


def test_every_class_of_contexts_has_a_case() -> None:
    rows = {n for n, row in COMPONENTS.items() if row.type == "chat_completion_context"}
    assert rows == {type(make()).__name__ for make in MAKES}


@pytest.mark.behaviour("context.buffered")
async def test_buffered_shows_the_last_messages() -> None:
    assert await shown(BufferedChatCompletionContext(2, say("a", "b", "c"))) == say("b", "c")


@pytest.mark.behaviour("context.buffered")
async def test_buffered_shows_no_results_without_their_request() -> None:
    messages = [CALLS, RESULTS, *say("a")]

    assert await shown(BufferedChatCompletionContext(2, messages)) == say("a")
    assert await shown(BufferedChatCompletionContext(3, messages)) == messages


@pytest.mark.behaviour("context.head_and_tail")
async def test_head_and_tail_shows_the_number_of_omitted_messages() -> None:
    skipped = UserMessage(content="Skipped 2 messages.", source="System")
    context = HeadAndTailChatCompletionContext(1, 2, say("a", "b", "c", "d", "e"))

    assert await shown(context) == [*say("a"), skipped, *say("d", "e")]
    assert await shown(HeadAndTailChatCompletionContext(1, 2, say("a", "b", "c"))) == say(
        "a", "b", "c"
    )


@pytest.mark.behaviour("context.head_and_tail")
async def test_head_and_tail_separates_no_request_from_its_results() -> None:
    context = HeadAndTailChatCompletionContext(
        2, 2, [*say("a"), CALLS, RESULTS, CALLS, RESULTS, *say("b")]
    )
    skipped = UserMessage(content="Skipped 2 messages.", source="System")

    assert await shown(context) == [*say("a"), skipped, *say("b")]


@pytest.mark.behaviour("context.token_limited")
async def test_a_token_limit_leaves_out_the_middle() -> None:
    context = TokenLimitedChatCompletionContext(
        WordModel(), token_limit=3, initial_messages=say("a", "b", "c", "d", "e")
    )

    assert await shown(context) == say("a", "b", "e")


@pytest.mark.behaviour("context.token_limited")
async def test_without_a_limit_the_room_of_the_model_counts() -> None:
    context = TokenLimitedChatCompletionContext(
        WordModel(room=3),
        tool_schema=[{"name": "t"}],
        initial_messages=[RESULTS, *say("a", "b")],
    )

    assert await shown(context) == say("b")


async def test_a_limit_that_nothing_fits_shows_nothing() -> None:
    model = WordModel(room=-1)

    assert (
        await shown(TokenLimitedChatCompletionContext(model, initial_messages=say("a", "b"))) == []
    )


@pytest.mark.behaviour("context.sizes")
def test_sizes_are_at_least_one() -> None:
    cases: dict[str, Callable[[], ChatCompletionContext]] = {
        "buffer_size": lambda: BufferedChatCompletionContext(0),
        "head_size": lambda: HeadAndTailChatCompletionContext(0, 1),
        "tail_size": lambda: HeadAndTailChatCompletionContext(1, 0),
        "token_limit": lambda: TokenLimitedChatCompletionContext(WordModel(), token_limit=0),
    }
    for name, make in cases.items():
        with pytest.raises(ValueError) as raised:
            make()
        assert str(raised.value) == f"{name} must be greater than 0."


class LastThree(ChatCompletionContext):
    """A custom class without support for tools."""

    async def get_messages(self) -> list[LLMMessage]:
        return self._messages[-3:]


class LastTwoOfThree(LastThree):
    async def get_messages(self) -> list[LLMMessage]:
        return (await super().get_messages())[1:]


def exchange(*ids: str) -> list[LLMMessage]:
    calls = [FunctionCall(id=each, arguments="{}", name="t") for each in ids]
    results = [
        FunctionExecutionResult(content="x", name="t", call_id=each, is_error=False) for each in ids
    ]
    return [
        AssistantMessage(content=calls, source="a"),
        FunctionExecutionResultMessage(content=results),
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[LLMMessage]:
    messages: list[LLMMessage] = []
    for number in range(draw(st.integers(0, 8))):
        calls = draw(st.integers(0, 3))
        ids = [f"{number}.{index}" for index in range(calls)]
        messages += exchange(*ids) if ids else say(str(number))
    # A state that was saved in the middle of a turn, or a history that was cut elsewhere.
    return draw(st.permutations(messages)) if draw(st.booleans()) else messages


def contexts(messages: list[LLMMessage], size: int, other: int) -> list[ChatCompletionContext]:
    return [
        UnboundedChatCompletionContext(messages),
        BufferedChatCompletionContext(size, messages),
        HeadAndTailChatCompletionContext(size, other, messages),
        TokenLimitedChatCompletionContext(WordModel(), token_limit=size, initial_messages=messages),
        LastThree(messages),
        LastTwoOfThree(messages),
    ]


@pytest.mark.behaviour("context.pairs")
@given(histories(), st.integers(1, 9), st.integers(1, 9))
async def test_no_context_shows_a_request_without_its_results_or_results_without_their_request(
    messages: list[LLMMessage], size: int, other: int
) -> None:
    for context in contexts(messages, size, other):
        before: LLMMessage | None = None
        view = await shown(context)
        for message in [*view, UserMessage(content="end", source="u")]:
            requested = _ids_requested(before)
            answered = _ids_answered(message)
            assert requested == answered, type(context).__name__
            before = message


def _ids_requested(message: LLMMessage | None) -> list[str]:
    if isinstance(message, AssistantMessage) and isinstance(message.content, list):
        return [call.id for call in message.content]
    return []


def _ids_answered(message: LLMMessage) -> list[str]:
    if isinstance(message, FunctionExecutionResultMessage):
        return [result.call_id for result in message.content]
    return []


@given(histories())
async def test_messages_that_belong_to_no_exchange_are_never_left_out_for_it(
    messages: list[LLMMessage],
) -> None:
    view = await shown(UnboundedChatCompletionContext(messages))

    assert [m for m in view if isinstance(m, UserMessage)] == [
        m for m in messages if isinstance(m, UserMessage)
    ]


async def test_results_may_stand_in_several_messages() -> None:
    [request, results] = exchange("1", "2")
    assert isinstance(results, FunctionExecutionResultMessage)
    [one, other] = [FunctionExecutionResultMessage(content=[each]) for each in results.content]

    whole: list[LLMMessage] = [request, one, other, *say("a")]
    assert await shown(UnboundedChatCompletionContext(whole)) == whole
    assert await shown(UnboundedChatCompletionContext([request, one, *say("a")])) == say("a")


class Watched(UserMessage):
    """Counts how often its content is read."""

    reads: int = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "content":
            self.reads += 1
        return super().__getattribute__(name)


async def test_messages_that_were_shown_are_not_examined_again() -> None:
    first = Watched(content="a", source="u")
    context = UnboundedChatCompletionContext([first])

    for _ in range(20):
        await context.add_message(CALLS)
        await context.add_message(RESULTS)
        assert len(await shown(context)) == len(context.copied()._messages)  # pyright: ignore[reportPrivateUsage]

    assert first.reads == 1


def exchange_part(kind: str) -> LLMMessage:
    calls = [FunctionCall(id=each, arguments="{}", name="t") for each in kind[1:]]
    results = [
        FunctionExecutionResult(content="x", name="t", call_id=call.id, is_error=False)
        for call in calls
    ]
    if kind[0] == "c":
        return AssistantMessage(content=calls, source="a")
    if kind[0] == "r":
        return FunctionExecutionResultMessage(content=results)
    return UserMessage(content="x", source="u")


@given(
    steps=st.lists(
        st.sampled_from(["c1", "c12", "r1", "r2", "r12", "text", "show", "rewind", "copy"]),
        max_size=30,
    ),
    back=st.integers(0, 5),
)
@example(steps=["c1", "r1", "show", "rewind", "text"], back=1)
@example(steps=["c1", "r1", "show", "rewind", "r1"], back=2)
async def test_a_context_shows_the_same_however_often_it_was_read_before(
    steps: list[str], back: int
) -> None:
    context = UnboundedChatCompletionContext()
    for step in steps:
        if step == "show":
            await shown(context)
        elif step == "rewind":
            context.rewind(max(0, context.mark() - back))
        elif step == "copy":
            context = context.copied()
        else:
            await context.add_message(exchange_part(step))

    unread = UnboundedChatCompletionContext(context._messages)  # pyright: ignore[reportPrivateUsage]
    assert await shown(context) == await shown(unread)


class Trimming(UnboundedChatCompletionContext):
    """Forgets all but the last two messages, in place."""

    async def add_message(self, message: LLMMessage) -> None:
        await super().add_message(message)
        del self._messages[:-2]


async def test_a_subclass_that_changes_its_messages_in_place_shows_whole_exchanges() -> None:
    context = Trimming()
    for message in (*say("a"), CALLS, RESULTS):
        await context.add_message(message)
    assert await shown(context) == [CALLS, RESULTS]

    await context.add_message(*say("b"))

    assert await shown(context) == say("b")


class Summarised(UnboundedChatCompletionContext):
    """The last two messages, after what a model says of the rest."""

    def __init__(self, model: ScriptedModel) -> None:
        super().__init__()
        self._model = model

    async def get_messages(self) -> list[LLMMessage]:
        messages = await super().get_messages()
        if len(messages) < 3:
            return messages
        summary = await self._model.create(messages[:-2])
        return [UserMessage(content=str(summary.content), source="summary"), *messages[-2:]]


class Notes(ListMemory):
    """Adds what a turn needs, and nothing else."""

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        asked = str((await model_context.get_messages())[-1].content)
        found = [each for each in self.content if str(each.content).split()[0] in asked]
        for each in found:
            await model_context.add_message(SystemMessage(content=str(each.content)))
        return UpdateContextResult(memories=MemoryQueryResult(results=found))


@pytest.mark.behaviour("pattern.context_by_need")
async def test_a_context_of_ones_own_summarises_and_a_memory_adds_what_a_turn_needs() -> None:
    model = ScriptedModel(["Hello.", "Green."], record=True)
    summaries = ScriptedModel(["They meet.", "They met."], record=True)
    notes = [
        MemoryContent(content=c, mime_type="text/plain") for c in ("Tea is hot.", "Ice melts.")
    ]
    agent = AssistantAgent(
        "a", model, model_context=Summarised(summaries), memory=[Notes("n", notes)]
    )

    await agent.run(task="Hi.")
    await agent.run(task="Which Tea?")

    assert [m.content for m in model.calls[0].messages[1:]] == ["Hi."]
    seen = [m.content for m in model.calls[1].messages[1:]]
    assert seen == ["They met.", "Which Tea?", "Tea is hot."]
    assert [m.content for m in summaries.calls[1].messages] == ["Hi.", "Hello."]
