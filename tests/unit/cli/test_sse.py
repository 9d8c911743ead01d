from teamrun.cli.sse import ServerSentEvent, parse


def test_messages_end_with_an_empty_line() -> None:
    lines = ["event: run.started", "id: r-1", 'data: {"a": 1}', "", "data: x", "data:y", ""]

    assert list(parse(lines)) == [
        ServerSentEvent("run.started", '{"a": 1}', "r-1"),
        ServerSentEvent("message", "x\ny", None),
    ]


def test_comments_other_fields_and_empty_messages_are_passed_over() -> None:
    assert list(parse([": ping", "", "retry: 100", "", "event: end", ""])) == []


def test_a_message_that_the_end_cuts_off_is_dropped() -> None:
    assert list(parse(["id: r-1", "data: half"])) == []
