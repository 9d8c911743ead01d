"""A selector team: the prompt, the reading of answers, and the usage."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.talkers import Failing, Stuck, Talker, texts

from teamrun.conditions import TokenUsageTermination
from teamrun.context import BufferedChatCompletionContext
from teamrun.core import AnyMessage, CancellationToken, TaskResult
from teamrun.errors import ModelError
from teamrun.messages import (
    AssistantMessage,
    CreateResult,
    HandoffMessage,
    LLMMessage,
    ModelClientStreamingChunkEvent,
    RequestUsage,
    SelectorEvent,
    SystemMessage,
    TextMessage,
    UserMessage,
)
from teamrun.models.base import ModelInfo
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.teams.selection import spoken
from teamrun.testing import ScriptedModel


def says(text: str, prompt: int = 10, completion: int = 2) -> CreateResult:
    usage = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
    return CreateResult(finish_reason="stop", content=text, usage=usage)


def model(*answers: str | CreateResult, family: str = "unknown") -> ScriptedModel:
    info = ModelInfo(
        vision=False,
        function_calling=False,
        json_output=False,
        family=family,
        structured_output=False,
    )
    return ScriptedModel(list(answers), model_info=info, record=True)


def team_of(client: ScriptedModel, **options: Any) -> SelectorGroupChat:
    people = [Talker("ann"), Talker("bob"), Talker("cy_d")]
    options.setdefault("max_turns", 1)
    return SelectorGroupChat(people, client, **options)


def prompt_of(messages: Sequence[LLMMessage]) -> str:
    (message,) = messages
    assert isinstance(message, SystemMessage | UserMessage)
    assert isinstance(message.content, str)
    return message.content


def always(value: Any) -> Callable[[Sequence[AnyMessage]], Any]:
    return lambda messages: value


def said_after_task(result: TaskResult) -> list[str]:
    return texts(result.messages)[1:]


async def test_the_model_selects_the_speaker() -> None:
    client = model("bob", "ann", "cy_d")

    result = await team_of(client, max_turns=3).run("go")

    assert said_after_task(result) == ["bob: bob 0", "ann: ann 0", "cy_d: cy_d 0"]
    assert result.stop_reason == "Maximum number of turns 3 reached."
    assert client.left_over() == {}


@pytest.mark.behaviour("team.selector.prompt", "team.selector.repeated")
async def test_the_prompt_contains_roles_candidates_and_the_history() -> None:
    client = model("bob", "ann")
    team = team_of(
        client, max_turns=2, selector_prompt="R {roles}\nP {participants}\nH {history}{{x}}"
    )

    await team.run("go\nnow")

    roles = "ann: The agent ann.\nbob: The agent bob.\ncy_d: The agent cy_d."
    assert prompt_of(client.calls[0].messages) == (
        f"R {roles}\nP ['ann', 'bob', 'cy_d']\nH user: go\nnow\n\n{{x}}"
    )
    # The previous speaker is no candidate.
    assert prompt_of(client.calls[1].messages) == (
        f"R {roles}\nP ['ann', 'cy_d']\nH user: go\nnow\n\n\nbob: bob 0\n\n{{x}}"
    )


@pytest.mark.behaviour("team.selector.prompt")
async def test_the_default_prompt_has_the_three_fields() -> None:
    client = model("bob")

    await team_of(client).run("THE TASK")

    prompt = prompt_of(client.calls[0].messages)
    assert "bob: The agent bob." in prompt
    assert "['ann', 'bob', 'cy_d']" in prompt
    assert "user: THE TASK" in prompt
    assert "{" not in prompt


@pytest.mark.behaviour("team.selector.prompt")
async def test_a_prompt_cannot_format_anything_but_its_fields() -> None:
    client = model("bob")
    team = team_of(client, selector_prompt="{history.__class__} {roles:>99999999} {other}")

    await team.run("go")

    assert prompt_of(client.calls[0].messages) == ("{history.__class__} {roles:>99999999} {other}")


@pytest.mark.behaviour("team.selector.prompt_role")
@pytest.mark.parametrize(
    ("family", "expected"), [("gpt-4o", SystemMessage), ("o3", SystemMessage), ("r1", UserMessage)]
)
async def test_openai_models_are_asked_by_a_system_message_and_others_by_a_user(
    family: str, expected: type[LLMMessage]
) -> None:
    client = model("bob", family=family)

    await team_of(client).run("go")

    assert [type(message) for message in client.calls[0].messages] == [expected]


@pytest.mark.behaviour("team.selector.names")
@pytest.mark.parametrize(
    "answer",
    ["cy_d", "I choose cy_d.", "**cy\\_d**", "cy d, please", "cy_d! Yes, cy_d", '"cy_d"'],
)
async def test_a_name_is_found_as_a_word_in_any_spelling_of_its_underscores(answer: str) -> None:
    result = await team_of(model(answer)).run("go")

    assert said_after_task(result) == ["cy_d: cy_d 0"]


@pytest.mark.behaviour("team.selector.retries")
@pytest.mark.parametrize(
    ("answer", "feedback"),
    [
        ("nobody", "No valid name was mentioned. Please select from: {candidates}."),
        ("ANN", "No valid name was mentioned. Please select from: {candidates}."),
        ("anna", "No valid name was mentioned. Please select from: {candidates}."),
        (
            "bob or cy_d",
            "Expected exactly one name to be mentioned. Please select only one from: {candidates}.",
        ),
        (
            "ann",
            "Repeated speaker is not allowed, please select a different name from: {candidates}.",
        ),
    ],
)
async def test_an_invalid_choice_is_explained_and_requested_again(
    answer: str, feedback: str
) -> None:
    client = model("ann", answer, "bob")

    result = await team_of(client, max_turns=2).run("go")

    assert said_after_task(result) == ["ann: ann 0", "bob: bob 0"]
    _, first, second = client.calls[2].messages
    assert first == AssistantMessage(content=answer, source="selector")
    assert second == UserMessage(
        content=feedback.format(candidates=str(["bob", "cy_d"])), source="user"
    )


@pytest.mark.behaviour("team.selector.fallback")
async def test_after_the_last_attempt_the_first_candidate_speaks_and_none_twice() -> None:
    client = model("?", "?", "bob", "?", "?")

    result = await team_of(client, max_turns=3, max_selector_attempts=2).run("go")

    assert said_after_task(result) == ["ann: ann 0", "bob: bob 0", "ann: ann 1"]


NAMES = ("ann", "bob", "cy_d")


@given(
    answers=st.lists(st.sampled_from([*NAMES, "?", "ann bob", "<think>ann</think>"]), min_size=12),
    candidates=st.one_of(
        st.none(), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
    ),
    may_repeat=st.booleans(),
)
async def test_whatever_the_model_answers_the_speaker_is_one_that_the_rules_allow(
    answers: list[str], candidates: list[str] | None, may_repeat: bool
) -> None:
    team = team_of(
        model(*answers),
        max_turns=4,
        max_selector_attempts=3,
        allow_repeated_speaker=may_repeat,
        candidate_func=None if candidates is None else always(candidates),
    )

    speakers = [line.partition(":")[0] for line in said_after_task(await team.run("go"))]

    if candidates is not None:
        assert set(speakers) <= set(candidates)
    elif not may_repeat:
        assert all(one != next_one for one, next_one in pairwise(speakers))


@pytest.mark.behaviour("team.selector.names.scripts")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>ann or cy_d?</think>bob", "bob"),
        ("ann or cy_d?</think> bob", "bob"),
        ("bob <think>rather than ann", "bob"),
        ("<thinking>ann</thinking>bob<think>cy_d</think>", "bob"),
        ("<THINK>ann</THINK>\nbob", "bob"),
        ("<think>only ann</think>", ""),
        ("a < b > c", "a < b > c"),
    ],
)
async def test_names_among_the_thoughts_of_a_model_are_no_mentions(text: str, said: str) -> None:
    assert spoken(text) == said
    if said == "bob":
        result = await team_of(model(text), max_selector_attempts=1).run("go")
        assert said_after_task(result) == ["bob: bob 0"]


@pytest.mark.behaviour("team.selector.repeated")
async def test_a_speaker_may_be_repeated_where_that_is_allowed() -> None:
    client = model("bob", "bob")

    result = await team_of(client, max_turns=2, allow_repeated_speaker=True).run("go")

    assert said_after_task(result) == ["bob: bob 0", "bob: bob 1"]
    assert "['ann', 'bob', 'cy_d']" in prompt_of(client.calls[1].messages)


@pytest.mark.behaviour("team.selector.single")
async def test_a_single_candidate_needs_no_model() -> None:
    team = SelectorGroupChat([Talker("ann"), Talker("bob")], model("ann"), max_turns=3)

    result = await team.run("go")

    assert said_after_task(result) == ["ann: ann 0", "bob: bob 0", "ann: ann 1"]


@pytest.mark.behaviour("team.selector.selector_func", "team.selector.selector_func.previous")
async def test_a_function_chooses_in_place_of_the_model_or_leaves_it_to_it() -> None:
    threads: list[list[str]] = []

    def choose(messages: Sequence[AnyMessage]) -> str | None:
        threads.append(texts(messages))
        return "bob" if len(messages) < 3 else None

    client = model("bob")

    result = await team_of(client, max_turns=3, selector_func=choose).run("go")

    # The function's choice is not stored as the previous speaker, so bob is a candidate.
    assert said_after_task(result) == ["bob: bob 0", "bob: bob 1", "bob: bob 2"]
    assert threads == [
        ["user: go"],
        ["user: go", "bob: bob 0"],
        ["user: go", "bob: bob 0", "bob: bob 1"],
    ]


@pytest.mark.behaviour("team.selector.async_funcs")
async def test_functions_may_be_async() -> None:
    async def choose(messages: Sequence[AnyMessage]) -> str | None:
        return "bob" if len(messages) == 1 else None

    async def candidates(messages: Sequence[AnyMessage]) -> list[str]:
        return ["cy_d"]

    team = team_of(model(), max_turns=2, selector_func=choose, candidate_func=candidates)

    assert said_after_task(await team.run("go")) == ["bob: bob 0", "cy_d: cy_d 0"]


@pytest.mark.behaviour("team.selector.candidate_func")
async def test_candidates_by_function_replace_the_rule_against_repetition() -> None:
    client = model("bob", "ann", "bob")
    team = team_of(client, max_turns=2, candidate_func=always(["bob", "cy_d"]))

    result = await team.run("go")

    assert said_after_task(result) == ["bob: bob 0", "bob: bob 1"]
    assert "['bob', 'cy_d']" in prompt_of(client.calls[1].messages)
    feedback = client.calls[2].messages[-1]
    assert isinstance(feedback, UserMessage)
    assert feedback.content == "No valid name was mentioned. Please select from: ['bob', 'cy_d']."


@pytest.mark.behaviour("team.selector.selector_func", "team.selector.candidate_func")
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"selector_func": always("eve")},
            "Selector function returned an invalid speaker name: eve. "
            "Expected one of: ['ann', 'bob', 'cy_d'].",
        ),
        (
            {"candidate_func": always([])},
            "Candidate function must return a non-empty list of participant names.",
        ),
        (
            {"candidate_func": always(["eve"])},
            "Candidate function returned invalid participant names: ['eve']. "
            "Expected one of: ['ann', 'bob', 'cy_d'].",
        ),
    ],
)
async def test_functions_must_return_names_of_participants(
    options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as raised:
        await team_of(model(), **options).run("go")
    assert str(raised.value) == text


@pytest.mark.behaviour("team.selector.usage")
async def test_tokens_of_the_choice_count_for_token_usage() -> None:
    client = model(says("bob"), says("ann"), says("bob"))
    team = team_of(
        client, max_turns=9, termination_condition=TokenUsageTermination(max_total_token=24)
    )

    result = await team.run("go")

    assert said_after_task(result) == ["bob: bob 0", "ann: ann 0"]
    assert result.stop_reason == (
        "Token usage limit reached, total token count: 24, prompt token count: 20, "
        "completion token count: 4."
    )
    assert team.stop_code == "token_usage"


@pytest.mark.behaviour("team.selector.usage")
@pytest.mark.parametrize("emit", [False, True])
async def test_an_outer_team_counts_the_choices_of_a_nested_team_once(emit: bool) -> None:
    inner = team_of(model(says("bob"), says("ann")), name="inner", emit_team_events=emit)
    team = RoundRobinGroupChat(
        [inner], termination_condition=TokenUsageTermination(max_total_token=24)
    )

    result = await team.run("go")

    assert [text for text in texts(result.messages) if ":" in text][1:] == [
        "bob: bob 0",
        "ann: ann 0",
    ]
    assert result.stop_reason is not None
    assert result.stop_reason.startswith("Token usage limit reached, total token count: 24,")


@pytest.mark.behaviour("team.selector.event")
async def test_team_events_contain_the_models_answer_and_usage() -> None:
    client = model(says("nobody"), says("bob"))

    result = await team_of(client, emit_team_events=True).run("go")

    assert texts(result.messages) == [
        "user: go",
        "SelectorEvent",
        "SelectorEvent",
        "SelectSpeakerEvent",
        "bob: bob 0",
    ]
    first, second = result.messages[1:3]
    assert isinstance(first, SelectorEvent)
    assert isinstance(second, SelectorEvent)
    assert (first.content, second.content) == ("nobody", "bob")
    assert first.source == "SelectorGroupChatManager"
    assert first.models_usage == RequestUsage(prompt_tokens=10, completion_tokens=2)


async def test_an_observer_is_notified_of_the_selected_speaker() -> None:
    log: list[object] = []

    class Observer:
        def turn_started(self, turn: int, agent: str) -> None:
            log.append((turn, agent))

        def turn_completed(self, turn: int, agent: str) -> None: ...

        def speaker_selected(self, speakers: list[str]) -> None:
            log.append(speakers)

    team = team_of(model("bob", "ann"), max_turns=2)
    team.observer = Observer()

    await team.run("go")

    assert log == [["bob"], (1, "bob"), ["ann"], (2, "ann")]


@pytest.mark.behaviour("team.selector.streaming")
async def test_a_streamed_choice_is_shown_piece_by_piece_with_team_events() -> None:
    team = team_of(model("bob it is"), emit_team_events=True, model_client_streaming=True)
    items = [item async for item in team.run_stream("go")]

    pieces = [item for item in items if isinstance(item, ModelClientStreamingChunkEvent)]
    assert "".join(piece.content for piece in pieces) == "bob it is"
    assert pieces[0].source == "SelectorGroupChatManager"
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert said_after_task(result) == ["SelectorEvent", "SelectSpeakerEvent", "bob: bob 0"]


async def test_a_streamed_choice_is_silent_without_team_events() -> None:
    result = await team_of(model("bob"), model_client_streaming=True).run("go")

    assert said_after_task(result) == ["bob: bob 0"]


class SlowModel(ScriptedModel):
    """Answers when allowed to, and keeps the token that it was given."""

    def __init__(self) -> None:
        super().__init__(["bob"])
        self.asked = asyncio.Event()
        self.token: CancellationToken | None = None

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.token = options["cancellation_token"]
        self.asked.set()
        if not options["cancellation_token"].is_cancelled() and self.token is not None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await self.token.link_future(future)
        return await super().create(messages)


@pytest.mark.behaviour("team.selector.cancel")
async def test_the_choice_is_given_the_token_and_ends_when_it_is_cancelled() -> None:
    client, token = SlowModel(), CancellationToken()
    team = SelectorGroupChat([Talker("ann"), Talker("bob")], client, max_turns=1)
    running = asyncio.ensure_future(team.run("go", cancellation_token=token))
    await client.asked.wait()
    assert client.token is token
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    team2 = SelectorGroupChat([Talker("ann"), Talker("bob")], model("bob"), max_turns=1)
    await team2.load_state(await team.save_state())
    assert texts((await team2.run()).messages) == ["bob: bob 0"]


async def test_a_turn_that_was_cut_short_leaves_the_previous_speaker_as_it_was() -> None:
    ann, bob = Talker("ann"), Failing("bob", LookupError("boom"))
    team = SelectorGroupChat([ann, bob, Talker("cy")], model("ann", "bob", "bob"), max_turns=2)
    with pytest.raises(LookupError):
        await team.run("go")
    assert texts((await team.run()).messages) == ["bob: bob 0"]


async def test_an_error_of_the_model_comes_out_as_it_is() -> None:
    failing = ScriptedModel([{"error": {"message": "overloaded", "status_code": 529}}])
    team = SelectorGroupChat([Talker("ann"), Talker("bob")], failing)

    with pytest.raises(ModelError) as caught:
        await team.run("go")
    assert caught.value.status_code == 529


@pytest.mark.behaviour("team.selector.state")
async def test_the_previous_speaker_and_the_history_survive_save_and_load() -> None:
    first = team_of(model("bob"))
    await first.run("go")
    state = json.loads(json.dumps(await first.save_state()))
    manager = state["agent_states"]["SelectorGroupChatManager"]
    assert manager["type"] == "SelectorManagerState"
    assert manager["previous_speaker"] == "bob"

    client = model("ann")
    second = team_of(client)
    await second.load_state(state)
    await second.run()

    prompt = prompt_of(client.calls[0].messages)
    assert "['ann', 'cy_d']" in prompt
    assert "user: go\n\n\nbob: bob 0" in prompt


async def test_loading_replaces_the_history_that_the_model_sees() -> None:
    fresh = await team_of(model()).save_state()
    client = model("bob", "bob")
    team = team_of(client)
    await team.run("old task")
    await team.load_state(fresh)
    await team.run("new task")
    prompt = prompt_of(client.calls[1].messages)
    assert "old task" not in prompt
    assert "['ann', 'bob', 'cy_d']" in prompt


@pytest.mark.behaviour("team.selector.state")
async def test_reset_forgets_the_speaker_and_the_history() -> None:
    client = model("bob", "bob")
    team = team_of(client)
    await team.run("old task")
    await team.reset()
    await team.run("new task")
    prompt = prompt_of(client.calls[1].messages)
    assert "['ann', 'bob', 'cy_d']" in prompt
    assert "old task" not in prompt


@pytest.mark.behaviour("team.selector.context")
async def test_a_model_context_decides_how_much_of_the_history_the_model_sees() -> None:
    client = model("bob", "ann")
    team = team_of(client, max_turns=2, model_context=BufferedChatCompletionContext(buffer_size=1))

    await team.run("the task")

    prompt = prompt_of(client.calls[1].messages)
    assert "bob: bob 0" in prompt
    assert "the task" not in prompt


@pytest.mark.behaviour("team.selector.handoff_context")
async def test_the_context_of_a_handoff_is_part_of_the_history() -> None:
    client = model("bob")
    handoff = HandoffMessage(
        content="over to you",
        source="user",
        target="bob",
        context=[UserMessage(content="background", source="desk")],
    )

    await team_of(client).run(handoff)

    assert "desk: background\n\n\nuser: over to you" in prompt_of(client.calls[0].messages)


@pytest.mark.behaviour("team.agents_alias")
async def test_arguments_go_by_the_names_that_people_write() -> None:
    client = model("bob")
    people = [Talker("ann"), Talker("bob"), Talker("cy")]
    team = SelectorGroupChat(
        agents=people, model_client=client, system_message="Pick from {participants}", max_turns=1
    )

    await team.run("go")

    assert prompt_of(client.calls[0].messages) == "Pick from ['ann', 'bob', 'cy']"


@pytest.mark.behaviour("team.selector.participants")
def test_a_selector_needs_two_participants_and_a_model() -> None:
    with pytest.raises(ValueError) as raised:
        SelectorGroupChat([Talker("ann")], model())
    assert str(raised.value) == "At least two participants are required for SelectorGroupChat."
    with pytest.raises(TypeError):
        SelectorGroupChat([Talker("ann"), Talker("bob")])


async def test_a_nested_team_can_be_chosen() -> None:
    inner = RoundRobinGroupChat([Talker("x"), Talker("y")], name="inner", max_turns=2)
    team = SelectorGroupChat([Talker("ann"), inner], model("inner"), max_turns=2)

    result = await team.run("go")

    assert said_after_task(result) == ["x: x 0", "y: y 0", "ann: ann 0"]


async def test_a_stuck_speaker_that_is_cancelled_does_not_count_as_having_spoken() -> None:
    ann, bob = Talker("ann"), Stuck("bob")
    token = CancellationToken()
    team = SelectorGroupChat([ann, bob, Talker("cy")], model("bob", "bob"), max_turns=1)
    running = asyncio.ensure_future(
        team.run(TextMessage(content="go", source="user"), cancellation_token=token)
    )
    await bob.started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    bob.go.set()
    assert texts((await team.run()).messages) == ["bob: bob 0"]
