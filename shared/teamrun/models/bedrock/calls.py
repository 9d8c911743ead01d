"""One call of Converse or ConverseStream through boto3, in a thread.

Imported when a client is created, not before, because it loads the SDK.
"""

import asyncio
import os
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from typing import Any, TypeVar

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import PairJoiner
from teamrun.messages.recordable_result import recordable_result
from teamrun.models.bedrock.connection import (
    Connection,
    Line,
    Place,
    Runtime,
    connection_to,
    threads,
)
from teamrun.models.bedrock.errors import mapped_errors
from teamrun.models.bedrock.request import Request
from teamrun.models.bedrock.response import AnswerReader

__all__ = ["BedrockCalls"]

T = TypeVar("T")

_DRAIN_SECONDS = 0.1
"""For the end of a stream after its last event, so that the connection can be reused."""


class BedrockCalls:
    """Makes calls; every failure is a `ModelError`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: Connection | None = None
        self._unstreamed: set[bool] = set()
        """Whether requests have tools that the service has refused to stream."""

    async def create(self, request: Request, token: CancellationToken | None) -> CreateResult:
        """Call once, without retries.

        Raises:
            ModelError: The call failed.
        """
        line = Line()
        with mapped_errors(line), cancelled_by(token):
            runtime = await self._runtime()
            async with asyncio.timeout(self._place.timeout_seconds):
                body = await _in_thread(line, lambda: runtime.converse(**request.body))
            answer = AnswerReader(request)
            answer.read(body)
            return recordable_result(answer.result())

    async def stream(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call once, without retries; yields text as it arrives, then the outcome.

        Reasoning is yielded between `<think>` and `</think>`. Text comes at once if the model does
        not stream the request, as known beforehand or as the service says.

        Raises:
            ModelError: The call failed, or the stream ended early.
        """
        if request.streams and request.has_tools not in self._unstreamed:
            try:
                async with aclosing(self._streamed(request, token)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except ModelError as error:
                if not _refuses_stream(error):
                    raise
                self._unstreamed.add(request.has_tools)
        result = await self.create(request, token)
        if result.content and isinstance(result.content, str):
            yield result.content
        yield result

    async def close(self) -> None:
        """Close the connections, unless another client uses them."""
        self._connection = None

    async def _streamed(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        line = Line()
        answer, joiner = AnswerReader(request), PairJoiner()
        events = _Events()
        with mapped_errors(line), cancelled_by(token):
            runtime = await self._runtime()
        call = asyncio.ensure_future(_in_thread(line, lambda: events.read(runtime, request.body)))
        call.add_done_callback(events.end)
        try:
            while not answer.ended:
                with mapped_errors(line), cancelled_by(token):
                    async with asyncio.timeout(self._place.timeout_seconds):
                        event = await events.next()
                    if event is None:
                        await call  # raises what ended it
                        break
                    texts = list(answer.add(event))
                for text in texts:
                    if whole := joiner.add(text):
                        yield whole
            await asyncio.wait([call], timeout=_DRAIN_SECONDS)
        except ModelError:
            if not answer.complete:  # else only the usage is missing, not worth another call
                raise
        finally:
            call.cancel()  # hangs up
            await asyncio.wait([call])
        with mapped_errors(line):
            result = recordable_result(answer.result())
        if rest := joiner.rest():
            yield rest
        yield result

    async def _runtime(self) -> Runtime:
        connection = self._connection
        if connection is None or connection.pid != os.getpid():
            connection = self._connection = connection_to(self._place)
        if connection.ready is not None:
            return connection.ready
        return await threads().run(connection.runtime)


def _refuses_stream(error: ModelError) -> bool:
    """Such as: This model doesn't support tool use in streaming mode."""
    is_refusal = error.status_code == 400 and "cut" not in error.data
    return is_refusal and "stream" in error.message.lower()


async def _in_thread(line: Line, act: Callable[[], T]) -> T:
    def work() -> T:
        with line:
            return act()

    try:
        return await threads().run(work)
    except CancelledError:
        line.hang_up()
        raise


class _Events:
    """The events of one stream on their way from the thread that reads them.

    They are as many as an answer has, so nothing bounds them here.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[JsonObject | None] = asyncio.Queue()

    def read(self, runtime: Runtime, body: JsonObject) -> None:
        """Call the model and pass its events on; in a thread."""
        with closing(runtime.converse_stream(**body)["stream"]) as stream:
            for event in stream:
                self._loop.call_soon_threadsafe(self._queue.put_nowait, event)

    async def next(self) -> JsonObject | None:
        """The next event; None after the last one."""
        return await self._queue.get()

    def end(self, call: "asyncio.Future[Any]") -> None:
        """No more events come."""
        if not call.cancelled():
            call.exception()  # it is raised where the last event is awaited, or nowhere
        self._queue.put_nowait(None)
