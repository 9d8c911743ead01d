"""A run on the terminal: each message as it arrives, and a summary at the end."""

import asyncio
import inspect
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeAlias, TypeVar, cast

from teamrun.agents.user_proxy import InputFunc, UserProxyAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, Response, TaskResult
from teamrun.messages import (
    Image,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    RequestUsage,
    UserInputRequestedEvent,
)
from teamrun.tools.threads import run_in_thread

__all__ = ["Console", "UserInputManager"]

ResultT = TypeVar("ResultT", bound=TaskResult | Response)
WrappedInput: TypeAlias = Callable[[str, CancellationToken | None], Awaitable[str]]
"""An input function in the form that waits for its turn on the terminal."""


class UserInputManager:
    """Delays a prompt until `Console` has printed all messages before it.

    Only needed if other work runs beside the agent that asks, as with several tools at once:
    give `manager.get_wrapped_callback()` to the agents and `manager` to `Console`.

    Args:
        callback: Asks the person.
    """

    def __init__(self, callback: InputFunc) -> None:
        self._callback = callback
        self._shown: dict[str, asyncio.Event] = {}

    def get_wrapped_callback(self) -> WrappedInput:
        """The `input_func` for `UserProxyAgent`."""
        return self._ask_when_shown

    def notify_event_received(self, request_id: str) -> None:
        """Say that the `UserInputRequestedEvent` of that id has reached the terminal."""
        self._event(request_id).set()

    def _event(self, request_id: str) -> asyncio.Event:
        return self._shown.setdefault(request_id, asyncio.Event())

    async def _ask_when_shown(self, prompt: str, token: CancellationToken | None) -> str:
        request_id = UserProxyAgent.InputRequestContext.request_id()
        await self._event(request_id).wait()
        del self._shown[request_id]
        if not inspect.iscoroutinefunction(self._callback):
            ask = cast("Callable[[str], str]", self._callback)
            return await run_in_thread(partial(ask, prompt))
        takes_token = len(inspect.signature(self._callback).parameters) > 1
        asking = cast("Callable[..., Awaitable[str]]", self._callback)
        return await (asking(prompt, token) if takes_token else asking(prompt))


async def Console(
    stream: AsyncIterator[AnyMessage | ResultT],
    *,
    no_inline_images: bool = False,
    output_stats: bool = False,
    user_input_manager: UserInputManager | None = None,
) -> ResultT:
    """Print what `run_stream` or `on_messages_stream` yields, and return its result.

    Args:
        stream: Of a team or an agent.
        no_inline_images: Never draw images, not even in a terminal that can.
        output_stats: Print tokens after each message, and a summary.
        user_input_manager: Notified when a request for input has been reached.

    Raises:
        ValueError: The stream ended without a `TaskResult` or `Response`.
    """
    screen = _Screen(
        draws_images=not no_inline_images and _can_draw_images(), has_stats=output_stats
    )
    result: ResultT | None = None
    async for item in stream:
        if isinstance(item, (TaskResult, Response)):
            result = item
            screen.show_result(item)
        elif isinstance(item, UserInputRequestedEvent):
            if user_input_manager is not None:
                user_input_manager.notify_event_received(item.request_id)
        else:
            screen.show(item)
    if result is None:
        raise ValueError("No TaskResult or Response was processed.")
    return result


class _Screen:
    def __init__(self, *, draws_images: bool, has_stats: bool) -> None:
        self._draws_images = draws_images
        self._has_stats = has_stats
        self._is_streaming = False
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._started_at = time.monotonic()

    def show(self, message: AnyMessage) -> None:
        if isinstance(message, ModelClientStreamingChunkEvent):
            if not self._is_streaming:
                self._title(message)
            self._is_streaming = True
            _write(message.content, end="")
            return
        if self._is_streaming:  # its text has been printed piece by piece
            self._is_streaming = False
            _write("")
        else:
            self._title(message)
            _write(self._text(message))
        self._count(message.models_usage)

    def show_result(self, result: TaskResult | Response) -> None:
        if isinstance(result, Response):
            self.show(result.chat_message)
            count = f"Number of inner messages: {len(result.inner_messages or ())}"
        else:
            count = (
                f"Number of messages: {len(result.messages)}\nFinish reason: {result.stop_reason}"
            )
        if self._has_stats:
            _write(
                f"{'-' * 10} Summary {'-' * 10}\n{count}\n"
                f"Total prompt tokens: {self._prompt_tokens}\n"
                f"Total completion tokens: {self._completion_tokens}\n"
                f"Duration: {time.monotonic() - self._started_at:.2f} seconds"
            )

    def _title(self, message: AnyMessage) -> None:
        # Pieces of a message are printed under the name of the piece, as in AutoGen.
        _write(f"{'-' * 10} {type(message).__name__} ({message.source}) {'-' * 10}")

    def _text(self, message: AnyMessage) -> str:
        if isinstance(message, MultiModalMessage) and self._draws_images:
            return "\n".join(
                _inline(part) if isinstance(part, Image) else part for part in message.content
            )
        return message.to_text()

    def _count(self, usage: RequestUsage | None) -> None:
        if usage is None:
            return
        self._prompt_tokens += usage.prompt_tokens
        self._completion_tokens += usage.completion_tokens
        if self._has_stats:
            _write(
                f"[Prompt tokens: {usage.prompt_tokens}, "
                f"Completion tokens: {usage.completion_tokens}]"
            )


def _write(text: str, *, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - printing is what a console is for


def _can_draw_images() -> bool:
    return os.environ.get("TERM_PROGRAM") == "iTerm.app" and sys.stdout.isatty()


def _inline(image: Image) -> str:
    return f"\033]1337;File=inline=1:{image.to_base64()}\a\n"
