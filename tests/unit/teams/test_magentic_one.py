"""Magentic-One: an orchestrator plans and leads. The expected values are those of AutoGen 0.7.5."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from tests.support.talkers import Talker, texts

from teamrun.agents import AssistantAgent
from teamrun.conditions import TextMentionTermination, TokenUsageTermination
from teamrun.core import AnyMessage, TaskResult
from teamrun.errors import ModelError
from teamrun.messages import (
    BaseChatMessage,
    Image,
    MultiModalMessage,
    SelectSpeakerEvent,
    TextMessage,
)
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import MagenticOneGroupChat, RoundRobinGroupChat
from teamrun.testing import ScriptedModel

PLANNED = ("facts", "plan")


def progress(speaker: str, say: str = "", **answers: bool) -> str:
    """A progress ledger; the team gets on unless `answers` says otherwise."""
    whole: dict[str, Any] = {
        "is_request_satisfied": False,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": speaker,
        "instruction_or_question": say,
        **answers,
    }
    return json.dumps({k: {"reason": f"as to {k}", "answer": v} for k, v in whole.items()})


DONE = progress("a", is_request_satisfied=True)


def stuck(speaker: str, say: str) -> str:
    return progress(speaker, say, is_progress_being_made=False)


def led(*steps: str | dict[str, Any], **options: Any) -> MagenticOneGroupChat:
    """Talkers `a` and `b`, whose orchestrator gives these answers."""
    return MagenticOneGroupChat([Talker("a"), Talker("b")], ScriptedModel(list(steps)), **options)


def said(messages: Sequence[AnyMessage]) -> list[str]:
    """The texts, without the names of the orchestrator and of the parts of a ledger."""
    return [
        f"ledger of {text.split()[-1]}" if "address the following" in text else text
        for text in (t.replace("MagenticOneOrchestrator: ", "") for t in texts(messages))
    ]


@pytest.mark.behaviour("team.magentic.plan")
async def test_a_plan_is_made_and_followed_until_the_request_is_satisfied() -> None:
    team = led(*PLANNED, progress("b", "Begin."), progress("a", "Go on."), DONE, "The answer.")

    result = await team.run(task="go")

    spoken = ["user: go", "ledger of plan", "Begin.", "b: b 0", "Go on.", "a: a 0", "The answer."]
    assert said(result.messages) == spoken
    assert result.stop_reason == "as to is_request_satisfied"
    assert team.stop_code == "request_satisfied"
    ledger = result.messages[1].to_text()
    assert ledger.startswith("\nWe are working to address the following user request:\n\ngo\n\n\n")
    assert "following team:\n\na: The agent a.\nb: The agent b.\n\n\n" in ledger
    assert ledger.endswith(
        "consider:\n\nfacts\n\n\nHere is the plan to follow as best as possible:\n\nplan\n"
    )


@pytest.mark.behaviour("team.magentic.heard")
async def test_agents_hear_the_ledger_the_instructions_and_each_other_but_not_the_task() -> None:
    team = led(*PLANNED, progress("b", "Begin."), progress("a", "Go on."), DONE, "The answer.")
    await team.run(task="go")
    [a, b] = team.participants
    assert isinstance(a, Talker) and isinstance(b, Talker)

    assert [each.partition(": ")[2].strip()[:8] for each in a.heard[0]] == [
        "We are w",
        "Begin.",
        "b 0",
        "Go on.",
    ]
    assert len(b.heard[0]) == 2


@pytest.mark.behaviour("team.magentic.stalls")
async def test_without_progress_the_plan_is_revised_and_the_agents_start_again() -> None:
    team = led(
        *PLANNED,
        progress("a", "One."),
        progress("a", "Two.", is_in_loop=True),
        stuck("a", "Three."),
        *("other facts", "better", progress("b", "Four."), DONE, "The answer."),
        max_stalls=2,
    )

    result = await team.run(task="go")

    assert said(result.messages) == [
        *("user: go", "ledger of plan", "One.", "a: a 0", "Two.", "a: a 1"),
        *("ledger of better", "Four.", "b: b 0", "The answer."),
    ]
    state = (await team.save_state())["agent_states"]["MagenticOneOrchestrator"]
    assert (state["facts"], state["plan"]) == ("other facts", "better")
    assert (state["n_rounds"], state["n_stalls"], state["task"]) == (5, 1, "go")
    thread = [m["content"][:5] for m in state["message_thread"]]
    assert thread == ["\nWe a", "Four.", "b 0", "The a"]  # as of the new plan
    assert isinstance(a := team.participants[0], Talker) and a.said == 0  # it was reset


@pytest.mark.behaviour("team.magentic.max_turns")
async def test_the_team_s_limit_asks_for_an_answer_and_counts_anew_in_each_run() -> None:
    rounds = [*PLANNED, progress("a", "One."), progress("a", "Two."), "It is not known."]
    team = led(*rounds, *rounds, max_turns=1)

    for _ in range(2):
        result = await team.run(task="go")

        assert said(result.messages)[-2:] == [f"a: a {1}", "It is not known."]
        assert (result.stop_reason, team.stop_code) == ("Max rounds reached.", "max_turns")
    assert team.max_turns == 1


async def test_a_condition_sees_the_messages_of_agents_alone_and_ends_without_an_answer() -> None:
    team = led(
        *PLANNED,
        progress("a", "b 0 is asked for"),
        progress("b", "Speak."),
        termination_condition=TextMentionTermination("b 0"),
    )

    result = await team.run(task="say b 0")

    assert said(result.messages)[-1] == "b: b 0"
    assert result.stop_reason == "Text 'b 0' mentioned"


@pytest.mark.behaviour("team.magentic.usage")
async def test_the_usage_of_the_orchestrator_counts() -> None:
    costly = {"content": "facts", "usage": {"prompt_tokens": 50, "completion_tokens": 50}}
    team = led(
        costly, "plan", progress("a", "Begin."), termination_condition=TokenUsageTermination(99)
    )

    assert "Token usage limit reached" in str((await team.run(task="go")).stop_reason)


@pytest.mark.behaviour("team.magentic.ledger.feedback")
async def test_an_answer_that_is_no_ledger_is_asked_for_again_and_the_model_is_told_why() -> None:
    faults = {
        "nonsense": "cannot be read",
        "[1]": "no JSON object",
        "```json\n{}\n```\nor\n```\n{}\n```": "more than one",
        '{"is_in_loop": {"answer": true}}': "is_request_satisfied",
        progress("nobody", "x"): "next_speaker 'nobody' is none of a, b",
    }
    model = ScriptedModel(
        [*PLANNED, *faults, f"```json\n{progress('b', 'Begin.')}```", DONE, "Fine"], record=True
    )
    team = MagenticOneGroupChat([Talker("a"), Talker("b")], model)

    result = await team.run(task="go")

    assert said(result.messages)[-2:] == ["b: b 0", "Fine"]
    told = [str(call.messages[-1].content) for call in model.calls[3:8]]
    for text, what in zip(told, faults.values(), strict=True):
        assert what in text


@pytest.mark.behaviour("team.magentic.ledger")
async def test_ten_answers_that_are_no_ledger_are_an_error() -> None:
    model = ScriptedModel([*PLANNED, *["no"] * 10], record=True)
    team = MagenticOneGroupChat([Talker("a")], model)

    with pytest.raises(ModelError, match="Failed to parse ledger information after multiple"):
        await team.run(task="go")
    assert len(model.calls) == 12


@pytest.mark.behaviour("team.magentic.ledger")
@pytest.mark.parametrize(
    ("structured", "as_json", "form"),
    [(True, True, "Progress"), (False, True, True), (False, False, None)],
)
async def test_the_ledger_is_requested_in_the_form_that_the_model_has(
    structured: bool, as_json: bool, form: object
) -> None:
    info: Any = {
        "vision": False,
        "function_calling": False,
        "family": "unknown",
        "structured_output": structured,
        "json_output": as_json,
    }
    model = ScriptedModel([*PLANNED, DONE, "Fine"], model_info=info, record=True)
    await MagenticOneGroupChat([Talker("a")], model).run(task="go")

    forms = [getattr(call.json_output, "__name__", call.json_output) for call in model.calls]
    assert forms == [None, None, form, None]


@pytest.mark.behaviour("team.magentic.final_answer_prompt")
async def test_a_team_of_one_need_not_name_it_and_a_prompt_of_one_s_own_is_used() -> None:
    model = ScriptedModel([*PLANNED, progress("?", "Begin."), DONE, "Fine"], record=True)
    team = MagenticOneGroupChat([Talker("a")], model, final_answer_prompt="In short: {task}?")

    await team.run(task="go")

    assert model.calls[-1].messages[-1].content == "In short: go?"


@pytest.mark.behaviour("team.magentic.task")
async def test_speakers_are_events_on_request_and_the_task_is_always_in_the_output() -> None:
    team = led(*PLANNED, progress("b", "Begin."), DONE, "Fine", emit_team_events=True)

    result = await team.run(task="go", output_task_messages=False)

    [event] = [each for each in result.messages if isinstance(each, SelectSpeakerEvent)]
    assert (event.source, event.content) == ("MagenticOneOrchestrator", ["b"])
    assert texts(result.messages)[0] == "user: go"
    assert result.messages.index(event) == 3  # after the instruction


SCRIPT = (
    *PLANNED,
    progress("a", "One."),
    progress("b", "Two.", is_in_loop=True),
    *("other facts", "better", progress("b", "Four."), DONE, "The answer."),
)


def assistants(models: dict[str, ChatCompletionClient]) -> MagenticOneGroupChat:
    def look(word: str) -> str:
        return word

    members = [AssistantAgent(name, models[name], tools=[look]) for name in "ab"]
    return MagenticOneGroupChat(members, models["o"], max_stalls=1)


def answers() -> dict[str, ChatCompletionClient]:
    call = {"tool_calls": [{"name": "look", "arguments": {"word": "x"}}]}
    return {"o": ScriptedModel(SCRIPT), "a": ScriptedModel([call]), "b": ScriptedModel(["from b"])}


@pytest.mark.behaviour("team.magentic.state")
@pytest.mark.parametrize("loaded", [False, True], ids=["the same team", "a loaded state"])
async def test_a_run_that_is_left_at_any_message_continues_without_a_repeated_call(
    loaded: bool,
) -> None:
    whole = texts((await assistants(answers()).run(task="go")).messages)
    for count in range(1, len(whole) + 1):
        models = answers()
        team, seen = assistants(models), list[AnyMessage]()
        async with aclosing(team.run_stream(task="go")) as stream:
            async for item in stream:
                assert not isinstance(item, TaskResult)
                seen.append(item)
                if len(seen) == count:
                    break
        if texts(seen)[-1].startswith("ToolCall"):
            continue  # the agent's turn is repeated
        if loaded:
            state = json.loads(json.dumps(await team.save_state()))
            team = assistants(models)
            await team.load_state(state)
        result = await team.run()
        assert [*texts(seen), *texts(result.messages)] == whole
        assert result.stop_reason == "as to is_request_satisfied"
        for model in models.values():
            assert isinstance(model, ScriptedModel)
            model.finish()


async def test_a_new_task_begins_anew_also_in_place_of_a_run_that_was_left() -> None:
    team = led(*PLANNED, progress("a", "One."), "facts", "second plan", DONE, "The answer.")
    async with aclosing(team.run_stream(task="go")) as stream:
        async for item in stream:
            if isinstance(item, TextMessage) and item.content == "One.":
                break

    result = await team.run(task="other")

    assert said(result.messages) == ["user: other", "ledger of plan", "The answer."]
    assert "second plan" in result.messages[1].to_text()


async def test_in_another_team_its_messages_are_those_of_its_turn() -> None:
    inner = led(*PLANNED, progress("b", "Begin."), DONE, "The answer.", name="inner")
    team = RoundRobinGroupChat([inner, last := Talker("z")], max_turns=2)

    result = await team.run(task="go")

    assert said(result.messages)[-2:] == ["The answer.", "z: z 0"]
    assert last.heard[0][-1] == "MagenticOneOrchestrator: The answer."


async def test_what_people_say_meanwhile_is_heard_and_before_the_plan_it_is_part_of_the_task() -> (
    None
):
    model = ScriptedModel([*PLANNED, progress("a", "Begin."), DONE, "Fine"], record=True)
    team = MagenticOneGroupChat([a := Talker("a")], model)
    news = iter(["early", None, "late"])

    def inbox() -> list[BaseChatMessage]:
        text = next(news, None)
        return [TextMessage(content=text, source="boss")] if text else []

    team.inbox = inbox
    result = await team.run(task="go")

    assert said(result.messages)[:3] == ["user: go", "boss: early", "ledger of plan"]
    assert "\ngo early\n" in result.messages[2].to_text()
    assert not any("early" in line for line in a.heard[0][1:])
    assert "late" in str(model.calls[-1].messages)


async def test_reset_forgets_the_plan() -> None:
    team = led(*PLANNED, progress("b", "Begin."), DONE, "The answer.")
    await team.run(task="go")
    await team.reset()

    state = (await team.save_state())["agent_states"]["MagenticOneOrchestrator"]
    assert [state[key] for key in ("task", "facts", "plan", "n_rounds", "message_thread")] == [
        *("", "", ""),
        0,
        [],
    ]


@pytest.mark.behaviour("team.magentic.state")
async def test_a_state_of_autogen_has_a_plan_and_a_stranger_as_speaker_is_refused() -> None:
    model = ScriptedModel([*PLANNED, DONE, "Fine"], record=True)
    team = MagenticOneGroupChat([Talker("a")], model)
    await team.run(task="go")
    state = json.loads(json.dumps(await team.save_state()))
    own = state["agent_states"]["MagenticOneOrchestrator"]

    own["next_speaker"] = "z"
    with pytest.raises(ValueError, match="names 'z' as the next speaker"):
        await team.load_state(state)
    for name in ("next_speaker", "is_planned", "answered", "run", "termination", "undecided"):
        del own[name]
    await team.load_state(state)
    loaded = (await team.save_state())["agent_states"]["MagenticOneOrchestrator"]
    assert loaded["is_planned"] is True


@pytest.mark.behaviour("team.magentic.task")
async def test_what_cannot_begin_is_refused() -> None:
    model = ScriptedModel([])
    with pytest.raises(TypeError, match="takes no teams as participants"):
        MagenticOneGroupChat([RoundRobinGroupChat([Talker("a")])], model)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="needs `model_client`, the model of the orchestrator"):
        MagenticOneGroupChat([Talker("a")])
    for options in ({"max_turns": 0}, {"max_stalls": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            led(**options)
    with pytest.raises(ValueError, match="needs a task for each run"):
        await led().run()


async def test_a_tool_call_of_the_orchestrator_is_an_error() -> None:
    with pytest.raises(ModelError, match="requested a tool call"):
        await led({"tool_calls": [{"name": "x", "arguments": {}}]}).run(task="go")


class Painter(Talker):
    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (MultiModalMessage,)

    def message(self, line: str) -> BaseChatMessage:
        pixel = Image.from_base64("iVBORw0KGgo=")
        return MultiModalMessage(content=[line, pixel], source=self.name)


async def test_an_orchestrator_without_vision_gets_no_images() -> None:
    switches = ("vision", "function_calling", "json_output", "structured_output")
    info: Any = {**dict.fromkeys(switches, False), "family": "unknown"}
    script = [*PLANNED, progress("a", "Paint."), DONE, "Fine"]
    model = ScriptedModel(script, model_info=info, record=True)

    await MagenticOneGroupChat([Painter("a", "A cat.")], model).run(task="go")

    painted = [m for m in model.calls[-1].messages if m.content and "A cat." in str(m.content)]
    assert [m.content for m in painted] == ["A cat.\n<image>"]
