"""The seam to model contexts: what an agent remembers, and how much of it the model is shown.

Above it: agents. Below it: `unbounded.py`, `buffered.py`, `head_and_tail.py`,
`token_limited.py`, and classes of the user's own. Messages are shared between contexts and
never copied or changed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from teamrun.messages.llm import AssistantMessage, FunctionExecutionResultMessage, LLMMessage

__all__ = ["ChatCompletionContext", "is_tool_request", "without_leading_results"]


class _State(BaseModel, defer_build=True):
    messages: list[LLMMessage]


class ChatCompletionContext(ABC):
    """The conversation with a model, and a view of it.

    Args:
        initial_messages: The conversation so far; `clear` empties it, too.
    """

    def __init__(self, initial_messages: Sequence[LLMMessage] | None = None) -> None:
        self._messages: list[LLMMessage] = list(initial_messages or ())

    async def add_message(self, message: LLMMessage) -> None:
        """Add what was said last."""
        self._messages.append(message)

    @abstractmethod
    async def get_messages(self) -> list[LLMMessage]:
        """What the model is shown. The list may be the context's own: do not change it."""

    async def clear(self) -> None:
        """Forget everything."""
        self._messages = []

    def mark(self) -> int:
        """Where the conversation stands, for `rewind`."""
        return len(self._messages)

    def rewind(self, mark: int) -> None:
        """Forget what was added since `mark`: a turn that was cut short."""
        del self._messages[mark:]

    async def save_state(self) -> Mapping[str, Any]:
        """The whole conversation as JSON data."""
        return {"messages": [message.model_dump(mode="json") for message in self._messages]}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with that conversation."""
        self._messages = _State.model_validate(state).messages


def without_leading_results(messages: list[LLMMessage]) -> list[LLMMessage]:
    """Leave out tool results at the start: models refuse results without their request."""
    if messages and isinstance(messages[0], FunctionExecutionResultMessage):
        return messages[1:]
    return messages


def is_tool_request(message: LLMMessage) -> bool:
    """Whether the model asks for tools in this message."""
    return isinstance(message, AssistantMessage) and isinstance(message.content, list)
