from io import StringIO
from typing import Any

from rich.console import Console

from teamrun.cli.show import EventView


def shown(*events: tuple[str, str | None, dict[str, Any]]) -> str:
    file = StringIO()
    view = EventView(Console(file=file, highlight=False, soft_wrap=True, width=200))
    for event_type, agent, data in events:
        view.show(event_type, agent, data)
    view.end_line()
    return file.getvalue()


def message(text: object, source: str = "a") -> dict[str, Any]:
    return {"message": {"source": source, "content": text}}


def test_text_that_was_streamed_is_not_said_twice() -> None:
    out = shown(
        ("message.delta", "a", {"text": "Hello "}),
        ("message.delta", "a", {"text": "you."}),
        ("message.created", "a", message("Hello you.")),
    )

    assert out == "a: Hello you.\n"


def test_text_whose_stream_was_cut_is_shown_whole() -> None:
    out = shown(
        ("message.delta", "a", {"text": "Hel"}), ("message.created", "a", message("Hello you."))
    )

    assert out == "a: Hel\na: Hello you.\n"


def test_tool_calls_and_what_they_return_are_shown() -> None:
    out = shown(
        ("tool.call.requested", "a", {"tool": "add", "arguments": '{"x": 1}'}),
        ("tool.call.completed", "a", {"tool": "add", "result": "2"}),
        ("tool.call.failed", "a", {"tool": "add", "error": {"message": "No."}}),
    )

    assert out.splitlines() == ['a → add({"x": 1})', "a ← add: 2", "a ← add: No."]


def test_markup_in_what_agents_say_is_text() -> None:
    assert shown(("message.created", "a", message("[bold]x[/bold]"))) == "a: [bold]x[/bold]\n"


def test_pictures_and_structures_have_a_text() -> None:
    out = shown(
        ("message.created", "a", message(["See", {"data": "..."}])),
        ("message.created", "a", message({"x": 1})),
    )

    assert out.splitlines() == ["a: See [image]", 'a: {"x": 1}']


def test_what_says_nothing_to_a_person_is_passed_over() -> None:
    assert shown(("turn.started", "a", {"turn": 1}), ("log.written", None, {})) == ""


def test_what_is_asked_and_decided_is_shown() -> None:
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
