"""An agent that speaks for a person."""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, cast

from teamrun.agents.base import BaseChatAgent, last_response
from teamrun.agents.copies import Leaves
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, InputFunc, Response
from teamrun.messages.chat import BaseChatMessage, HandoffMessage, TextMessage
from teamrun.messages.events import UserInputRequestedEvent
from teamrun.messages.origin import new_id
from teamrun.tools.threads import run_in_thread

__all__ = ["InputFunc", "UserProxyAgent"]


class UserProxyAgent(BaseChatAgent):
    """An agent whose answers come from a person.

    Args:
        name: A Python identifier, unique in a team.
        description: Who that is.
        input_func: Asks the person. A function that is not async is called in a thread; when
            the turn is cancelled, the thread keeps waiting and its answer is dropped.
            By default `input`.
    """

    class InputRequestContext:
        """Tells an input function which request it is answering."""

        _request_id: ClassVar[ContextVar[str | None]] = ContextVar(
            "teamrun_input_request", default=None
        )

        @classmethod
        @contextmanager
        def populate_context(cls, request_id: str) -> Generator[None]:
            """Set the request inside the `with` block."""
            token = cls._request_id.set(request_id)
            try:
                yield
            finally:
                cls._request_id.reset(token)

        @classmethod
        def request_id(cls) -> str:
            """The `request_id` of the `UserInputRequestedEvent` that the answer is for.

            Raises:
                RuntimeError: No input function is being called.
            """
            request_id = cls._request_id.get()
            if request_id is None:
                raise RuntimeError(
                    "There is no input request here; ask inside the input_func of a UserProxyAgent."
                )
            return request_id

    def __init__(
        self,
        name: str,
        *,
        description: str = "A human user",
        input_func: InputFunc | None = None,
    ) -> None:
        super().__init__(name, description)
        self._input_func: Callable[..., object] = input_func or input
        self._is_async = _is_async(self._input_func)
        self._takes_token = self._is_async and _count_positional(self._input_func) > 1

    def copy_for(self, path: str, leaves: Leaves) -> "UserProxyAgent":
        """The agent with another input function."""
        own: Any = None if self._input_func is input else self._input_func
        func = leaves.input(path, self._name, own)
        return UserProxyAgent(self._name, description=self._description, input_func=func)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        return (TextMessage, HandoffMessage)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Ask the person."""
        return await last_response(self.on_messages_stream(messages, cancellation_token))

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Ask the person; yields the `UserInputRequestedEvent`, then the `Response`.

        Who was handed the conversation hands it back.

        Raises:
            RuntimeError: The input function failed, or the last message is a handoff to
                another participant.
            asyncio.CancelledError: The token was cancelled.
        """
        handoff = self._handoff_to_me(messages)
        prompt = "Enter your response: "
        if handoff is not None:
            prompt = f"Handoff received from {handoff.source}. {prompt}"
        request = UserInputRequestedEvent(request_id=new_id(), source=self.name)
        yield request
        with self.InputRequestContext.populate_context(request.request_id):
            answer = await self._ask(prompt, cancellation_token)
        message: BaseChatMessage
        if handoff is None:
            message = TextMessage(content=answer, source=self.name)
        else:
            message = HandoffMessage(content=answer, target=handoff.source, source=self.name)
        yield Response(chat_message=message, inner_messages=[request])

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Nothing to forget: the person remembers."""

    def _handoff_to_me(self, messages: Sequence[BaseChatMessage]) -> HandoffMessage | None:
        last = messages[-1] if messages else None
        if not isinstance(last, HandoffMessage):
            return None
        if last.target != self.name:
            raise RuntimeError(
                f"The handoff from {last.source!r} is for {last.target!r}, not for {self.name!r}."
            )
        return last

    async def _ask(self, prompt: str, token: CancellationToken | None) -> str:
        with cancelled_by(token, "The input function"):
            try:
                if not self._is_async:
                    call = functools.partial(self._input_func, prompt)
                    return cast("str", await run_in_thread(call))
                arguments = (prompt, token) if self._takes_token else (prompt,)
                return await cast("Awaitable[str]", self._input_func(*arguments))
            except Exception as error:
                raise RuntimeError(f"Failed to get user input: {error}") from error


def _is_async(func: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)


def _count_positional(func: Callable[..., object]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(func).parameters.values()
    return sum(parameter.kind in kinds for parameter in parameters)
