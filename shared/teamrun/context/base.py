"""The seam to model contexts: an agent's conversation, and the part that the model sees.

Above it: agents. Below it: `unbounded.py`, `buffered.py`, `head_and_tail.py`,
`token_limited.py`, and classes of the user's own. Messages are shared between contexts and
never copied or changed.
"""

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Self, TypeAlias, cast

from pydantic import BaseModel

from teamrun.core.component.base import ComponentBase
from teamrun.core.saved import read_state
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResultMessage,
    LLMMessage,
)

__all__ = ["ChatCompletionContext", "added", "whole_exchanges"]


class _State(BaseModel, defer_build=True):
    messages: list[LLMMessage]


_GetMessages: TypeAlias = Callable[[Any], Awaitable[list[LLMMessage]]]


def _shows_whole_exchanges(get_messages: _GetMessages) -> _GetMessages:
    @functools.wraps(get_messages)
    async def shown(self: Any) -> list[LLMMessage]:
        return whole_exchanges(await get_messages(self))

    return shown


class ChatCompletionContext(ComponentBase[BaseModel], ABC):
    """The conversation with a model, and a view of it.

    `get_messages` of a subclass selects the messages for the model. In every case, a tool
    request is shown together with all of its results or not at all: model servers refuse one
    without the other. Subclasses inherit this rule.

    Args:
        initial_messages: The conversation at the beginning; `clear` also removes it.
    """

    _whole = 0
    """How many of the first messages are known to be whole exchanges."""

    _initial_messages: Sequence[LLMMessage] | None = None
    _messages: list[LLMMessage]
    """Absent in a subclass that keeps the conversation elsewhere and does not call `__init__`."""

    def __init__(self, initial_messages: Sequence[LLMMessage] | None = None) -> None:
        self._messages = list(initial_messages or ())
        if initial_messages:
            self._initial_messages = tuple(initial_messages)

    def __init_subclass__(cls, *, shows_whole: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "get_messages" in vars(cls) and not shows_whole:
            cls.get_messages = _shows_whole_exchanges(cls.get_messages)  # pyright: ignore[reportAttributeAccessIssue] - the same signature, seen as unbound

    async def add_message(self, message: LLMMessage) -> None:
        """Add a message at the end."""
        self._messages.append(message)

    @abstractmethod
    async def get_messages(self) -> list[LLMMessage]:
        """The messages for the model. The list may be the context's own: do not change it."""

    async def clear(self) -> None:
        """Forget everything."""
        self._messages, self._whole = [], 0

    def copied(self) -> Self:
        """A context with the same conversation, to which other messages can be added."""
        made = copy.copy(self)
        made._messages = list(self._messages)
        return made

    def mark(self) -> int:
        """The current position in the conversation, for `rewind`."""
        try:
            return len(self._messages)
        except AttributeError:
            return 0

    def rewind(self, mark: int) -> None:
        """Remove the messages added since `mark`, those of an interrupted turn."""
        del self._kept()[mark:]
        self._whole = 0  # the mark may be within an exchange

    async def save_state(self) -> JsonMapping:
        """The whole conversation as JSON data."""
        return {"messages": [message.model_dump(mode="json") for message in self._messages]}

    async def save_state_before(self, mark: int) -> JsonMapping:
        """The result of `save_state` at `mark`, without the current turn."""
        state = await self.save_state()
        if len(self._kept()) <= mark:
            return state
        earlier = [message.model_dump(mode="json") for message in self._kept()[:mark]]
        return {**state, "messages": earlier}

    def _kept(self) -> list[LLMMessage]:
        return getattr(self, "_messages", [])

    async def load_state(self, state: JsonMapping) -> None:
        """Continue with that conversation."""
        self._messages, self._whole = read_state(_State, state, "llm_context").messages, 0


_ADD: Final = ChatCompletionContext.add_message


def added(context: ChatCompletionContext, message: LLMMessage) -> bool:
    """Add a message without a coroutine, which would take longer than the rest.

    Returns False, and adds nothing, if the context has an `add_message` of its own, to be awaited.
    """
    # As `is_replaced`, which would take a third longer.
    if getattr(context.add_message, "__func__", None) is not _ADD:
        return False
    context._messages.append(message)  # pyright: ignore[reportPrivateUsage] - of this module
    return True


def whole_exchanges(messages: list[LLMMessage], known: int = 0) -> list[LLMMessage]:
    """Leave out tool requests that lack a result, and tool results that lack their request.

    An exchange is a request and the results directly after it. Returns the list itself when
    there is nothing to leave out.

    Args:
        messages: A conversation, or a part of one.
        known: How many of the first messages are known to be whole exchanges.
    """
    first = known
    for message in messages[known:]:
        if type(message.content) is list:
            break
        first += 1
    else:
        return messages  # no request, no results
    torn: set[int] = set()
    request: list[int] = []  # the open exchange: the index of its request and of its results
    missing: set[str] = set()
    for index, message in enumerate(messages[first:], first):
        content = message.content
        if type(content) is not list:  # no request, no results
            continue
        if isinstance(message, AssistantMessage):
            torn.update(request if missing else ())
            request, missing = [index], {call.id for call in cast("list[FunctionCall]", content)}
        elif isinstance(message, FunctionExecutionResultMessage):
            given = {result.call_id for result in message.content}
            if request and request[-1] == index - 1 and given <= missing:
                missing -= given
                request = [*request, index] if missing else []
            else:
                torn.add(index)
    torn.update(request if missing else ())
    return [m for i, m in enumerate(messages) if i not in torn] if torn else messages
