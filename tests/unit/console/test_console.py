"""`Console` prints a stream as it arrives and returns its result."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from tests.support.talkers import Talker

from teamrun.agents import UserProxyAgent
from teamrun.console import Console, UserInputManager
from teamrun.core import AnyMessage, Response, TaskResult
from teamrun.messages import (
    Image,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    RequestUsage,
    TextMessage,
    ThoughtEvent,
    UserInputRequestedEvent,
)
from teamrun.teams import RoundRobinGroupChat

PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\n")


async def stream_of(
    *items: AnyMessage | TaskResult | Response,
) -> AsyncGenerator[AnyMessage | TaskResult | Response, None]:
    for item in items:
        yield item


async def printed(
    capsys: pytest.CaptureFixture[str],
    items: Sequence[AnyMessage | TaskResult | Response],
    *,
    output_stats: bool = False,
) -> str:
    await Console(stream_of(*items), output_stats=output_stats)
    return capsys.readouterr().out


@pytest.mark.behaviour("console.print")
async def test_a_team_is_printed_and_its_result_returned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    team = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=2)
    result = await Console(team.run_stream("go"))

    assert len(result.messages) == 3
    assert capsys.readouterr().out == (
        "---------- TextMessage (user) ----------\n"
        "go\n"
        "---------- TextMessage (a) ----------\n"
        "a 0\n"
        "---------- TextMessage (b) ----------\n"
        "b 0\n"
    )


@pytest.mark.behaviour("console.print", "console.title")
async def test_the_response_of_an_agent_is_printed_and_returned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    response = Response(chat_message=TextMessage(content="hello", source="a"))

    result = await Console(stream_of(ThoughtEvent(content="hm", source="a"), response))

    assert result is response
    assert capsys.readouterr().out == (
        "---------- ThoughtEvent (a) ----------\nhm\n---------- TextMessage (a) ----------\nhello\n"
    )


@pytest.mark.behaviour("console.print")
async def test_streamed_text_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    pieces = [ModelClientStreamingChunkEvent(content=text, source="a") for text in ("hel", "lo")]
    whole = TextMessage(content="hello", source="a")
    end = TaskResult(messages=[whole])

    assert await printed(capsys, [*pieces, whole, whole, end]) == (
        "---------- ModelClientStreamingChunkEvent (a) ----------\n"
        "hello\n"
        "---------- TextMessage (a) ----------\n"
        "hello\n"
    )
    assert await printed(capsys, [*pieces, Response(chat_message=whole)]) == (
        "---------- ModelClientStreamingChunkEvent (a) ----------\nhello\n"
    )


@pytest.mark.behaviour("console.print")
async def test_statistics_are_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    messages = [
        TextMessage(content="1", source="a", models_usage=RequestUsage(10, 2)),
        TextMessage(content="2", source="b", models_usage=RequestUsage(5, 1)),
    ]
    end = TaskResult(messages=messages, stop_reason="Text '2' mentioned")

    text = await printed(capsys, [*messages, end], output_stats=True)

    assert "\n[Prompt tokens: 10, Completion tokens: 2]\n" in text
    summary, _, duration = text.partition("---------- Summary ----------\n")[2].rpartition(
        "Duration: "
    )
    assert summary == (
        "Number of messages: 2\n"
        "Finish reason: Text '2' mentioned\n"
        "Total prompt tokens: 15\n"
        "Total completion tokens: 3\n"
    )
    assert duration.endswith(" seconds\n")


async def test_statistics_of_a_response_count_its_inner_messages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    response = Response(
        chat_message=TextMessage(content="1", source="a", models_usage=RequestUsage(10, 2)),
        inner_messages=[ThoughtEvent(content="hm", source="a")],
    )

    text = await printed(capsys, [response], output_stats=True)

    assert "Number of inner messages: 1\nTotal prompt tokens: 10\n" in text


async def test_images_are_named_where_they_cannot_be_drawn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = MultiModalMessage(content=["see", PNG], source="a")

    assert await printed(capsys, [message, TaskResult(messages=[message])]) == (
        "---------- MultiModalMessage (a) ----------\nsee\n<image>\n"
    )


@pytest.mark.parametrize(("no_inline_images", "is_drawn"), [(False, True), (True, False)])
async def test_images_are_drawn_in_a_terminal_that_can(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_inline_images: bool,
    is_drawn: bool,
) -> None:
    import sys

    monkeypatch.setenv("TERM_PROGRAM", "iTerm.app")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    message = MultiModalMessage(content=["see", PNG], source="a")
    items = stream_of(message, TaskResult(messages=[message]))

    await Console(items, no_inline_images=no_inline_images)

    text = capsys.readouterr().out
    assert (PNG.to_base64() in text) is is_drawn
    assert ("<image>" in text) is not is_drawn


async def test_a_stream_without_a_result_is_an_error() -> None:
    with pytest.raises(ValueError) as raised:
        await Console(stream_of(TextMessage(content="1", source="a")))
    assert str(raised.value) == "No TaskResult or Response was processed."


async def test_a_request_for_input_is_announced_and_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "yes"

    manager = UserInputManager(ask)
    person = UserProxyAgent("person", input_func=manager.get_wrapped_callback())
    team = RoundRobinGroupChat([person], max_turns=1)
    result = await Console(team.run_stream("ok?"), user_input_manager=manager)

    assert asked == ["Enter your response: "]
    assert result.messages[-1].to_text() == "yes"
    assert capsys.readouterr().out == (
        "---------- TextMessage (user) ----------\n"
        "ok?\n"
        "---------- TextMessage (person) ----------\n"
        "yes\n"
    )


@pytest.mark.behaviour("console.input")
async def test_a_prompt_waits_until_its_request_has_been_reached() -> None:
    log: list[str] = []

    async def ask(prompt: str) -> str:
        log.append("asked")
        return "yes"

    manager = UserInputManager(ask)
    wrapped = manager.get_wrapped_callback()
    with UserProxyAgent.InputRequestContext.populate_context("r1"):
        asking = asyncio.ensure_future(wrapped("?", None))
    await asyncio.sleep(0)
    log.append("reached")
    manager.notify_event_received(UserInputRequestedEvent(request_id="r1", source="p").request_id)
    assert await asking == "yes"

    assert log == ["reached", "asked"]
