"""Agents for tests of teams: they send scripted messages and keep those that they receive."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from teamrun.agents.base import BaseChatAgent
from teamrun.core import AnyMessage, CancellationToken, Response
from teamrun.messages import BaseChatMessage, HandoffMessage, TextMessage


class Streamer(BaseChatAgent):
    """The base of agents that answer with text, and only in a stream, as teams ask for it."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        raise NotImplementedError  # teams stream


class Talker(Streamer):
    """Says its lines in order, then `{name} {number}`; `before` is yielded ahead of each."""

    def __init__(
        self,
        name: str,
        *lines: str,
        before: Callable[[], Sequence[AnyMessage]] = tuple,
        inner: Callable[[], Sequence[AnyMessage]] | None = None,
    ) -> None:
        super().__init__(name, f"The agent {name}.")
        self.lines = lines
        self.before = before
        self.inner = inner
        self.said = 0
        self.heard: list[list[str]] = []
        self.received: list[BaseChatMessage] = []
        self.log: list[str] = []

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        self.heard.append([f"{message.source}: {message.to_text()}" for message in messages])
        self.received.extend(messages)
        events = self.before()
        for event in events:
            yield event
        await self.work(cancellation_token)
        line = self.lines[self.said] if self.said < len(self.lines) else f"{self.name} {self.said}"
        self.said += 1
        yield Response(
            chat_message=self.message(line),
            inner_messages=self.inner() if self.inner is not None else events,
        )

    def message(self, line: str) -> BaseChatMessage:
        """The message with that line."""
        return TextMessage(content=line, source=self.name)

    async def work(self, cancellation_token: CancellationToken | None) -> None:
        """The events of the agent before its answer."""

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.said = 0
        self.log.append("reset")

    async def on_pause(self, cancellation_token: CancellationToken | None = None) -> None:
        self.log.append("pause")

    async def on_resume(self, cancellation_token: CancellationToken | None = None) -> None:
        self.log.append("resume")

    async def save_state(self) -> Mapping[str, Any]:
        return {"type": "TalkerState", "said": self.said}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.said = state["said"]


class Passer(Talker):
    """Hands off to `x` with the line `>x`."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, HandoffMessage)

    def message(self, line: str) -> BaseChatMessage:
        if not line.startswith(">"):
            return super().message(line)
        return HandoffMessage(content=line, target=line[1:], source=self.name)


class Stuck(Talker):
    """Answers only after `go` is set, and ignores cancellation tokens."""

    def __init__(self, name: str, *lines: str) -> None:
        super().__init__(name, *lines)
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.was_cancelled = False

    async def work(self, cancellation_token: CancellationToken | None) -> None:
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


class Failing(Talker):
    """Raises `error` in its first `times` turns."""

    def __init__(self, name: str, error: Exception, times: int = 1) -> None:
        super().__init__(name)
        self.error = error
        self.times = times

    async def work(self, cancellation_token: CancellationToken | None) -> None:
        if self.times > 0:
            self.times -= 1
            raise self.error


def texts(messages: Sequence[AnyMessage]) -> list[str]:
    """`source: text` of each message, and the class of each event."""
    return [
        f"{message.source}: {message.to_text()}"
        if isinstance(message, BaseChatMessage)
        else type(message).__name__
        for message in messages
    ]
