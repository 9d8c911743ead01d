from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from teamrun.cli.show import EventView
from teamrun.runs.log.spec import TeamRef
from teamrun.runs.log.usage import RunUsage
from teamrun.runs.service.resources import Delta, Event, Run


def shown(*events: tuple[str, str | None, dict[str, Any]]) -> str:
    file = StringIO()
    view = EventView(Console(file=file, highlight=False, soft_wrap=True, width=200))
    for event_type, agent, data in events:
        view.show(event_type, agent, data)
    view.end_line()
    return file.getvalue()


def message(text: object, source: str = "a") -> dict[str, Any]:
    return {"message": {"source": source, "content": text}}


def test_streamed_text_is_printed_once() -> None:
    out = shown(
        ("message.delta", "a", {"text": "Hello "}),
        ("message.delta", "a", {"text": "you."}),
        ("message.created", "a", message("Hello you.")),
    )

    assert out == "a: Hello you.\n"


def test_a_message_from_inside_of_an_agent_or_a_team_is_told_from_those_of_the_conversation() -> (
    None
):
    task = {"source": "user", "content": "write", "path": ["lead", "pair"]}
    own = {"source": "lead", "content": "So.", "path": "a field of the user's own class"}

    out = shown(
        ("message.created", "user", {"message": task}),
        ("message.created", "lead", {"message": own}),
    )

    assert out == "lead/pair/user: write\nlead: So.\n"


def test_text_whose_stream_was_cut_is_shown_whole() -> None:
    out = shown(
        ("message.delta", "a", {"text": "Hel"}),
        ("message.created", "a", message("Hello you.")),
    )

    assert out == "a: Hel\na: Hello you.\n"


def test_text_of_the_next_agent_that_overtakes_a_message_comes_after_it() -> None:
    out = shown(
        ("message.delta", "a", {"text": "One"}),
        ("message.delta", "b", {"text": "Tw"}),
        ("message.delta", "c", {"text": "Three"}),
        ("message.created", "a", message("One")),
        ("message.delta", "b", {"text": "o"}),
        ("message.created", "b", message("Two", "b")),
        ("message.created", "c", message("Three", "c")),
    )

    assert out == "a: One\nb: Two\nc: Three\n"


def test_text_that_waits_for_another_agents_is_shown_when_that_one_fails() -> None:
    out = shown(
        ("message.delta", "a", {"text": "Half"}),
        ("message.delta", "b", {"text": "Whole"}),
        ("model.call.failed", "a", {"model": "m", "error": {"message": "No."}}),
        ("message.created", "b", message("Whole", "b")),
    )

    assert out == "a: Half\na model m failed: No.\nb: Whole\n"


def test_tool_calls_and_their_results_are_shown() -> None:
    out = shown(
        ("tool.call.requested", "a", {"tool": "add", "arguments": '{"x": 1}'}),
        ("tool.call.completed", "a", {"tool": "add", "result": "2"}),
        ("tool.call.failed", "a", {"tool": "add", "error": {"message": "No."}}),
    )

    assert out.splitlines() == ['a → add({"x": 1})', "a ← add: 2", "a ← add failed: No."]


def test_markup_in_messages_of_agents_is_text() -> None:
    assert shown(("message.created", "a", message("[bold]x[/bold]"))) == "a: [bold]x[/bold]\n"


def test_pictures_and_structures_have_a_text() -> None:
    out = shown(
        ("message.created", "a", message(["See", {"data": "..."}])),
        ("message.created", "a", message({"x": 1})),
    )

    assert out.splitlines() == ["a: See [image]", 'a: {"x": 1}']


def test_events_without_information_for_a_person_are_skipped() -> None:
    assert shown(("turn.started", "a", {"turn": 1}), ("log.written", None, {})) == ""


def test_questions_and_decisions_are_shown() -> None:
    out = shown(
        ("run.input_required", "boss", {"id": "x", "prompt": "May I? "}),
        ("run.input_received", "boss", {"action_id": "x", "decision": "approve"}),
        ("tool.call.approved", "a", {"tool": "pay"}),
        ("tool.call.denied", "a", {"tool": "pay"}),
    )

    assert out.splitlines() == [
        "boss asks: May I?",
        "[run.input_received] approve",
        "a approved: pay",
        "a denied: pay",
    ]


def test_how_a_run_ended_is_shown() -> None:
    out = shown(("run.failed", None, {"stop_reason": None, "error": {"message": "No model."}}))

    assert out == "[run.failed] No model.\n"


def test_a_limit_is_shown_with_how_far_it_is_used() -> None:
    data = {"kind": "max_cost_usd", "used": 1.12, "limit": 1.0}

    out = shown(("limit.reached", None, data), ("run.paused", None, {}))

    assert out == "[limit.reached] max_cost_usd: 1.12 of 1\n[run.paused]\n"


def test_every_line_ends_with_the_number_of_its_event() -> None:
    file = StringIO()
    view = EventView(Console(file=file, highlight=False, soft_wrap=True, width=200))
    view.show("message.delta", "a", {"text": "Hello"})
    view.show("message.created", "a", message("Hello"), seq=7)
    view.show("message.delta", "a", {"text": "Hel"})
    view.show("tool.call.requested", "b", {"tool": "add", "arguments": "{}"}, seq=8)
    view.show("run.completed", None, {"stop_reason": "Done.", "stop_code": "external"}, seq=9)

    assert file.getvalue().splitlines() == [
        "a: Hello  #7",
        "a: Hel",
        "b → add({})  #8",
        "[run.completed] Done. (external)  #9",
    ]


def test_progress_and_retries_are_shown_with_cause_and_delay() -> None:
    error = {"message": "Overloaded."}
    at = "2026-03-31T08:00:00+00:00"

    out = shown(
        ("tool.call.progressed", "a", {"tool": "load", "note": "half", "percent": 50.0}),
        ("tool.call.progressed", "a", {"tool": "load", "note": "more", "percent": None}),
        (
            "model.call.retried",
            "a",
            {"model": "main", "attempt": 1, "delay_seconds": 2.5, "error": error},
        ),
        ("run.retried", None, {"attempt": 2, "retry_at": at, "error": error}),
        ("model.call.fell_back", "a", {"model": "main", "fallback": "second", "error": error}),
    ).splitlines()

    assert out[:2] == ["a … load: half (50 %)", "a … load: more"]
    assert [part in out[2] for part in ("main", "2.5 s", "Overloaded.")] == [True] * 3
    assert [part in out[3] for part in ("attempt 2", "2026-03-31", "Overloaded.")] == [True] * 3
    assert [part in out[4] for part in ("main", "second is asked", "Overloaded.")] == [True] * 3


def test_at_a_terminal_the_reason_for_waiting_is_shown_until_the_next_event() -> None:
    file = StringIO()
    view = EventView(Console(file=file, force_terminal=True, no_color=True, width=200))
    view.show("model.call.started", "a", {"model": "main"}, seq=1)
    waiting = file.getvalue()
    view.show("message.created", "a", message("Hello"), seq=2)

    assert "main" in waiting
    assert not waiting.endswith("\n")
    assert file.getvalue()[len(waiting) :].startswith("\r\x1b[2K")


def test_the_end_shows_usage_and_cost() -> None:
    file = StringIO()
    view = EventView(Console(file=file, highlight=False, soft_wrap=True, width=200))
    usage = RunUsage(
        model_calls=3, tool_calls=1, input_tokens=70, output_tokens=5, cost_usd=Decimal("0.0012")
    )
    view.summary(run_that_used(usage))

    out = file.getvalue()
    assert out.endswith("Model calls: 3, tool calls: 1, tokens: 70 in, 5 out, cost: $0.0012\n")


def test_the_end_shows_no_tool_calls_if_there_are_none() -> None:
    file = StringIO()
    EventView(Console(file=file, width=200)).summary(run_that_used(RunUsage(model_calls=1)))
    assert "Model calls: 1, tokens: 0 in, 0 out" in file.getvalue()


def run_that_used(usage: RunUsage) -> Run:
    return Run(
        id="run_1",
        status="completed",
        revision=1,
        team=TeamRef(name="t", digest="d"),
        input="go",
        usage=usage,
        created_at=datetime(2026, 3, 31, tzinfo=UTC),
    )


TYPES = [
    *("message.delta", "message.created", "model.call.started", "model.call.failed"),
    "run.input_required",
    *("model.call.retried", "model.call.fell_back", "artifact.created", "run.retried"),
    *("run.scheduled", "run.failed", "limit.warned", "tool.call.requested", "tool.call.completed"),
    *("tool.call.failed", "tool.call.progressed", "run.of_a_later_release"),
]
NAMES = st.sampled_from(
    [
        *("message", "content", "source", "text", "error", "result", "note", "percent", "attempt"),
        *("delay_seconds", "kind", "used", "limit", "retry_at", "run_at", "prompt", "stop_code"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(TYPES),
    data=st.dictionaries(NAMES, ANYTHING, max_size=4),
    seq=st.booleans(),
)
def test_the_view_accepts_any_event(kind: str, data: dict[str, Any], seq: bool) -> None:
    view = EventView(Console(file=StringIO(), highlight=False, soft_wrap=True, width=200))
    event = Event(
        id="run_1-1", seq=1, type=kind, time=datetime.now(UTC), run_id="run_1", agent="a", data=data
    )
    view.take(event if seq else Delta(run_id="run_1", agent="a", data=data))
    view.end_line()


@pytest.mark.parametrize("percent", [50, 33.25, "33.3", "half", None, [1], {"of": 2}])
def test_progress_is_shown_whatever_the_percentage_is(percent: Any) -> None:
    data = {"tool": "t", "note": "Reading", "percent": percent}
    event = Event(
        id="r-1", seq=1, type="tool.call.progressed", time=datetime.now(UTC), run_id="r", data=data
    )
    file = StringIO()
    EventView(Console(file=file, width=200)).take(event)

    assert "Reading" in file.getvalue()
    assert percent is None or not isinstance(percent, str) or percent in file.getvalue()
